"""``verify`` finds no fault in the scheduler, and the fault of every broken one, by name and with a story."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parking_lot_core import CapacityChanged, Command, Event, PoolConfig, Scheduler, Start, TaskState
from parking_lot_core._values import evolve
from parking_lot_core.testing import broken
from parking_lot_core.testing.broken import ForgetsShares, OnlyStep, Overcommits, RemembersOtherRuns
from parking_lot_core.testing.history import Broken, Steps
from parking_lot_core.testing.invariants import INVARIANTS, examine
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.trace import Story, read_story
from parking_lot_core.testing.verification import verify
from parking_lot_core.testing.wording import write_config
from parking_lot_core.testing.worlds import Climate
from tests.core.test_invariants import FAULTS as BY_PROPERTY
from tests.testing.faults import ANY, FAULTS, IDS


def broken_by(make: Callable[[PoolConfig], Steps], name: str, climate: Climate) -> Broken:
    with pytest.raises(Broken) as found:
        verify(make, holds={name}, climate=climate, seeds=range(400))
    assert found.value.invariant == name
    assert str(found.value).startswith(f"{name}: {found.value.what}\n\n# {name} is broken.\nconfig ")
    return found.value


def test_the_scheduler_is_all_right() -> None:
    verify(Scheduler, seeds=range(40))


def test_a_scheduler_that_has_only_step_is_all_right() -> None:
    verify(lambda config: OnlyStep(Scheduler(config)), seeds=range(40))


def test_every_invariant_has_a_fault() -> None:
    assert {name for name, _, _ in FAULTS} == set(INVARIANTS)


def test_no_broken_scheduler_is_left_out() -> None:
    """Each is in this table, or in the one that goes by the functions in ``properties``."""
    all_of_them = {kind for kind in vars(broken).values() if isinstance(kind, type) and issubclass(kind, Model)}
    found = {faulty for _, faulty, _ in FAULTS} | {faulty for _, faulty, _ in BY_PROPERTY}
    assert all_of_them - found == {Model, broken.Saying}  # the one is not broken, the other a base of others


@pytest.mark.parametrize(("name", "faulty", "climate"), FAULTS, ids=IDS)
def test_every_fault_is_found(name: str, faulty: type[Model], climate: Climate) -> None:
    """The story that is told shows the same fault when it is read and played again."""
    fault = broken_by(faulty, name, climate)
    world = read_story(fault.story)
    if faulty is not RemembersOtherRuns:  # which says something else every time
        with pytest.raises(Broken):
            examine(faulty, world, {name})
        assert Story(fault.story, faulty).retell() == fault.story
    examine(Scheduler, world, {name})


ONLY_STEP = [fault for fault in FAULTS if not INVARIANTS[fault[0]].needs]


@pytest.mark.parametrize(
    ("name", "faulty", "climate"), ONLY_STEP, ids=[f"{name}-{faulty.__name__}" for name, faulty, _ in ONLY_STEP]
)
def test_every_fault_of_a_scheduler_that_has_only_step_is_found(
    name: str, faulty: type[Model], climate: Climate
) -> None:
    broken_by(lambda config: OnlyStep(faulty(config)), name, climate)


def test_a_story_is_cut_down() -> None:
    story = broken_by(Overcommits, "Budget", ANY).story
    world = read_story(story)
    assert len(world.events) <= 2
    assert len(write_config(world.config).split()) == 2  # the units, and no policy but the usual one


def test_a_crash_is_part_of_the_story() -> None:
    fault = broken_by(ForgetsShares, "CrashSafety", ANY)
    assert "\n\ncrash\n----\nrestored " in fault.story
    assert fault.crashes


def test_the_same_seeds_find_the_same() -> None:
    first, second = (broken_by(Overcommits, "Budget", ANY) for _ in range(2))
    assert str(first) == str(second)


def test_a_pool_of_ones_own() -> None:
    own = PoolConfig(devices={"left": 3, "right": 5})
    with pytest.raises(Broken) as found:
        verify(Overcommits, holds={"Budget"}, config=own)
    assert read_story(found.value.story).config == own


# What is not as it should be with the caller


def test_an_invariant_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"holds: expected names from Budget, .*, got 'Ordre'"):
        verify(Scheduler, holds={"Ordre"})


def test_an_invariant_that_the_scheduler_cannot_be_asked_about() -> None:
    with pytest.raises(TypeError, match="CrashSafety needs checkpoint and restore, which OnlyStep has not"):
        verify(lambda config: OnlyStep(Scheduler(config)), holds={"CrashSafety"})


class Raises(Scheduler):
    def step(self, event: Event) -> tuple[Command, ...]:
        if isinstance(event, CapacityChanged):
            raise ZeroDivisionError("capacity")
        return super().step(event)


def test_what_step_raises_comes_with_a_story() -> None:
    with pytest.raises(ZeroDivisionError) as found:
        verify(Raises, holds={"Budget"})
    (story,) = found.value.__notes__
    (event,) = read_story(story).events
    assert isinstance(event, CapacityChanged)


class SaysNothing:
    def step(self, event: Event) -> None:
        return None


class SaysStrings:
    def step(self, event: Event) -> list[str]:
        return ["start it"]


@pytest.mark.parametrize("speechless", [SaysNothing, SaysStrings])
def test_an_answer_that_is_no_command(speechless: type) -> None:
    with pytest.raises(TypeError, match="step: expected a tuple of commands"):
        verify(lambda _: speechless())


class SavesNoRun(Scheduler):
    """Starts tasks, and says so, but saves them as parked."""

    def step(self, event: Event) -> tuple[Command, ...]:
        return tuple(
            Start(evolve(command.task, state=TaskState.PARKED), command.device, command.epoch)
            if isinstance(command, Start)
            else command
            for command in super().step(event)
        )


class KnowsNoTime(Scheduler):
    now = None  # type: ignore[assignment]


def test_a_view_that_shows_nothing_is_one_that_differs() -> None:
    with pytest.raises(Broken, match=r"Agreement: .*now"):
        verify(KnowsNoTime, holds={"Agreement"}, seeds=range(5))


def test_a_start_that_does_not_save_its_run() -> None:
    assert "saves another run than it starts" in broken_by(SavesNoRun, "Fencing", ANY).what
