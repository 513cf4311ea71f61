"""When two states of a small world count as one, and that they then go on alike."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Command,
    Deliver,
    Enqueue,
    Expire,
    Finished,
    Interrupt,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    Reject,
    ResourceCost,
    ScheduledTask,
    Start,
    Submitted,
    TaskMetadata,
    Tick,
)
from parking_lot_core.testing.explore import WORLDS, SmallWorld
from parking_lot_core.testing.explore_events import Happenings
from parking_lot_core.testing.explore_judge import Step
from parking_lot_core.testing.explore_states import Canon, fingerprint
from parking_lot_core.testing.model import Model
from tests.core.depth import DEPTH

SUCCEEDED = Outcome(OutcomeStatus.SUCCEEDED)


def told(step: Step, order: list[ScheduledTask]) -> list[object]:
    """An answer without ids, epochs and times of its own."""
    places = {task.id: place for place, task in enumerate(order)}
    epochs = {task.id: task.epoch for task in order}

    def one(command: Command) -> object:
        match command:
            case Enqueue(task=task) | Expire(task=task):
                return type(command), places.get(task.id), task.attempts
            case Start(task=task, device=device, epoch=epoch):
                return Start, places.get(task.id), task.attempts, device, epoch - epochs.get(task.id, 0)
            case Deliver(task_id=task_id, outcome=outcome):
                return Deliver, places.get(task_id), outcome
            case Interrupt(task_id=task_id, epoch=epoch, reason=reason):
                return Interrupt, places.get(task_id), reason, epoch - epochs.get(task_id, 0)
            case Reject(reason=reason):
                return Reject, reason

    return [one(command) for command in step.expected]


class Pair:
    """Two states that count as one, and what may happen in them."""

    def __init__(self, world: SmallWorld, canon: Canon) -> None:
        self.canon = canon
        self.happenings = Happenings(world, canon)

    def choices(self, state: Model) -> list[int]:
        return self.happenings.choices(state, self.canon.describe_in_order(state)[1])

    def take(self, state: Model, choice: int) -> tuple[Step, list[ScheduledTask]]:
        order = self.canon.describe_in_order(state)[1]
        return Step.of(state, self.happenings.event(state, order, choice)), order

    def go_on_alike(self, one: Model, other: Model, rng: random.Random, length: int) -> None:
        for _ in range(length):
            assert self.choices(one) == self.choices(other)
            choice = rng.choice(self.choices(one))
            (step, order), (other_step, other_order) = self.take(one, choice), self.take(other, choice)
            assert told(step, order) == told(other_step, other_order)
            one, other = step.after, other_step.after
            assert self.canon.describe(one) == self.canon.describe(other)


def states_that_count_as_one_go_on_alike(world: SmallWorld, canon: Canon, walks: int) -> int:
    """Random walks; where one comes to a state that counts as one seen before, both go on. Returns how often."""
    pair, seen, count = Pair(world, canon), dict[int, Model](), 0
    for seed in range(walks):
        rng, state = random.Random(seed), Model(world.config)
        for _ in range(25):
            state = pair.take(state, rng.choice(pair.choices(state)))[0].after
            other = seen.setdefault(fingerprint(canon.describe(state)), state)
            if (other.now, other.known) != (state.now, state.known):
                pair.go_on_alike(state, other, rng, 8)
                count += 1
    return count


@pytest.mark.parametrize("name", WORLDS)
def test_states_that_count_as_one_go_on_alike(name: str) -> None:
    world = attrs.evolve(WORLDS[name], tasks_max=3)
    assert states_that_count_as_one_go_on_alike(world, Canon(world.config), 25 * DEPTH) > 20


def _forgetting(config: PoolConfig, **forgotten: Any) -> Canon:
    canon = Canon(config)
    for name, value in forgotten.items():
        assert hasattr(canon, name)
        setattr(canon, name, value)
    return canon


@pytest.mark.parametrize(
    ("name", "forgotten"),
    [
        ("window", {"_bounded": False}),
        ("window", {"_window": 1.0}),
        ("aging", {"_age_max": None}),
        ("aging", {"_age_max": 1.0}),
        ("tenants", {"_shares": False}),
    ],
)
def test_a_description_that_forgets_what_matters_is_found_out(name: str, forgotten: dict[str, Any]) -> None:
    world = attrs.evolve(WORLDS[name], tasks_max=3)
    with pytest.raises(AssertionError):
        states_that_count_as_one_go_on_alike(world, _forgetting(world.config, **forgotten), 200)


def submitted(task_id: str, units: int = 1, priority: Priority = Priority.NORMAL, at: float = 0.0) -> Submitted:
    return Submitted(TaskMetadata(task_id, ResourceCost(units), priority), at)


def after(config: PoolConfig, *events: Any) -> Model:
    model = Model(config)
    for event in events:
        model.step(event)
    return model


def test_clocks_ids_and_epochs_do_not_tell_states_apart() -> None:
    config = PoolConfig(max_units=1)
    early = after(config, submitted("a"), submitted("b"))
    late = after(
        config,
        submitted("x"),
        Finished("x", 1, Outcome(OutcomeStatus.RETURNED), 5.0),
        submitted("y", at=7.0),
        Tick(100.0),
    )
    assert Canon(config).describe(early) == Canon(config).describe(late)


def test_what_matters_tells_states_apart() -> None:
    config = PoolConfig(max_units=2, backfill_window=3)
    ways = [
        [submitted("a", 2), submitted("b", 1)],
        [submitted("a", 2), submitted("b", 2)],
        [submitted("a", 2), submitted("b", 1, Priority.HIGH)],
        [submitted("a", 2), submitted("b", 1), Cancelled("a", 0.0)],
        [submitted("a", 2), submitted("b", 1), CapacityChanged("0", 1, 0.0)],
        [submitted("a", 1), submitted("b", 2), submitted("c", 1)],
        [submitted("a", 1), submitted("b", 2), submitted("c", 1), Tick(1.0)],
    ]
    marks = {fingerprint(Canon(config).describe(after(config, *way))) for way in ways}
    assert len(marks) == len(ways)


def test_equal_devices_are_not_alike() -> None:
    """Of two devices that fit equally well, the first is taken: what runs on which makes a difference."""
    config = PoolConfig(devices={"a": 2, "b": 2})

    def companion_of_the_next(first: Priority, third: Priority) -> Priority:
        events = [submitted("1", priority=first), submitted("2"), submitted("3", priority=third)]
        model = after(config, *events, Finished("2", 1, SUCCEEDED, 0.0), submitted("next"))
        device = model.get("next").device  # type: ignore[union-attr]
        return next(task.metadata.priority for task in model.known if task.device == device and task.id != "next")

    assert companion_of_the_next(Priority.HIGH, Priority.LOW) is Priority.HIGH
    assert companion_of_the_next(Priority.LOW, Priority.HIGH) is Priority.LOW
