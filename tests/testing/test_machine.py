"""``SchedulerMachine`` over schedulers of every kind: the broken ones are found out under the right name."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from parking_lot_core import Event, PoolConfig, ScheduledTask, Scheduler, Tick
from parking_lot_core.testing import Broken, Climate, SchedulerMachine, examine, read_story, worlds
from parking_lot_core.testing.broken import (
    IgnoresReservations,
    LastInFirstOut,
    OnlyStep,
    Overcommits,
    RemembersOtherRuns,
)
from parking_lot_core.testing.history import History, Steps
from parking_lot_core.testing.invariants import INVARIANTS
from parking_lot_core.testing.model import Model
from tests.testing.faults import CROWD, FIRST_OF_EACH, ONE_DEVICE, TIMELY


def run(machine: type[RuleBasedStateMachine], examples: int = 200) -> None:
    """As ``TestCase`` would, but every time with other numbers or the same ones, whatever was found before."""
    own = settings(machine.TestCase.settings, max_examples=examples, database=None, derandomize=True)
    run_state_machine_as_test(machine, settings=own)  # type: ignore[no-untyped-call]


def machine_of(make: Any, **attributes: Any) -> type[SchedulerMachine]:
    return type("Machine", (SchedulerMachine,), {"make": lambda _, config: make(config), **attributes})


@pytest.mark.parametrize(("name", "faulty", "climate"), FIRST_OF_EACH, ids=[name for name, _, _ in FIRST_OF_EACH])
def test_every_fault_is_found(
    name: str, faulty: type[Model], climate: Climate, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it remembers shall not depend on the tests before: Hypothesis itself may notice such a thing first, or not.
    monkeypatch.setattr(RemembersOtherRuns, "_pools", itertools.count())
    with pytest.raises(Broken) as found:
        run(machine_of(faulty, holds={name}, climate=climate))
    assert found.value.invariant == name
    assert f"\n\n# {name} is broken.\nconfig " in str(found.value)
    examine(Scheduler, read_story(found.value.story), {name})


class Blind(SchedulerMachine):
    """Over an object that has nothing but ``step``, under all that can be asked of it."""

    def make(self, config: PoolConfig) -> Steps:
        return OnlyStep(Scheduler(config))


TestBlind = Blind.TestCase
TestBlind.settings = settings(TestBlind.settings, max_examples=8)


class Timely(SchedulerMachine):
    """Runs that end by their limit."""

    climate = TIMELY


TestTimely = Timely.TestCase
TestTimely.settings = settings(TestTimely.settings, max_examples=8)


class Crowded(SchedulerMachine):
    """A pool of one's own before which a crowd stands."""

    climate = Climate(burst=6, kinds=worlds.QUIET)
    pools = st.just(PoolConfig(devices={"left": 3, "right": 5}, backfill_window=2))


TestCrowded = Crowded.TestCase
TestCrowded.settings = settings(TestCrowded.settings, max_examples=8)


def test_a_crowd_stands_before_the_pool() -> None:
    seen: list[int] = []

    class Looks(Crowded):
        def teardown(self) -> None:
            seen.append(len(self.watched.events))
            assert self.config.devices == {"left": 3, "right": 5}
            assert {type(event).__name__ for event in self.watched.events} <= {"Submitted", "Finished", "Tick"}

    run(Looks, examples=10)
    assert min(seen) >= 6


def test_a_timely_run_never_exceeds_its_limit() -> None:
    class Looks(Timely):
        def happens(self, event: Event) -> None:
            super().happens(event)
            assert all(run.started_at + run.metadata.run_timeout >= self.history.now for run in self.history.holding())

    run(Looks, examples=8)


def test_the_story_is_as_short_as_can_be_though_hypothesis_does_not_shrink() -> None:
    machine = machine_of(Overcommits, holds={"Budget"})
    assert Phase.shrink not in machine.TestCase.settings.phases
    with pytest.raises(Broken) as found:
        run(machine)
    assert len(read_story(found.value.story).events) <= 5


def test_the_steps_that_hypothesis_lists_are_lines_of_a_story() -> None:
    with pytest.raises(Broken) as found:
        run(machine_of(Overcommits, holds={"Budget"}))
    steps = [note for note in found.value.__notes__ if note.startswith("state.")]
    assert any("<config devices=" in step for step in steps)
    assert any("<submit id=" in step for step in steps)
    assert not any("TaskMetadata(" in step for step in steps)


def test_a_policy_with_a_rank_of_its_own() -> None:
    """``LastInFirstOut`` breaks the order of the rules, and keeps its own; ours does not keep that."""

    def newest_first(self: SchedulerMachine, task: ScheduledTask, lot: History) -> Any:
        return -task.metadata.priority, -task.sequence

    climate = Climate(kinds=worlds.QUIET, depth=False, aging=False)
    run(machine_of(LastInFirstOut, holds={"Order"}, climate=climate, rank=newest_first), examples=20)
    with pytest.raises(Broken, match="Order: "):
        run(machine_of(Model, holds={"Order"}, climate=climate, rank=newest_first))


def test_rules_of_ones_own() -> None:
    class Hurries(SchedulerMachine):
        climate = ONE_DEVICE
        holds = frozenset({"NoDelay"})

        def make(self, config: PoolConfig) -> Steps:
            return IgnoresReservations(config)

        @rule(seconds=st.integers(1, 5))
        def wait(self, seconds: int) -> None:
            self.happens(Tick(self.history.now + seconds))

    with pytest.raises(Broken, match="NoDelay: "):
        run(Hurries)


def test_a_fault_in_holds_is_named() -> None:
    with pytest.raises(ValueError, match="holds: expected names from Budget"):
        run(machine_of(Scheduler, holds={"Ordnung"}))
    with pytest.raises(TypeError, match="CrashSafety needs checkpoint and restore, which OnlyStep has not"):
        run(machine_of(lambda config: OnlyStep(Scheduler(config)), holds=INVARIANTS.keys()))


class Raises(Scheduler):
    def step(self, event: Event) -> Any:
        if isinstance(event, Tick):
            raise ZeroDivisionError("tick")
        return super().step(event)


def test_what_step_raises_comes_with_a_story() -> None:
    with pytest.raises(ZeroDivisionError) as found:
        run(machine_of(Raises, holds={"Budget"}, climate=CROWD))
    (story,) = [note for note in found.value.__notes__ if note.startswith("# step raises ZeroDivisionError")]
    assert [type(event) for event in read_story(story).events] == [Tick]
