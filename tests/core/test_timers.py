"""Timers: what falls due when, and that those which mean nothing any more do not pile up."""

from __future__ import annotations

import math

from parking_lot_core import Cancelled, PoolConfig, Scheduler, Tick
from parking_lot_core.timers import Alarm, Timer, Timers
from tests.core.play import submit


def timers(*due: float, dead: tuple[str, ...] = ()) -> Timers:
    """Timers of tasks ``t1``, ``t2``, ... of which those in ``dead`` mean nothing any more."""

    def live(timer: Timer) -> bool:
        return timer[3] not in dead

    made = Timers(live)
    for sequence, moment in enumerate(due, start=1):
        made.set(moment, sequence, Alarm.EXPIRE, f"t{sequence}")
    return made


def test_without_timers_nothing_is_ever_due() -> None:
    made = timers()
    assert (made.earliest, made.next_due(), made.pop_due(1e9)) == (math.inf, None, None)


def test_timers_come_in_the_order_of_time_and_of_sequence() -> None:
    made = timers(5, 3, 5)
    assert made.earliest == 3
    assert made.next_due() == 3
    assert [made.pop_due(5) for _ in range(4)] == [
        (3, 2, Alarm.EXPIRE, "t2"),
        (5, 1, Alarm.EXPIRE, "t1"),
        (5, 3, Alarm.EXPIRE, "t3"),
        None,
    ]
    assert (made.earliest, made.next_due()) == (math.inf, None)


def test_what_is_not_due_yet_stays() -> None:
    made = timers(5)
    assert made.pop_due(4.75) is None
    assert (made.earliest, made.next_due()) == (5, 5)
    assert made.pop_due(5) == (5, 1, Alarm.EXPIRE, "t1")


def test_stale_timers_are_passed_over() -> None:
    made = timers(1, 2, 3, 4, dead=("t1", "t3"))
    assert (made.earliest, made.next_due(), made.earliest) == (1, 2, 2)
    assert made.pop_due(3) == (2, 2, Alarm.EXPIRE, "t2")
    assert made.pop_due(3) is None
    assert (made.earliest, made.next_due()) == (4, 4)


def test_compacting_drops_what_is_stale_or_doubled_and_keeps_the_rest_in_order() -> None:
    made = timers(*range(300, 0, -1), dead=tuple(f"t{n}" for n in range(1, 301) if n % 100))
    made.set(1, 300, Alarm.EXPIRE, "t300")
    made.compact(0)
    assert len(made._heap) == 3
    assert made.earliest == 1
    assert [timer[0] for timer in iter(lambda: made.pop_due(1e9), None)] == [1, 101, 201]


def test_compacting_finds_the_earliest_of_those_that_are_left() -> None:
    made = timers(1, 10, 2, *range(100, 200), dead=("t1", *(f"t{n}" for n in range(4, 200))))
    made.compact(0)
    assert (made.earliest, made.next_due()) == (2, 2)


def test_compacting_waits_until_it_is_worth_its_while() -> None:
    """Up to four timers a task, and some for nothing, are let be: so compacting costs little for each timer set."""
    dead = tuple(f"t{n}" for n in range(1, 200))
    fewer, few, many = (timers(*range(count), dead=dead) for count in (50, 104, 105))
    for made in (fewer, few, many):
        made.compact(10)
    assert (len(fewer._heap), len(few._heap), len(many._heap)) == (50, 104, 0)
    assert (few.earliest, many.earliest) == (0, math.inf)


def test_timers_of_tasks_that_are_gone_do_not_pile_up() -> None:
    scheduler = Scheduler(PoolConfig(max_units=1, timeout=1e6, run_timeout=1e6))
    scheduler.step(submit("runs", at=0))
    for n in range(2000):
        scheduler.step(submit(f"t{n}", at=n, not_before=n + 1e5))
        scheduler.step(Cancelled(f"t{n}", at=n))
        assert len(scheduler._lot.timers._heap) <= 80
    assert scheduler.next_deadline() == 1e6


def test_the_deadline_is_that_of_what_is_there() -> None:
    scheduler = Scheduler(PoolConfig(max_units=1))
    assert scheduler.next_deadline() is None
    scheduler.step(submit("runs", at=0, run_timeout=50.0))
    scheduler.step(submit("waits", at=0, start_by=20.0))
    assert scheduler.next_deadline() == 20
    scheduler.step(Cancelled("waits", at=1))
    assert scheduler.next_deadline() == 50
    scheduler.step(Tick(at=50))
    assert scheduler.next_deadline() is None
