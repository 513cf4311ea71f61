"""What it means that a scheduler agrees with the model. All that is said here of a view holds for those that it has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import attrs

from parking_lot_core import Checkpoint, Command, Event
from parking_lot_core.testing.history import Broken, MakeScheduler, Steps, ask, has, step
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.wording import contrast, unlike, write_event
from parking_lot_core.testing.worlds import World


def agrees_with_model(make: MakeScheduler, world: World) -> None:
    """14. Same commands, same state after every event, deadlines that are early enough, same counters at the end."""
    scheduler, model = make(world.config), Model(world.config)
    for event in world.events:
        assert_same_commands(event, step(scheduler, event), model.step(event))
        assert_same_state(scheduler, model)
        assert_deadline_is_early_enough(scheduler, model)
    assert_same_counters(scheduler, model)


def agrees_in_a_long_line(make: MakeScheduler, world: World) -> None:
    """14, where the line is too long to look at all of it after every event."""
    scheduler, model = make(world.config), Model(world.config)
    for count, event in enumerate(world.events):
        assert_same_commands(event, step(scheduler, event), model.step(event))
        if count % 50 == 49:
            assert_same_state(scheduler, model)


def assert_same_commands(event: Event, answer: tuple[Command, ...], expected: tuple[Command, ...]) -> None:
    """Raises ``Broken`` if the answers to the event differ."""
    if answer != expected:
        raise Broken("Agreement", f"{write_event(event)}: {contrast(answer, expected)}")


def assert_same_state(scheduler: Steps, model: Model) -> None:
    """Everything that a reader can see of both. Raises ``Broken`` naming the view that differs."""
    ids = [task.id for task in model.known]
    if (difference := differing_view(scheduler, model, ids)) is not None:
        raise Broken("Agreement", difference)
    position = ask(scheduler, "position")
    if position is not None:
        places = {task.id: place for place, task in enumerate(model.waiting(), start=1)}
        for task_id in ids:
            if position(task_id) != places.get(task_id):
                raise Broken("Agreement", f"position({task_id!r}) gave {position(task_id)}, not {places.get(task_id)}")


def differing_view(scheduler: Steps, other: Steps, ids: Sequence[str], *, but: Collection[str] = ()) -> str | None:
    """What the scheduler shows otherwise than the other one, among the views that both have, as a sentence."""
    for name, look in VIEWS.items():
        if name not in but and has(scheduler, name) and has(other, name):
            seen, expected = look(getattr(scheduler, name), ids), look(getattr(other, name), ids)
            if seen != expected:
                return unlike(seen, expected, name)
    return None


def _device(device: Any) -> tuple[str, int, int, int]:
    return device.name, device.capacity, device.used, device.free


NUMBERS = ("now", "queue_depth", "running_count", "places_taken", "largest_device")
VIEWS: dict[str, Callable[[Any, Sequence[str]], object]] = {
    "checkpoint": lambda checkpoint, _: comparable(checkpoint()),
    "tasks": lambda tasks, _: list(tasks()),
    "get": lambda get, ids: [get(task_id) for task_id in ids],
    "waiting": lambda waiting, _: list(waiting()),
    "devices": lambda devices, _: [_device(device) for device in devices],
    **dict.fromkeys(NUMBERS, lambda number, _: number),
}


def numbers(scheduler: Any) -> list[object]:
    """The devices, and the totals, of a scheduler that has them all."""
    return [*map(_device, scheduler.devices), *(getattr(scheduler, name) for name in NUMBERS)]


def assert_deadline_is_early_enough(scheduler: Steps, model: Model) -> None:
    """A ``Tick`` at the deadline comes no later than the first one that would do something; and never for the past."""
    ask_deadline = ask(scheduler, "next_deadline")
    if ask_deadline is None:
        return
    deadline, needed = ask_deadline(), model.next_deadline()
    if deadline is not None and deadline <= model.now:
        raise Broken("Agreement", f"next_deadline gave {deadline} at {model.now}")
    if needed is not None and (deadline is None or deadline > needed):
        raise Broken("Agreement", f"next_deadline gave {deadline}, but a tick at {needed} does something")


def assert_same_counters(scheduler: Steps, model: Model) -> None:
    """Both have counted the same events that changed nothing."""
    counters = ask(scheduler, "counters")
    if counters is not None:
        seen = dict(counters) if isinstance(counters, dict) else attrs.asdict(counters)
        if seen != model.counters:
            raise Broken("Agreement", f"counters gave {seen} in place of {model.counters}")


def comparable(checkpoint: Checkpoint) -> Checkpoint:
    """The rules give tenants and passed-over tasks no order."""
    return attrs.evolve(
        checkpoint,
        finish_tags=tuple(sorted(checkpoint.finish_tags)),
        passed_over=tuple(sorted(checkpoint.passed_over)),
    )
