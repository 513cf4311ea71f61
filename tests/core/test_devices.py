"""One device's budget: what is free, and when what a task needs will be."""

from __future__ import annotations

import math

import attrs

from parking_lot_core import DeviceRecord, DeviceView, ScheduledTask, TaskState
from parking_lot_core.devices import Claim, Device, Shadow, planned_end
from tests.core.play import task


def run(task_id: str, units: int, started_at: float, run_timeout: float | None = None) -> ScheduledTask:
    waits = ScheduledTask(task(task_id, units=units, run_timeout=run_timeout), len(task_id), 0, 0.0)
    return attrs.evolve(waits, state=TaskState.RUNNING, device="0", started_at=started_at)


def test_units_are_taken_and_come_back() -> None:
    device = Device("0", 8)
    first, second = run("a", 3, 0.0), run("bb", 4, 0.0, 10.0)
    device.take(first)
    device.take(second)
    assert device.view() == DeviceView("0", capacity=8, used=7, free=1)
    device.release(first)
    assert device.view() == DeviceView("0", capacity=8, used=4, free=4)
    device.release(second)
    assert (device.free, device.ends) == (8, [])


def test_a_device_that_changes_remembers_the_most_that_it_had() -> None:
    device = Device("0", 8)
    device.take(run("a", 5, 0.0))
    for units, free in ((3, -2), (9, 4), (4, -1)):
        device.resize(units)
        assert (device.capacity, device.free) == (units, free)
    assert device.record() == DeviceRecord(device="0", configured=8, capacity=4, capacity_max=9)


def test_the_shadow_is_when_enough_runs_have_reached_their_limits() -> None:
    """Whatever is free beyond what is needed then is spare. Runs without a limit never count."""
    device = Device("0", 10)
    for it in (run("a", 3, 0.0, 20.0), run("bb", 2, 5.0, 5.0), run("ccc", 4, 0.0)):
        device.take(it)
    assert device.free == 1
    assert device.shadow(2) == Shadow(end=10.0, spare=1)
    assert device.shadow(3) == Shadow(end=10.0, spare=0)
    assert device.shadow(4) == Shadow(end=20.0, spare=2)
    assert device.shadow(6) == Shadow(end=20.0, spare=0)
    assert device.shadow(7) is None


def test_what_is_free_already_has_no_end_to_wait_for() -> None:
    device = Device("0", 10)
    device.take(run("a", 4, 0.0, 20.0))
    assert device.shadow(6) == Shadow(end=-math.inf, spare=0)
    assert device.shadow(4) == Shadow(end=-math.inf, spare=2)


def test_runs_that_end_together_come_back_by_sequence_whoever_started_first() -> None:
    device = Device("0", 10)
    late, early = run("late", 3, 5.0, 5.0), run("ea", 4, 0.0, 10.0)
    for it in (late, early):
        device.take(it)
    assert device.ends == [(10.0, 2, 4), (10.0, 4, 3)]
    assert planned_end(late) == planned_end(early) == 10.0
    device.release(late)
    assert device.ends == [(10.0, 2, 4)]


def test_a_claim_permits_what_its_terms_say() -> None:
    claim = Claim(1, run("head", 8, 0.0))
    assert not claim.permits(1, None, 0.0)
    assert not claim.permits(1, 1e-9, 0.0)
    claim.offer, claim.until = 2, 10.0
    assert claim.permits(2, None, 0.0)
    assert not claim.permits(3, None, 0.0)
    assert claim.permits(3, 4.0, 6.0)
    assert not claim.permits(3, 4.25, 6.0)
    claim.counted = True
    assert claim.permits(8, None, 0.0)
    claim.close()
    assert not claim.permits(1, 1.0, 0.0)
