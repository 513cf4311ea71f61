"""Small worlds, exhaustively: nothing is wrong with the scheduler, and what is wrong with others is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from parking_lot_core import (
    Cancelled,
    Command,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ScheduledTask,
    Scheduler,
    Submitted,
)
from parking_lot_core.backfill import Backfill
from parking_lot_core.devices import Device
from parking_lot_core.dispatch import Walk
from parking_lot_core.lot import Lot
from parking_lot_core.ranking import FairShare
from parking_lot_core.testing import broken
from parking_lot_core.testing import explore as command_line
from parking_lot_core.testing.agreement import (
    assert_deadline_is_early_enough,
    assert_same_commands,
    assert_same_counters,
    assert_same_state,
)
from parking_lot_core.testing.explore import WORLDS, Kind, SmallWorld, explore
from parking_lot_core.testing.history import Broken
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.trace import read_story
from parking_lot_core.timers import Timers
from tests.core.depth import DEPTH


def with_tasks(name: str, tasks_max: int) -> SmallWorld:
    return attrs.evolve(WORLDS[name], tasks_max=tasks_max)


# The scheduler


@pytest.mark.parametrize("name", WORLDS)
def test_the_scheduler_does_nothing_wrong_in_few_states(name: str) -> None:
    report = explore(Scheduler, WORLDS[name], states=150 * DEPTH)
    assert report.counterexample is None, report
    assert report.states >= 150 * DEPTH


@pytest.mark.parametrize("name", ["strict order", "window", "queue depth"])
def test_a_world_with_few_tasks_is_exhausted(name: str) -> None:
    report = explore(Scheduler, with_tasks(name, 2))
    (world,) = report.worlds
    assert report.counterexample is None, report
    assert (world.stopped, world.exhausted) == ("exhausted", 2)
    assert world.expanded == world.states > 50
    assert world.extent == "all with 2 tasks"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_scheduler_does_nothing_wrong_in_as_many_states_as_there_is_time_for() -> None:
    """Up to a million distinct states, or a quarter of an hour; what was reached is printed (``pytest -rP``)."""
    report = explore(Scheduler, WORLDS.values(), states=1_000_000, seconds=900, processes=2)
    print(report)
    assert report.counterexample is None, report
    assert report.states >= 100_000


# What the search says


def test_more_processes_find_the_same() -> None:
    world = with_tasks("reservations", 2)
    alone, together = (explore(Scheduler, world, depth=4, processes=processes) for processes in (1, 2))
    assert attrs.evolve(alone.worlds[0], seconds=0) == attrs.evolve(together.worlds[0], seconds=0)


def test_a_search_stops_at_its_bounds() -> None:
    deep = explore(Scheduler, WORLDS["first fit"], depth=2).worlds[0]
    assert (deep.stopped, deep.depth, deep.tasks) == ("depth", 2, 5)
    many = explore(Scheduler, WORLDS["first fit"], states=60).worlds[0]
    assert many.stopped == "states"
    assert 60 <= many.states < 60 + 1000
    late = explore(Scheduler, WORLDS["first fit"], seconds=0.001).worlds[0]
    assert late.stopped == "time"


def test_worlds_share_what_is_left_of_a_bound() -> None:
    small, large = explore(Scheduler, [with_tasks("window", 1), WORLDS["window"]], states=400).worlds
    assert small.stopped == "exhausted"
    assert small.states < 50
    assert large.states >= 400 - small.states


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        ({"states": 0}, "states: expected a number > 0, got 0"),
        ({"depth": -1}, "depth: expected a number > 0, got -1"),
        ({"seconds": float("nan")}, "seconds: expected a number > 0, got nan"),
        ({"processes": 0}, "processes: expected a number > 0, got 0"),
        ({"processes": 2}, "make: expected a class or function of a module"),
    ],
)
def test_bad_bounds_are_named(bounds: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        explore(lambda config: Scheduler(config), WORLDS["window"], **bounds)


def test_a_world_whose_times_do_not_add_up_exactly_is_refused() -> None:
    with pytest.raises(ValueError, match=r"backfill_window: expected a multiple of 0.25 seconds, .*, got 0.1"):
        SmallWorld(name="odd", config=PoolConfig(max_units=1, backfill_window=0.1), kinds=(Kind(1),))
    with pytest.raises(ValueError, match=r"timeout: expected a multiple of 0.25 seconds, at most 1000, .*, got 1001"):
        SmallWorld(name="long", config=PoolConfig(max_units=1, timeout=1001), kinds=(Kind(1),))
    with pytest.raises(ValueError, match="tasks_max: expected an integer from 1 to 12, got 0"):
        with_tasks("window", 0)


def test_the_command_line_reports_as_text_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--pool", "window", "--tasks", "1", "--processes", "1", "--depth", "20"]
    assert command_line.main(arguments) == 0
    text = capsys.readouterr().out
    assert "all with 1 task" in text
    assert command_line.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counterexample"] is None
    assert told["states"] == told["pools"][0]["states"] > 5
    assert f"{told['states']:,}" in text


def test_the_command_line_tells_a_counterexample(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "Scheduler", broken.LastInFirstOut)
    assert command_line.main(["--pool", "strict order", "--processes", "1"]) == 1
    text = capsys.readouterr().out
    assert "Order does not hold in 'strict order'" in text
    assert "config max_units=3" in text


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--states", "0"], "argument --states: expected an integer ≥ 1, got '0'"),
        (["--depth", "deep"], "argument --depth: expected an integer ≥ 1, got 'deep'"),
        (["--seconds", "-1"], "argument --seconds: expected seconds > 0, got '-1'"),
        (["--tasks", "13"], "argument --tasks: expected an integer from 1 to 12, got '13'"),
        (["--pool", "ocean"], "argument --pool: expected one of 'strict order', 'first fit'"),
    ],
)
def test_the_command_line_names_what_it_cannot_read(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command_line.main(arguments)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


# What the search finds


def sees_again(make: Callable[[PoolConfig], Any], story: str) -> bool:
    """Whether the scheduler does wrong, against the model, at the last event of the story and at none before."""
    world = read_story(story)
    lines = [line for line in story.splitlines() if line.startswith("crash") or " at=" in line]
    crash = lines.index("crash") if "crash" in lines else None
    scheduler, model = make(world.config), Model(world.config)
    for number, event in enumerate(world.events):
        if number == crash:
            scheduler = type(scheduler).restore(world.config, list(scheduler.tasks()), scheduler.checkpoint())
        try:
            assert_same_commands(event, scheduler.step(event), model.step(event))
            assert_same_state(scheduler, model)
            assert_deadline_is_early_enough(scheduler, model)
            if crash is None:
                assert_same_counters(scheduler, model)
        except Broken:
            return number == len(world.events) - 1
    return False


FAULTS: dict[str, list[type[Model]]] = {
    "strict order": [
        broken.BelievesStaleWorkers,
        broken.DeliversTwice,
        broken.ForgetsCapacity,
        broken.ForgetsRetries,
        broken.ForgetsSequence,
        broken.ForgetsTheTime,
        broken.ForgetsToInterrupt,
        broken.IgnoresDepth,
        broken.IgnoresDrop,
        broken.LastInFirstOut,
        broken.LosesPlaces,
        broken.NeverRetries,
        broken.NeverSleeps,
        broken.OneStartPerStep,
        broken.Overcommits,
        broken.PassesUnderStrictOrder,
        broken.RefusesEarly,
        broken.ReleasesOnInterrupt,
        broken.ReusesEpochs,
        broken.StartsTwice,
    ],
    "first fit": [broken.ForgetsWhoWaits, broken.NeverBackfills],
    "window": [broken.DrainsLate, broken.NeverDrains],
    "reservations": [
        broken.CountsTicks,
        broken.ExpiresEarly,
        broken.ForgetsThePresent,
        broken.GoesBackInTime,
        broken.IgnoresReservations,
        broken.MiscountsSpare,
        broken.StartsExpired,
    ],
    "aging": [broken.IgnoresAging],
    "queue depth": [broken.DropsOutcomes],
    "retries": [broken.WakesLate],
    "expiry": [broken.ExpiresTwice],
    "tenants": [broken.ForgetsShares, broken.IgnoresTags],
}


@pytest.mark.parametrize(
    ("pool", "faulty"),
    [(pool, faulty) for pool, all_faulty in FAULTS.items() for faulty in all_faulty],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_a_broken_model_is_found_out_in_few_events(pool: str, faulty: type[Model]) -> None:
    report = explore(faulty, WORLDS[pool], states=1000)
    assert report.counterexample is not None, report
    assert len(report.counterexample.fault.events) <= 4
    assert sees_again(faulty, report.counterexample.story)
    assert not sees_again(Model, report.counterexample.story)


def test_what_is_not_a_function_of_its_events_is_found_out() -> None:
    report = explore(broken.RemembersOtherRuns, WORLDS["strict order"], states=1000)
    assert report.counterexample is not None


def test_a_policy_that_agrees_with_its_own_model_is_held_to_the_invariants() -> None:
    world, lifo = WORLDS["strict order"], broken.LastInFirstOut
    found = explore(lifo, world, reference=lifo, states=1000).counterexample
    assert found is not None
    assert found.fault.invariant == "Order"
    assert "# Order is broken:" in found.story


def test_a_scheduler_that_raises_is_found_out() -> None:
    class Brittle(Scheduler):
        def _cancelled(self, event: Cancelled, commands: list[Command]) -> None:
            raise KeyError(event.task_id)

    found = explore(Brittle, WORLDS["window"], states=100).counterexample
    assert found is not None
    assert found.fault.what.startswith("it raised KeyError")
    assert read_story(found.story).events == found.fault.events
    assert isinstance(found.fault.events[-1], Cancelled)


# Methods of the scheduler's parts, with one mistake each


def _not_released(self: Walk) -> None: ...


def _joined_too_seldom(self: Walk, rank: int, task: ScheduledTask) -> None:
    if self._head is None or rank < self._head[0] or task.units < self._bound:
        self.settled = False


def _ends_stay(self: Device, task: ScheduledTask) -> None:
    self.free += task.units


def _no_marks(self: Lot, checkpoint: Any) -> Any:
    return iter(())


def _no_finish_tags(self: FairShare, virtual_time: int, finish_tags: Any) -> None:
    self.virtual_time = virtual_time


def _comes_back_once_too_often(self: Scheduler, task: ScheduledTask, outcome: Outcome) -> bool:
    return outcome.status is OutcomeStatus.RETURNED or (outcome.retryable and task.attempts <= 3)


def _any_run_limit(original: Any) -> Any:
    """A timer of an earlier run stops the present one."""

    def is_live(self: Lot, timer: Any) -> bool:
        task = self.tasks.get(timer[3])
        if timer[2] == 1 and task is not None and task.state.value == "running":
            return True
        live: bool = original(self, timer)
        return live

    return is_live


def _never_due(self: Timers) -> None:
    return None


def _terms_are_kept(original: Any) -> Any:
    """Terms of a claim that is counted are never looked at again."""

    def settle(self: Backfill, claim: Any, device: Device, now: float) -> None:
        if not claim.counted:
            original(self, claim, device, now)

    return settle


MISTAKES: dict[str, tuple[str, type, str, Any]] = {
    "units come back and nobody looks": ("strict order", Walk, "released", _not_released),
    "a new task that just fits waits": ("first fit", Walk, "joined", _joined_too_seldom),
    "the end of a run stays in its device": ("reservations", Device, "release", _ends_stay),
    "who waits is not restored": ("window", Lot, "_marks", _no_marks),
    "shares are not restored": ("tenants", FairShare, "restore", _no_finish_tags),
    "one attempt too many": ("queue depth", Scheduler, "_comes_back", _comes_back_once_too_often),
    "an old run limit stops a new run": ("retries", Lot, "_is_live", _any_run_limit(Lot._is_live)),
    "no deadline": ("expiry", Timers, "next_due", _never_due),
    "terms of a claim are kept too long": ("window", Backfill, "settle", _terms_are_kept(Backfill.settle)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_scheduler_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, owner, name, method = MISTAKES[mistake]
    monkeypatch.setattr(owner, name, method)
    found = explore(Scheduler, WORLDS[pool], states=3000).counterexample
    assert found is not None
    assert len(found.fault.events) <= 6
    assert (found.fault.crash is not None) == ("restored" in mistake)
    assert sees_again(Scheduler, found.story)
    monkeypatch.undo()
    assert not sees_again(Scheduler, found.story)


def test_what_an_event_that_changes_nothing_changes_unseen_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelling nobody makes the next small task wait. What is seen of the lot is as it was."""

    def cancelled(self: Scheduler, event: Cancelled, commands: list[Command]) -> None:
        if self.get(event.task_id) is None:
            self._lot.walk._bound = 0
        original(self, event, commands)

    original = Scheduler._cancelled
    monkeypatch.setattr(Scheduler, "_cancelled", cancelled)
    config = PoolConfig(max_units=3, backfill_window=float("inf"))
    world = SmallWorld(name="unseen", config=config, kinds=(Kind(2), Kind(1), Kind(1, Priority.LOW)))
    found = explore(Scheduler, world, states=4000).counterexample
    assert found is not None
    *_, cancel, small = found.fault.events
    assert isinstance(cancel, Cancelled)
    assert isinstance(small, Submitted)
    assert sees_again(Scheduler, found.story)
