"""The witness and the checks over objects of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given

from parking_lot_core import (
    Command,
    Event,
    Finished,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    ResourceCost,
    Scheduler,
    Submitted,
    TaskMetadata,
    Tick,
)
from parking_lot_core.testing import Broken, Check, History, Model, Watched, World, checks, examine, watch
from parking_lot_core.testing.history import ask
from parking_lot_core.testing.strategies import worlds
from tests.core.depth import examples

POOL = PoolConfig(max_units=4)
EVENTS: tuple[Event, ...] = (
    Submitted(TaskMetadata("a", ResourceCost(3)), 1.0),
    Submitted(TaskMetadata("b", ResourceCost(3)), 2.0),
    Finished("a", 1, Outcome(OutcomeStatus.SUCCEEDED), 5.0),
)


def test_a_watched_scheduler_stands_in_for_a_scheduler() -> None:
    watched, plain = Watched(Scheduler(POOL), POOL, *checks.ALL), Scheduler(POOL)
    for event in EVENTS:
        assert watched.step(event) == plain.step(event)
        assert watched.next_deadline() == plain.next_deadline()
        assert watched.queue_depth == plain.queue_depth
    assert watched.events == list(EVENTS)
    assert [len(answer) for answer in watched.answers] == [2, 1, 2]
    with pytest.raises(AttributeError, match="no attribute 'colour'"):
        watched.colour  # noqa: B018


@examples(40)
@given(worlds())
def test_the_history_knows_what_the_model_knows(world: World) -> None:
    """What is worked out from the commands alone is what the model has, moments that it will look at included."""
    model = Model(world.config)
    watched = Watched(model, world.config)
    for event in world.events:
        watched.step(event)
        history = watched.history
        assert {task.id: task for task in model.known} == history.rows
        assert [(d.name, d.capacity, d.used) for d in model.devices] == [
            (d.name, d.capacity, d.used) for d in history.devices
        ]
        assert history.next_sequence >= model.next_sequence
        assert [task.id for task in history.eligible()] == [task.id for task in model.waiting()]
        assert set(model.moments()) - set(history.moments()) <= set(_windows(model))


def _windows(model: Model) -> list[float]:
    """Ends of windows: the history has those that began with a start that it saw."""
    return [since + model.config.backfill_window for since in model.passed_over.values()]


class Counts(Check):
    """A check of one's own: no more than one command for an event."""

    def event(self, event: Event) -> None:
        self.said = 0

    def command(self, command: Command) -> None:
        self.said += 1
        if self.said > 1:
            raise Broken("OneAtATime", f"{command} too")


def test_a_check_of_ones_own() -> None:
    with pytest.raises(Broken, match="OneAtATime: Start") as found:
        watch(Scheduler(POOL), POOL, EVENTS, Counts)
    assert found.value.invariant == "OneAtATime"


class HasOtherThings:
    """Names its own things as ours are named."""

    def __init__(self, config: PoolConfig) -> None:
        self.scheduler = Scheduler(config)
        self.tasks: dict[str, int] = {}
        self.devices = {"0": 4}
        self.checkpoint = 7

    def step(self, event: Event) -> Sequence[Command]:
        return list(self.scheduler.step(event))


def test_what_only_goes_by_the_same_name_is_not_asked() -> None:
    one = HasOtherThings(POOL)
    assert [ask(one, name) for name in ("tasks", "devices", "checkpoint", "next_deadline")] == [None] * 4
    examine(HasOtherThings, World(POOL, EVENTS))


class ShowsToo(Scheduler):
    """Its views say other things than its commands."""

    @property
    def devices(self) -> Any:
        return [view for view in super().devices if not setattr(view, "used", view.used + 1)]  # type: ignore[func-returns-value]


class HidesOne(Scheduler):
    def tasks(self) -> Any:
        return list(super().tasks())[1:]


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [(ShowsToo, "Fencing: 0 shows 4 used units, and 3 are held"), (HidesOne, "Conservation: task a is None in place")],
)
def test_views_that_do_not_show_what_was_said(kind: type, complaint: str) -> None:
    with pytest.raises(Broken, match=complaint):
        examine(kind, World(POOL, EVENTS), {complaint.partition(":")[0]})


def test_a_history_of_nothing() -> None:
    history = History(POOL)
    assert (history.known, history.moments(), history.head(), history.next_sequence) == ([], [], None, 1)
    watch(Scheduler(POOL), POOL, [Tick(3.0)], *checks.ALL)
