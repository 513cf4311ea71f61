"""Examples of every rule about where a task starts, who waits for which device, and capacities that change."""

from __future__ import annotations

from typing import Any

from parking_lot_core import Cancelled, CapacityChanged, OutcomeStatus, PoolConfig
from tests.core.play import Deliver, Enqueue, Play, Start, finish, submit

# Several devices


def two(**more: Any) -> PoolConfig:
    return PoolConfig(devices={"big": 8, "small": 4}, **more)


def test_a_task_runs_where_it_leaves_the_least_room() -> None:
    assert (
        Play(two())
        >> submit("a", 3, at=0)
        << Start("a", device="small")
        >> submit("b", 2, at=0)
        << Start("b", device="big")
        >> submit("c", 1, at=0)
        << Start("c", device="small")
    )


def test_among_equals_the_device_that_was_configured_first_wins() -> None:
    assert Play(PoolConfig(devices={"z": 4, "a": 4})) >> submit("a", 1, at=0) << Start("a", device="z")


def test_a_blocked_head_does_not_idle_a_device_that_it_could_not_use() -> None:
    assert (
        Play(two(backfill_window=0))
        >> submit("a", 5, at=0)
        << Start("a", device="big")
        >> submit("head", 8, at=0)
        >> submit("s1", 4, at=0)
        << Start("s1", device="small")
        >> submit("s2", 3, at=0)
        << Enqueue("s2")
        >> finish("s1", at=1)
        << Deliver("s1")
        << Start("s2", device="small")
    )


def test_an_unclaimed_device_is_preferred_to_a_better_fit_that_a_head_waits_for() -> None:
    assert (
        Play(PoolConfig(devices={"x": 8, "y": 6}, backfill_window=60))
        >> submit("a", 6, at=0)
        << Start("a", device="y")
        >> submit("b", 6, at=0)
        << Start("b", device="x")
        >> finish("a", at=1)
        << Deliver("a")
        >> submit("head", 7, at=1)  # waits for x, where two units are free; y has six
        >> submit("s", 2, at=2)
        << Start("s", device="y")
    )


def test_the_head_waits_for_the_device_that_will_have_room_first() -> None:
    play = (
        Play(PoolConfig(devices={"x": 8, "y": 8}, backfill_window=60))
        >> submit("a", 7, at=0, run_timeout=100.0)
        << Start("a", device="x")
        >> submit("b", 8, at=0, run_timeout=20.0)
        << Start("b", device="y")
        >> submit("head", 8, at=1)  # x lacks fewer units, y has them sooner
        >> submit("s", 1, at=2)
        << Start("s", device="x")
    )
    assert play


def test_two_blocked_tasks_wait_for_two_devices() -> None:
    assert (
        Play(PoolConfig(devices={"x": 4, "y": 4}, backfill_window=0))
        >> submit("a", 3, at=0)
        << Start("a", device="x")
        >> submit("b", 3, at=0)
        << Start("b", device="y")
        >> submit("h1", 4, at=0)
        >> submit("h2", 4, at=0)
        >> submit("s", 1, at=0)
        << Enqueue("s")
        >> finish("b", at=1)
        << Deliver("b")
        << Start("h1", device="y")
        >> finish("a", at=2)
        << Deliver("a")
        << Start("h2", device="x")
    )


def test_a_task_whose_window_is_over_closes_a_device_though_others_wait_for_all_of_them() -> None:
    play = (
        Play(PoolConfig(devices={"x": 4, "y": 4}, backfill_window=10))
        >> submit("a", 3, at=0)
        << Start("a", device="x")
        >> submit("b", 3, at=0)
        << Start("b", device="y")
        >> submit("second", 2, at=0)  # waits for x
        >> submit("s1", 1, at=0)
        << Start("s1", device="y")  # y is unclaimed
        >> submit("s2", 1, at=0)
        << Start("s2", device="x")  # passes "second"
        >> submit("h1", 4, "high", at=5)
        >> submit("h2", 4, "high", at=5)
        >> finish("s2", at=6)
        << Deliver("s2")
        >> finish("s1", at=6)
        << Deliver("s1")
        >> submit("s3", 1, at=10)  # h1 has claimed x and h2 y, but "second" closes x
        << Start("s3", device="y")
        >> submit("s4", 1, at=10)
        << Enqueue("s4")
    )
    assert play


def test_a_closed_device_opens_when_the_task_that_closed_it_leaves() -> None:
    """While "second" closes the device, its window over, not even a spare unit is given away."""
    assert (
        Play(PoolConfig(max_units=5, backfill_window=1))
        >> submit("a", 1, at=0)
        << Start("a")
        >> submit("b", 1, at=0)
        << Start("b")
        >> submit("second", 4, at=0)
        >> submit("pass", 3, at=0, run_timeout=20.0)
        << Start("pass")
        >> submit("head", 3, "critical", at=5)  # at second 20 there will be room for it, and one unit to spare
        >> CapacityChanged("0", 6, at=11)
        >> submit("small", 1, at=15)
        << Enqueue("small")
        >> Cancelled("second", at=17)
        << Deliver("second", OutcomeStatus.CANCELLED)
        << Start("small")
    )


def test_a_device_is_closed_to_all_that_rank_behind_the_closing_task_now() -> None:
    """ "second" is older than "small", and once it has aged into the same class it ranks ahead of it."""
    assert (
        Play(PoolConfig(max_units=8, backfill_window=1, aging=10))
        >> submit("a", 5, at=0)
        << Start("a")
        >> submit("second", 4, "low", at=0)
        >> submit("pass", 1, "low", at=0)
        << Start("pass")
        >> submit("head", 8, "critical", at=5)
        >> submit("small", 1, at=10)
        << Enqueue("small")
    )


def test_a_task_that_fits_already_closes_the_device_on_which_it_fits() -> None:
    """Nothing has to end for "waits" on "x": that is sooner than any run on "y" may end."""
    assert (
        Play(PoolConfig(devices={"x": 8, "y": 8}, backfill_window=1))
        >> submit("a", 5, at=0)
        << Start("a", device="x")
        >> submit("b", 6, at=0)
        << Start("b", device="y")
        >> submit("waits", 4, at=0)
        >> submit("pass", 3, "low", at=0)
        << Start("pass", device="x")
        >> submit("r1", 3, "critical", at=2, run_timeout=98.0)
        >> submit("r2", 7, "critical", at=2, run_timeout=48.0)
        >> submit("h1", 8, "critical", at=2)
        >> submit("h2", 8, "critical", at=2)
        >> finish("a", at=2)
        << Deliver("a")
        << Start("r1", device="x")
        >> finish("b", at=2)
        << Deliver("b")
        << Start("r2", device="y")
        >> finish("pass", at=2)
        << Deliver("pass")
        >> submit("small", 1, "low", at=2, run_timeout=10.0)
        << Start("small", device="y")
    )


# Capacity


def test_a_drop_stops_new_starts_and_kills_nothing() -> None:
    play = (
        Play(PoolConfig(max_units=8))
        >> submit("a", 6, at=0)
        << Start("a")
        >> CapacityChanged("0", 4, at=1)
        >> submit("b", 1, at=2)
        << Enqueue("b")
    )
    assert play
    assert play.scheduler.devices[0].free == -2
    assert play >> finish("a", at=3) << Deliver("a") << Start("b")


def test_a_task_that_became_too_large_stays_parked_and_blocks_nobody() -> None:
    assert (
        Play(PoolConfig(max_units=8, backfill_window=0))
        >> CapacityChanged("0", 4, at=0)
        >> submit("large", 6, at=1)
        >> submit("small", 4, at=2)
        << Start("small")
        >> CapacityChanged("0", 10, at=3)
        << Start("large")
    )


def test_a_new_name_adds_a_device_at_the_end() -> None:
    assert (
        Play(PoolConfig(devices={"z": 2}))
        >> submit("a", 2, at=0)
        << Start("a", device="z")
        >> submit("b", 2, at=0)
        >> CapacityChanged("a", 2, at=1)
        << Start("b", device="a")
        >> finish("a", at=2)
        << Deliver("a")
        >> finish("b", at=2)
        << Deliver("b")
        >> submit("c", 2, at=3)
        << Start("c", device="z")
    )


def test_a_task_whose_window_is_over_but_that_no_device_can_take_any_more_closes_nothing() -> None:
    assert (
        Play(PoolConfig(devices={"a": 8, "b": 8}, backfill_window=3))
        >> submit("run a", 5, at=0)
        << Start("run a", device="a")
        >> submit("run b", 5, at=0)
        << Start("run b", device="b")
        >> submit("big", 7, at=0)
        >> submit("big too", 7, at=0)
        >> submit("small", 1, at=0)
        << Start("small", device="a")
        >> CapacityChanged("a", 6, at=4)
        >> CapacityChanged("b", 6, at=4)
        >> submit("head", 6, "high", at=4)
        >> submit("small too", 1, at=4)
        << Start("small too", device="b")
    )


def test_the_head_waits_for_one_device_though_a_larger_task_before_it_waits_for_none() -> None:
    """So who starts on the other one passes nobody."""
    play = (
        Play(PoolConfig(devices={"a": 8, "b": 8}, backfill_window=3))
        >> submit("run a", 4, at=0)
        << Start("run a", device="a")
        >> submit("run b", 5, at=0)
        << Start("run b", device="b")
        >> submit("big", 7, at=0)
        >> submit("big too", 7, at=0)
        >> submit("brief", 2, at=0)
        << Start("brief", device="b")
        >> finish("brief", at=1)
        << Deliver("brief")
        >> CapacityChanged("a", 6, at=4)
        >> CapacityChanged("b", 6, at=4)
        >> submit("head", 6, at=4)
        >> submit("small", 1, at=4)
        << Start("small", device="b")
    )
    assert play
    assert [task_id for task_id, _ in play.scheduler.checkpoint().passed_over] == ["big too"]
