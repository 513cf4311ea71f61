"""Examples of every rule about who starts, and who may pass whom, on one device.

For several devices: ``test_dispatch_devices.py``.
"""

from __future__ import annotations

import math
from typing import Any

from parking_lot_core import Cancelled, OutcomeStatus, PoolConfig, Tick
from tests.core.play import Deliver, Enqueue, Play, Start, finish, submit


def strict(**more: Any) -> PoolConfig:
    return PoolConfig(max_units=8, backfill_window=0, **more)


# Rank


def test_a_higher_class_starts_first_and_within_a_class_the_earlier_task() -> None:
    assert (
        Play(strict())
        >> submit("first", 8, at=0)
        << Start("first")
        >> submit("low", 8, "low", at=1)
        >> submit("normal", 8, at=2)
        >> submit("critical", 8, "critical", at=3)
        >> submit("normal2", 8, at=4)
        >> finish("first", at=5)
        << Deliver("first")
        << Start("critical")
        >> finish("critical", at=6)
        << Deliver("critical")
        << Start("normal")
        >> finish("normal", at=7)
        << Deliver("normal")
        << Start("normal2")
    )


def test_a_new_arrival_does_not_overtake_a_parked_task_of_its_rank_that_fits() -> None:
    assert (
        Play(strict())
        >> submit("a", 8, at=0)
        << Start("a")
        >> submit("b", 4, at=1)
        >> submit("c", 4, at=1)
        >> finish("a", at=2)
        << Deliver("a")
        << Start("b")
        << Start("c")
        >> submit("d", 4, "high", at=3)
        >> finish("b", at=4)
        << Deliver("b")
        << Start("d")
    )


def test_a_task_gains_a_class_for_every_aging_seconds_that_it_waits() -> None:
    play = (
        Play(strict(aging=10))
        >> submit("a", 8, at=0)
        << Start("a")
        >> submit("old", 8, "low", at=0)
        >> submit("new", 8, "normal", at=9)
    )
    assert play.scheduler.position("new") == 1
    assert play >> Tick(at=10)  # now both are of class NORMAL, and "old" came first
    assert play.scheduler.position("new") == 2
    assert play >> finish("a", at=10) << Deliver("a") << Start("old")


def test_a_task_that_chose_to_wait_ages_from_the_moment_it_chose() -> None:
    play = (
        Play(strict(aging=10))
        >> submit("a", 8, at=0)
        << Start("a")
        >> submit("patient", 8, "low", at=0, not_before=5.0)
        >> submit("new", 8, "normal", at=6)
        >> Tick(at=14)
    )
    assert play
    assert play.scheduler.position("patient") == 2
    assert play >> Tick(at=15)
    assert play.scheduler.position("patient") == 1


def test_no_class_is_higher_than_critical() -> None:
    play = (
        Play(strict(aging=1))
        >> submit("a", 8, at=0)
        << Start("a")
        >> submit("first", 8, "critical", at=1)
        >> submit("old", 8, "low", at=0)
        >> Tick(at=100)
    )
    assert play
    assert play.scheduler.position("old") == 2


# The window, without run limits


def test_window_zero_is_strict_order() -> None:
    assert (
        Play(strict())
        >> submit("a", 5, at=0)
        << Start("a")
        >> submit("head", 8, at=1)
        >> submit("small", 1, at=2)
        << Enqueue("small")
    )


def test_an_infinite_window_is_first_fit() -> None:
    play = (
        Play(PoolConfig(max_units=8, backfill_window=math.inf))
        >> submit("a", 5, at=0)
        << Start("a")
        >> submit("head", 8, at=1)
    )
    for number in range(100):
        play >> submit(f"small{number}", 1, at=1000 * number) << Start(f"small{number}")
        play >> finish(f"small{number}", at=1000 * number) << Deliver(f"small{number}")
    assert play


def test_the_head_is_passed_over_for_as_long_as_the_window_then_the_device_drains() -> None:
    play = (
        Play(PoolConfig(max_units=8, backfill_window=60))
        >> submit("a", 5, at=0)
        << Start("a")
        >> submit("head", 8, at=10)
        >> submit("s1", 1, at=20)  # the first pass: the window runs from here
        << Start("s1")
        >> submit("s2", 1, at=79.75)
        << Start("s2")
        >> submit("s3", 1, at=80)
        << Enqueue("s3")
        >> finish("s1", at=90)
        << Deliver("s1")
        >> finish("s2", at=91)
        << Deliver("s2")
        >> finish("a", at=92)
        << Deliver("a")
        << Start("head")
        >> finish("head", at=93)
        << Deliver("head")
        << Start("s3")
    )
    assert play


def test_the_window_is_forgotten_when_the_head_leaves() -> None:
    assert (
        Play(PoolConfig(max_units=8, backfill_window=60, retry_backoff=0))
        >> submit("a", 5, at=0)
        << Start("a")
        >> submit("head", 8, at=0)
        >> submit("s1", 1, at=0)
        << Start("s1")
        >> Cancelled("head", at=60)
        << Deliver("head", OutcomeStatus.CANCELLED)
        >> submit("head", 8, at=61)
        >> submit("s2", 1, at=62)
        << Start("s2")
    )


# EASY: with run limits


def easy() -> Play:
    """Five of eight units end at 100 at the latest, two at 50; the head needs six: it starts at 100, one is spare."""
    return (
        Play(PoolConfig(max_units=8, backfill_window=60))
        >> submit("long", 5, at=0, run_timeout=100.0)
        << Start("long")
        >> submit("short", 2, at=0, run_timeout=50.0)
        << Start("short")
        >> submit("head", 6, at=1)
    )


def test_a_task_may_pass_that_ends_before_the_head_can_start() -> None:
    assert easy() >> submit("quick", 1, at=10, run_timeout=90.0) << Start("quick")


def test_a_task_may_not_pass_that_would_end_later() -> None:
    play = easy() >> finish("short", at=5) << Deliver("short") >> submit("slow", 3, at=10, run_timeout=90.25)
    assert play
    assert play.scheduler.position("slow") == 2


def test_a_task_may_pass_on_units_that_the_head_will_not_need() -> None:
    assert easy() >> submit("forever", 1, at=10) << Start("forever")


def test_spare_units_are_given_once() -> None:
    assert (
        easy()
        >> submit("s1", 1, at=10)
        << Start("s1")
        >> finish("short", at=11)
        << Deliver("short")
        >> submit("s2", 1, at=12)
        << Start("s2")
        >> submit("s3", 1, at=13)
        << Enqueue("s3")
    )


def test_the_window_does_not_bound_what_delays_nobody() -> None:
    assert (
        easy()
        >> finish("short", at=50)
        << Deliver("short")
        >> submit("late", 3, at=99, run_timeout=1.0)
        << Start("late")
    )


def test_the_head_starts_when_its_reservation_says() -> None:
    assert (
        easy()
        >> submit("quick", 1, at=10, run_timeout=90.0)
        << Start("quick")
        >> finish("short", at=50)
        << Deliver("short")
        >> finish("quick", at=99)
        << Deliver("quick")
        >> finish("long", at=100)
        << Deliver("long")
        << Start("head")
    )


def test_a_reservation_holds_even_after_the_window() -> None:
    """A head that was passed over without a reservation gets one: then limits decide, not the window."""
    assert (
        Play(PoolConfig(max_units=8, backfill_window=10))
        >> submit("unlimited", 5, at=0)
        << Start("unlimited")
        >> submit("head", 8, at=0)
        >> submit("pass", 1, at=0)
        << Start("pass")
        >> submit("limited", 2, at=1, run_timeout=100.0)
        << Start("limited")
        >> finish("unlimited", at=2)
        << Deliver("unlimited")
        >> finish("pass", at=3)
        << Deliver("pass")
        >> submit("quick", 6, at=50, run_timeout=51.0)
        << Start("quick")
    )
