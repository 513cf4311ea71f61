"""Who may pass a blocked head."""

from __future__ import annotations

import math

from parking_lot_core import Cancelled, Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import pool

SCENARIOS = [
    Scenario(
        "strict order",
        "With a window of 0 nothing passes a blocked head on its device.",
        pool(4, backfill_window=0.0),
        [
            submit("a", 3, at=0),
            submit("head", 3, at=1),
            submit("small", 1, at=2, run_timeout=1.0),
            Check(),
            finish("a", at=3),
            finish("head", at=4),
        ],
    ),
    Scenario(
        "first fit",
        "With an infinite window whatever fits starts, and the head is passed over for ever.",
        pool(4, backfill_window=math.inf),
        [
            submit("a", 3, at=0),
            submit("head", 4, at=1),
            submit("small", 1, at=2),
            Tick(1000),
            submit("next", 1, at=1001),
            finish("small", at=1002),
            Check(),
            finish("a", at=1003),
            finish("next", at=1004),
        ],
    ),
    Scenario(
        "a window without run limits",
        "Tasks pass the head for 3 s from the first pass on; then the device drains for it.",
        pool(4, backfill_window=3.0),
        [
            submit("a", 3, at=0),
            submit("head", 4, at=1),
            submit("s1", 1, at=2),
            finish("s1", at=3),
            submit("s2", 1, at=4),
            finish("s2", at=4.75),
            submit("s3", 1, at=5),
            Check(),
            finish("a", at=6),
            finish("head", at=7),
        ],
    ),
    Scenario(
        "a reservation by run limits",
        "EASY backfill: only what ends before the head's shadow start, or fits beside the head, may pass.",
        pool(8, backfill_window=3.0),
        [
            submit("a", 3, at=0, run_timeout=10.0),
            submit("b", 2, at=0, run_timeout=20.0),
            submit("head", 5, at=1),
            submit("long", 3, at=2, run_timeout=9.0),
            submit("short", 2, at=2, run_timeout=8.0),
            submit("spare", 1, at=2),
            Check(),
            finish("short", at=3),
            submit("brief", 2, at=9, run_timeout=1.0),
            finish("brief", at=9.5),
            Tick(10),
            finish("a", at=10.25),
            finish("b", at=11),
        ],
    ),
    Scenario(
        "run limits of some",
        "The runs with limits do not make enough room: no reservation, so the window counts, and passes are counted.",
        pool(4, backfill_window=3.0),
        [
            submit("a", 1, at=0, run_timeout=2.0),
            submit("b", 2, at=0),
            submit("head", 4, at=0),
            submit("s1", 1, at=1),
            Tick(2),
            finish("a", at=2),
            submit("s2", 1, at=2),
            finish("s1", at=5),
            submit("s3", 1, at=5),
            finish("b", at=6),
            finish("s2", at=7),
        ],
    ),
    Scenario(
        "runs that are stopping still count",
        "A cancelled run that does not end holds its units, and its planned end stays where it was.",
        pool(4, backfill_window=3.0, run_timeout=8.0),
        [
            submit("a", 3, at=0),
            submit("head", 4, at=1),
            Cancelled("a", 2),
            submit("s1", 1, at=2, run_timeout=6.0),
            submit("s2", 1, at=3, run_timeout=6.0),
            finish("s1", at=4),
            Tick(8),
            submit("s3", 1, at=9, run_timeout=0.25),
            finish("a", at=10),
        ],
    ),
    Scenario(
        "the default window",
        "A minute.",
        pool(2),
        [
            submit("a", 1, at=0),
            submit("head", 2, at=0),
            submit("s1", 1, at=0),
            finish("s1", at=59),
            submit("s2", 1, at=59),
            finish("s2", at=60),
            submit("s3", 1, at=60),
            finish("a", at=61),
        ],
    ),
    Scenario(
        "a head that leaves",
        "When the blocked head is cancelled or expires, what waited behind it goes on, and is passed over itself.",
        pool(4, backfill_window=1.0),
        [
            submit("a", 3, at=0),
            submit("head", 4, at=0),
            submit("second", 2, at=0, start_by=5.0),
            submit("third", 4, at=0),
            submit("s1", 1, at=0),
            finish("s1", at=1),
            submit("s2", 1, at=1),
            Cancelled("head", 2),
            finish("s2", at=3.5),
            submit("s3", 1, at=3.5),
            Tick(5),
            finish("a", at=6),
        ],
    ),
]
