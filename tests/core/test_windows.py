"""Examples of several heads that were passed over, each of which closes the device at its own time."""

from __future__ import annotations

import math

import pytest

from parking_lot_core import CapacityChanged, Event, OutcomeStatus, PoolConfig, Scheduler, Tick
from tests.core.play import Deliver, Play, Start, finish, submit

WINDOW = 3.0


def started(scheduler: Scheduler, event: Event) -> list[str]:
    """Whose runs ``event`` starts."""
    return [command.task.id for command in scheduler.step(event) if type(command).__name__ == "Start"]


def two_heads() -> Scheduler:
    """``z`` was passed over at 0; then ``b`` came, which ranks before it, and was passed over at 1. A unit is free."""
    scheduler = Scheduler(PoolConfig(max_units=8, backfill_window=WINDOW))
    assert started(scheduler, submit("long", 5, at=0)) == ["long"]
    assert started(scheduler, submit("z", 6, at=0)) == []
    assert started(scheduler, submit("passes z", 1, at=0)) == ["passes z"]
    assert started(scheduler, submit("b", 7, "high", at=1)) == []
    assert started(scheduler, submit("passes b", 1, at=1)) == ["passes b"]
    return scheduler


def restored(scheduler: Scheduler) -> Scheduler:
    """The same lot after a crash, with its rows in another order."""
    rows = sorted(scheduler.tasks(), key=lambda task: task.id)
    return Scheduler.restore(scheduler.config, rows, scheduler.checkpoint())


@pytest.mark.parametrize("crash", [False, True])
def test_a_task_that_waited_longer_closes_the_device_to_those_behind_it_though_a_later_head_may_be_passed(
    crash: bool,
) -> None:
    scheduler = restored(two_heads()) if crash else two_heads()
    assert started(scheduler, submit("behind z", 1, at=2.75)) == ["behind z"]
    assert started(scheduler, finish("behind z", at=2.75)) == []
    assert started(scheduler, submit("behind z again", 1, at=3)) == []
    assert started(scheduler, submit("between", 1, "high", at=3)) == ["between"]


@pytest.mark.parametrize("crash", [False, True])
def test_three_heads_close_the_device_one_after_the_other(crash: bool) -> None:
    scheduler = two_heads()
    assert started(scheduler, submit("a", 8, "critical", at=2)) == []
    assert started(scheduler, submit("passes a", 1, at=2)) == ["passes a"]
    scheduler = restored(scheduler) if crash else scheduler
    assert [started(scheduler, finish(f"passes {name}", at=2.5)) for name in "zba"] == [[], [], []]
    # ``z`` has waited for its window. ``b``, before it, has not.
    assert started(scheduler, submit("behind z", 1, at=3)) == []
    assert started(scheduler, submit("behind b", 1, "high", at=3)) == ["behind b"]
    # Now ``b`` has, and ``a`` has not.
    assert started(scheduler, submit("behind b again", 1, "high", at=4)) == []
    assert started(scheduler, submit("behind a", 1, "critical", at=4.75)) == ["behind a"]
    # At last nobody may pass any more.
    assert started(scheduler, submit("behind a again", 1, "critical", at=5)) == []


def test_a_head_that_the_device_has_become_too_small_for_does_not_close_it() -> None:
    scheduler = Scheduler(PoolConfig(max_units=8, backfill_window=WINDOW))
    assert started(scheduler, submit("long", 4, at=0)) == ["long"]
    assert started(scheduler, submit("big", 7, at=0)) == []
    assert started(scheduler, submit("passes big", 1, at=0)) == ["passes big"]
    scheduler.step(CapacityChanged("0", 6, at=1))
    assert started(scheduler, submit("head", 6, "high", at=1)) == []
    assert started(scheduler, submit("behind both", 1, "low", at=4)) == ["behind both"]


def test_a_head_that_is_promoted_closes_the_device_at_its_new_place() -> None:
    scheduler = Scheduler(PoolConfig(max_units=8, backfill_window=WINDOW, aging=5))
    assert started(scheduler, submit("long", 4, at=0)) == ["long"]
    assert started(scheduler, submit("c", 6, "low", at=0)) == []
    assert started(scheduler, submit("passes c", 1, "low", at=0)) == ["passes c"]
    assert started(scheduler, submit("later", 1, at=0, not_before=5.25)) == []
    assert started(scheduler, submit("a", 6, at=1)) == []
    assert started(scheduler, submit("passes a", 1, at=1)) == ["passes a"]
    assert started(scheduler, submit("h", 7, "high", at=4)) == []
    assert started(scheduler, submit("passes h", 1, "high", at=4)) == ["passes h"]
    assert started(scheduler, Tick(at=5)) == []  # ``c`` now ranks before ``later`` and ``a``
    assert started(scheduler, Tick(at=5.25)) == []
    assert started(scheduler, submit("before c", 1, "high", at=5.25)) == ["before c"]


def test_a_head_that_is_passed_over_after_its_promotion_closes_the_device_at_its_new_place() -> None:
    scheduler = Scheduler(PoolConfig(max_units=8, backfill_window=WINDOW, aging=5))
    assert started(scheduler, submit("long", 6, at=0)) == ["long"]
    assert started(scheduler, submit("head", 7, at=0)) == []
    assert started(scheduler, Tick(at=5)) == []  # now it is of the class "high"
    assert started(scheduler, submit("passes", 1, at=6)) == ["passes"]
    assert started(scheduler, submit("before", 8, "critical", at=7)) == []
    assert started(scheduler, submit("behind", 1, "high", at=9)) == []
    assert started(scheduler, submit("between", 1, "critical", at=9)) == ["between"]


def test_a_reservation_that_is_gone_lets_nobody_pass_any_more() -> None:
    """It was due at 101, and shorter runs could pass; then the device shrank, and nobody knows when the head starts."""
    scheduler = Scheduler(PoolConfig(max_units=8, backfill_window=WINDOW))
    assert started(scheduler, submit("endless", 6, at=0)) == ["endless"]
    assert started(scheduler, submit("other", 1, at=0)) == ["other"]
    assert started(scheduler, submit("head", 2, at=0)) == []
    assert started(scheduler, submit("passes", 1, at=0)) == ["passes"]
    assert started(scheduler, finish("passes", at=1)) == []
    assert started(scheduler, submit("limited", 1, at=1, run_timeout=100.0)) == ["limited"]
    assert started(scheduler, finish("other", at=2)) == []
    assert started(scheduler, submit("too long", 1, at=4, run_timeout=98.0)) == []
    assert started(scheduler, submit("short", 1, at=4, run_timeout=90.0)) == ["short"]
    assert started(scheduler, finish("short", at=4.25)) == []
    assert started(scheduler, CapacityChanged("0", 7, at=4.5)) == []
    assert started(scheduler, finish("limited", at=5)) == []
    assert started(scheduler, submit("short too", 1, at=5, run_timeout=10.0)) == []


# What the window is, and what it is not


@pytest.mark.parametrize("infinity", [math.inf, float("inf"), float("1e999")])
def test_a_window_without_end_means_first_fit_however_it_was_written(infinity: float) -> None:
    """A run that ends long after the head could start may pass it."""
    assert (
        Play(PoolConfig(max_units=8, backfill_window=infinity))
        >> submit("long", 6, at=0, run_timeout=10.0)
        << Start("long")
        >> submit("head", 8, at=0)
        >> submit("longer", 2, at=1, run_timeout=1000.0)
        << Start("longer")
    )


@pytest.mark.parametrize("window", [0, math.inf])
def test_without_reservations_the_head_waits_where_it_lacks_least_whatever_the_run_limits(window: float) -> None:
    """Device ``a`` will be free soon, by its run limit. But limits count only where there are reservations."""
    assert (
        Play(PoolConfig(devices={"a": 8, "b": 8}, backfill_window=window))
        >> submit("soon", 7, at=0, run_timeout=10.0)
        << Start("soon", device="a")
        >> submit("endless", 5, at=0)
        << Start("endless", device="b")
        >> submit("head", 6, at=0)
        >> submit("small", 1, at=0)
        << Start("small", device="a")
    )


def test_a_lot_that_is_strict_since_the_restart_forgets_nobody_who_was_passed_over() -> None:
    """Under another policy, marks of the old one neither open nor close anything; they are kept."""
    old = two_heads()
    strict = PoolConfig(max_units=8, backfill_window=0)
    scheduler = Scheduler.restore(strict, list(old.tasks()), old.checkpoint())
    assert scheduler.checkpoint().passed_over == (("b", 1), ("z", 0))
    assert (
        Play(scheduler)
        >> submit("small", 1, "critical", at=5)
        << Start("small")
        >> finish("small", at=6)
        << Deliver("small")
        >> submit("behind", 1, at=6)
        >> finish("long", status=OutcomeStatus.CANCELLED, at=7)
        << Deliver("long", OutcomeStatus.CANCELLED)
        >> finish("passes z", at=8)
        << Deliver("passes z")
        << Start("b")
    )
