"""Clocks, deadlines and what is due."""

from __future__ import annotations

from parking_lot_core import CapacityChanged, Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import FAILED, pool

SCENARIOS = [
    Scenario(
        "clocks that run backwards",
        "A time before the latest one seen counts as the latest.",
        pool(1, timeout=5.0, retry_backoff=2.0),
        [
            submit("a", at=100),
            submit("b", at=40),
            finish("a", 1, FAILED, at=0),
            Tick(-5),
            Tick(101.75),
            Tick(102),
            Tick(102),
            finish("b", at=99),
            submit("c", at=3, start_by=50.0),
            Tick(104),
        ],
    ),
    Scenario(
        "timers in order",
        "Expiries and interrupts of one step come by due time, then by sequence, however late the tick is.",
        pool(4, run_timeout=6.0),
        [
            submit("r1", 2, at=0),
            submit("r2", 2, at=0, run_timeout=3.0),
            submit("p1", 4, at=0, start_by=6.0),
            submit("p2", 4, at=0, start_by=2.0),
            submit("p3", 4, at=0, start_by=3.0),
            submit("p4", 4, at=0, not_before=4.0, start_by=5.0),
            Tick(50),
            finish("r1", at=51),
            finish("r2", at=51),
        ],
    ),
    Scenario(
        "expiry comes before a start",
        "At start_by a task expires, even if its units come free at that moment.",
        pool(1),
        [
            submit("a", at=0),
            submit("b", at=0, start_by=3.0),
            submit("c", at=0, start_by=3.25),
            finish("a", at=3),
            submit("d", at=3, start_by=7.0),
            CapacityChanged("0", 2, 7),
            finish("c", at=8),
        ],
    ),
    Scenario(
        "one late tick for many moments",
        "Delays, gained classes and the end of a window that lie before a tick all count by then.",
        pool(4, aging=3.0, backfill_window=2.0, retry_backoff=1.0),
        [
            submit("a", 3, at=0),
            submit("head", 4, at=0),
            submit("s1", 1, at=0),
            submit("later", 1, "low", at=0, not_before=4.0),
            finish("s1", 1, FAILED, at=1),
            Tick(30),
            Check(),
            finish("a", at=31),
        ],
    ),
]
