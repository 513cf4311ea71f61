"""What it means that a scheduler agrees with the model."""

from __future__ import annotations

import attrs

from parking_lot_core import Checkpoint
from parking_lot_core.testing.history import AnyScheduler, MakeScheduler
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.worlds import World


def agrees_with_model(make: MakeScheduler, world: World) -> None:
    """14. Same commands, same state after every event, deadlines that are early enough, same counters at the end."""
    scheduler, model = make(world.config), Model(world.config)
    for event in world.events:
        answer, expected = scheduler.step(event), model.step(event)
        assert answer == expected, f"{event} gave {answer} in place of {expected}"
        assert_same_state(scheduler, model)
        assert_deadline_is_early_enough(scheduler, model)
    assert attrs.asdict(scheduler.counters) == model.counters


def agrees_in_a_long_line(make: MakeScheduler, world: World) -> None:
    """14, where the line is too long to look at all of it after every event."""
    scheduler, model = make(world.config), Model(world.config)
    for count, event in enumerate(world.events):
        answer, expected = scheduler.step(event), model.step(event)
        assert answer == expected, f"{event} gave {answer} in place of {expected}"
        if count % 50 == 49:
            assert_same_state(scheduler, model)


def assert_same_state(scheduler: AnyScheduler, model: Model) -> None:
    """Everything that a reader can see of both."""
    assert comparable(scheduler.checkpoint()) == comparable(model.checkpoint())
    tasks, waiting = list(scheduler.tasks()), list(scheduler.waiting())
    assert tasks == model.known
    assert tasks == [scheduler.get(task.id) for task in tasks]
    assert waiting == model.waiting()
    places = {task.id: place for place, task in enumerate(waiting, start=1)}
    assert [scheduler.position(task.id) for task in tasks] == [places.get(task.id) for task in tasks]
    assert numbers(scheduler) == numbers(model)


def numbers(scheduler: AnyScheduler) -> list[object]:
    devices = [(device.name, device.capacity, device.used, device.free) for device in scheduler.devices]
    totals = (scheduler.now, scheduler.queue_depth, scheduler.running_count, scheduler.places_taken)
    return [*devices, *totals, scheduler.largest_device]


def assert_deadline_is_early_enough(scheduler: AnyScheduler, model: Model) -> None:
    """A ``Tick`` at the deadline comes no later than the first one that would do something; and never for the past."""
    deadline, needed = scheduler.next_deadline(), model.next_deadline()
    assert deadline is None or deadline > model.now, f"deadline {deadline} at {model.now}"
    assert needed is None or (deadline is not None and deadline <= needed), f"deadline {deadline}, needed {needed}"


def comparable(checkpoint: Checkpoint) -> Checkpoint:
    """The rules give tenants and passed-over tasks no order."""
    return attrs.evolve(
        checkpoint,
        finish_tags=tuple(sorted(checkpoint.finish_tags)),
        passed_over=tuple(sorted(checkpoint.passed_over)),
    )
