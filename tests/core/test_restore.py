"""Examples of starting again from what was saved."""

from __future__ import annotations

import attrs

from parking_lot_core import Cancelled, CapacityChanged, OutcomeStatus, PoolConfig, Scheduler
from tests.core.play import Deliver, Enqueue, Play, Start, finish, submit

LOST = OutcomeStatus.LOST


def test_restore_gives_the_tasks_that_ran_to_whoever_reports_them_lost() -> None:
    first = Scheduler(PoolConfig(max_units=1, retry_backoff=0))
    first.step(submit("a", at=0))
    first.step(submit("b", at=1))
    again = Scheduler.restore(first.config, list(first.tasks()), first.checkpoint())
    assert again.devices[0].used == 1
    assert (
        Play(again)
        >> finish("a", 1, LOST, at=2)
        << Enqueue("a", attempts=1)
        << Start("a", epoch=2, attempts=2)
        >> submit("c", at=3)
        << Enqueue("c", sequence=3)
    )


def test_a_saved_capacity_counts_only_while_the_configured_one_is_the_same() -> None:
    first = Scheduler(PoolConfig(devices={"a": 8, "b": 4}))
    first.step(CapacityChanged("a", 5, at=0))
    first.step(CapacityChanged("b", 3, at=0))
    first.step(CapacityChanged("new", 2, at=0))
    again = Scheduler.restore(PoolConfig(devices={"a": 8, "b": 6}), [], first.checkpoint())
    assert {device.name: device.capacity for device in again.devices} == {"a": 5, "b": 6, "new": 2}


def test_a_task_keeps_its_units_on_a_device_that_is_gone() -> None:
    first = Scheduler(PoolConfig(devices={"old": 8}))
    first.step(submit("a", 8, at=0))
    again = Scheduler.restore(PoolConfig(devices={"new": 4}), list(first.tasks()), first.checkpoint())
    assert [(device.name, device.capacity, device.used) for device in again.devices] == [("new", 4, 0), ("old", 0, 8)]
    assert Play(again) >> finish("a", 1, at=1) << Deliver("a")


def test_a_device_that_is_gone_and_idle_is_forgotten() -> None:
    first = Scheduler(PoolConfig(devices={"old": 8}))
    again = Scheduler.restore(PoolConfig(devices={"new": 4}), [], first.checkpoint())
    assert [device.name for device in again.devices] == ["new"]


def test_who_was_passed_over_but_is_not_parked_any_more_is_forgotten() -> None:
    """A row that could not be read is missing; another was saved as running by a host that then died."""
    first = Scheduler(PoolConfig(max_units=8))
    for event in (submit("a", 6, at=0), submit("head", 6, at=1), submit("passes", 1, at=2)):
        first.step(event)
    saved = first.checkpoint()
    assert saved.passed_over == (("head", 2),)
    wrong = attrs.evolve(saved, passed_over=(("a", 1), ("gone", 1), ("head", 2)))
    again = Scheduler.restore(first.config, list(first.tasks()), wrong)
    assert again.checkpoint() == saved


def test_a_checkpoint_that_is_behind_the_rows_does_not_number_two_tasks_alike() -> None:
    first = Scheduler(PoolConfig(max_units=1))
    behind = first.checkpoint()
    for event in (submit("a", at=0), submit("b", at=0), submit("c", at=0)):
        first.step(event)
    again = Scheduler.restore(first.config, list(first.tasks()), behind)
    assert Play(again) >> submit("d", at=1) << Enqueue("d", sequence=4)


def test_a_capacity_that_was_saved_under_a_larger_configured_one_is_forgotten() -> None:
    first = Scheduler(PoolConfig(devices={"a": 8}))
    first.step(CapacityChanged("a", 7, at=0))
    again = Scheduler.restore(PoolConfig(devices={"a": 6}), [], first.checkpoint())
    assert [(device.name, device.capacity) for device in again.devices] == [("a", 6)]
    assert again.largest_device == 6


def test_a_stopping_task_holds_its_units_after_a_restart_and_no_place() -> None:
    first = Scheduler(PoolConfig(max_units=3))
    for event in (*(submit(name, at=0) for name in ("stops", "runs", "runs too")), Cancelled("stops", at=1)):
        first.step(event)
    again = Scheduler.restore(first.config, list(first.tasks()), first.checkpoint())
    assert (again.running_count, again.places_taken, again.devices[0].used) == (3, 2, 3)
    again.step(finish("stops", 1, at=2))
    assert (again.running_count, again.places_taken, again.devices[0].used) == (2, 2, 2)
