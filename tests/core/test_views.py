"""What a person may ask of the scheduler: sizes, places in the line, and why a task waits."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given

from parking_lot_core import CapacityChanged, Event, PoolConfig, ScheduledTask, Scheduler, TaskState
from parking_lot_core.explain import Explanation, Reason
from parking_lot_core.testing import worlds
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.strategies import worlds as worlds_of
from parking_lot_core.testing.worlds import Climate, World
from tests.core.depth import examples
from tests.core.play import submit


def lot(*events: Event, **policy: Any) -> Scheduler:
    scheduler = Scheduler(PoolConfig(**policy))
    for event in events:
        scheduler.step(event)
    return scheduler


def test_sizes() -> None:
    scheduler = lot(
        submit("a", 3, at=1),
        submit("b", 6, at=2),
        submit("c", 1, at=3),
        CapacityChanged("big", 2, at=4),
        devices={"small": 4, "big": 8},
        backfill_window=0,
    )
    assert [(device.name, device.capacity, device.used, device.free) for device in scheduler.devices] == [
        ("small", 4, 4, 0),
        ("big", 2, 6, -4),
    ]
    assert (scheduler.queue_depth, scheduler.running_count, scheduler.places_taken) == (0, 3, 3)
    assert (scheduler.now, scheduler.largest_device) == (4, 8)
    assert [task.id for task in scheduler.tasks()] == ["a", "b", "c"]


def test_positions_count_the_tasks_that_wait_for_units() -> None:
    scheduler = lot(
        submit("runs", 8, at=0),
        submit("n", 1, at=0),
        submit("h", 1, "high", at=0),
        submit("delayed", 1, "critical", at=0, not_before=9.0),
        max_units=8,
    )
    names = ("h", "n", "runs", "delayed", "unknown")
    assert [scheduler.position(name) for name in names] == [1, 2, None, None, None]
    assert [task.id for task in scheduler.waiting()] == ["h", "n"]


def explain(scheduler: Scheduler, task_id: str) -> Explanation:
    found = scheduler.explain(task_id)
    assert found is not None
    return found


def test_the_first_in_line_is_short_of_units() -> None:
    scheduler = lot(submit("a", 6, at=0, run_timeout=60.0), submit("head", 5, at=1), max_units=8)
    why = explain(scheduler, "head")
    assert (why.reason, why.device, why.position, why.units_short) == (Reason.FIRST_IN_LINE, "0", 1, 3)
    assert (why.ahead, why.passed_over_since, why.starts_by) == (None, None, 60.0)


def test_one_that_fits_is_held_back_by_the_head() -> None:
    scheduler = lot(submit("a", 6, at=0), submit("head", 5, at=1), submit("s", 1, at=1), max_units=8, backfill_window=0)
    why = explain(scheduler, "s")
    assert (why.reason, why.device, why.position) == (Reason.HELD_BACK, "0", 2)
    assert (why.ahead, why.units_short) == ("head", 0)


def test_one_that_neither_fits_nor_is_next_is_behind() -> None:
    scheduler = lot(submit("a", 6, at=0), submit("head", 5, at=1), submit("s", 4, at=1), max_units=8)
    why = explain(scheduler, "s")
    assert (why.reason, why.position, why.ahead, why.units_short) == (Reason.BEHIND, 2, "head", 2)


def test_a_head_that_was_passed_over_knows_since_when_and_until_when() -> None:
    scheduler = lot(
        submit("a", 6, at=0), submit("head", 5, at=1), submit("s", 1, at=2), max_units=8, backfill_window=60
    )
    why = explain(scheduler, "head")
    assert (why.passed_over_since, why.passed_over_until) == (2, 62)


def test_delayed_running_stopping_too_large_and_unknown() -> None:
    scheduler = lot(
        submit("runs", 2, at=0),
        submit("stops", 2, at=0, run_timeout=5.0),
        submit("delayed", 2, at=0, not_before=9.0),
        submit("large", 7, at=0),
        CapacityChanged("0", 5, at=5),
        max_units=8,
    )
    reasons = {name: explain(scheduler, name).reason for name in ("runs", "stops", "delayed", "large")}
    assert reasons == {
        "runs": Reason.RUNNING,
        "stops": Reason.STOPPING,
        "delayed": Reason.DELAYED,
        "large": Reason.TOO_LARGE_NOW,
    }
    assert explain(scheduler, "delayed").delayed_until == 9
    assert explain(scheduler, "runs").device == "0"
    assert scheduler.explain("unknown") is None


def test_every_reason_is_a_sentence_that_names_the_task() -> None:
    scheduler = lot(submit("runs", 6, at=0), submit("head", 5, at=1), submit("s", 1, at=1), max_units=8)
    for name in ("runs", "head", "s"):
        assert str(explain(scheduler, name)).startswith(f"{name} ")
        assert str(explain(scheduler, name)).endswith(".")


# In any world, an explanation is true, and giving it changes nothing


def expected_reason(model: Model, task: ScheduledTask) -> Reason:
    able = [device for device in model.devices if device.capacity >= task.units]
    if task.state is not TaskState.PARKED:
        return Reason.RUNNING if task.state is TaskState.RUNNING else Reason.STOPPING
    if model.position(task.id) is None:
        return Reason.DELAYED
    if not able:
        return Reason.TOO_LARGE_NOW
    if task in model.claims.values():
        return Reason.FIRST_IN_LINE
    return Reason.HELD_BACK if any(device.free >= task.units for device in able) else Reason.BEHIND


@examples(80)
@given(worlds_of(Climate(kinds=(*worlds.KINDS, *[worlds.submitted] * 8))))
def test_explanations_are_true(world: World) -> None:
    scheduler, model = Scheduler(world.config), Model(world.config)
    for event in world.events:
        assert scheduler.step(event) == model.step(event)
        model._walk()  # nothing can start; the walk shows who has claimed what
        for task in model.tasks():
            why = explain(scheduler, task.id)
            assert why.reason is expected_reason(model, task)
            assert why.position == model.position(task.id)
            assert why.passed_over_since == model.passed_over.get(task.id)
            assert_numbers_are_right(why, model, task)


def assert_numbers_are_right(why: Explanation, model: Model, task: ScheduledTask) -> None:
    devices = {device.name: device for device in model.devices}
    if why.reason is Reason.DELAYED:
        assert why.delayed_until == task.ready_at
    if why.reason in (Reason.FIRST_IN_LINE, Reason.HELD_BACK, Reason.BEHIND):
        assert why.device in devices
        assert why.units_short == max(0, task.units - devices[why.device].free)
    if why.reason is Reason.FIRST_IN_LINE:
        assert model.claims[why.device] == task
    if why.passed_over_since is not None and 0 < model.config.backfill_window < math.inf:
        assert why.passed_over_until == why.passed_over_since + model.config.backfill_window


@examples(40)
@given(worlds_of(Climate()))
def test_asking_changes_nothing(world: World) -> None:
    asked, quiet = Scheduler(world.config), Scheduler(world.config)
    for event in world.events:
        assert asked.step(event) == quiet.step(event)
        for task in list(asked.tasks()):
            asked.explain(task.id)
            asked.position(task.id)
        assert (asked.devices, list(asked.waiting())) == (quiet.devices, list(quiet.waiting()))
    assert asked.checkpoint() == quiet.checkpoint()
