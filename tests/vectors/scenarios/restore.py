"""Going on from what was saved."""

from __future__ import annotations

import math

from parking_lot_core import Cancelled, CapacityChanged, Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Crash, Scenario
from tests.vectors.scenarios.words import FAILED, LOST, RETURNED, pool

_BUSY = [
    submit("a", 3, at=0, tenant="ann", run_timeout=20.0),
    submit("head", 4, "high", at=1, tenant="bob"),
    submit("s1", 1, at=1, tenant="ann", run_timeout=4.0),
    submit("s2", 1, at=1, tenant="cyd"),
    submit("later", 2, at=1, not_before=6.0, start_by=9.0),
    finish("s1", 1, FAILED, at=2),
]
_AFTER = [
    finish("s1", 1, at=3),
    submit("s3", 1, at=4, tenant="bob", run_timeout=1.0),
    Tick(6),
    finish("a", at=8),
    Tick(9),
    finish("head", at=10),
    finish("s1", 2, at=11),
]

SCENARIOS = [
    *(
        Scenario(
            f"restore, {name}",
            "A scheduler that is restored from the saved tasks and the checkpoint goes on as the one before it would.",
            pool(4, tenants={"ann": 2, "bob": 1}, **policy),
            [*_BUSY[:3], Crash(), *_BUSY[3:], Crash(), *_AFTER[:3], Crash(), *_AFTER[3:]],
        )
        for name, policy in (
            ("strict order", {"backfill_window": 0.0}),
            ("a window", {"backfill_window": 3.0, "retry_backoff": 0.5}),
            ("first fit and aging", {"backfill_window": math.inf, "aging": 2.0}),
            ("defaults", {"timeout": 8.0, "run_timeout": 6.0}),
        )
    ),
    Scenario(
        "restore while one is stopping",
        "Tasks saved as running or stopping hold their units until the driver says what became of them.",
        pool(4, retry_backoff=1.0),
        [
            submit("a", 2, at=0),
            submit("b", 2, at=0),
            submit("c", 4, at=0),
            Cancelled("a", 1),
            Crash(),
            Check(),
            finish("a", 1, LOST, at=2),
            finish("b", 1, LOST, error="the host died", at=2),
            Tick(3),
            finish("b", 2, RETURNED, at=4),
            Crash(),
            Tick(5),
        ],
    ),
    Scenario(
        "restore keeps what was measured",
        "A capacity that was announced counts on while the configured one is the same.",
        pool(devices={"b": 4, "a": 4}, backfill_window=0.0),
        [
            submit("t1", 4, at=0),
            CapacityChanged("a", 2, 1),
            CapacityChanged("new", 6, 1),
            submit("t2", 6, at=2),
            CapacityChanged("new", 0, 3),
            Crash(),
            Check(),
            submit("t3", 6, at=4),
            submit("t4", 7, at=4),
            submit("t5", 3, at=4),
        ],
    ),
    Scenario(
        "restore under another configuration",
        "Another configured capacity starts afresh; a device that is gone keeps a name, with no units, for its runs.",
        pool(devices={"b": 4, "a": 4}),
        [
            submit("t1", 3, at=0),
            submit("t2", 3, at=0),
            submit("t3", 4, at=0),
            CapacityChanged("a", 3, 1),
            Crash(pool(devices={"a": 5, "x": 1}, backfill_window=0.0, max_queue_depth=4)),
            Check(),
            finish("t1", 1, RETURNED, at=2),
            finish("t2", at=3),
            submit("t4", 1, at=4),
            submit("t5", 6, at=4),
        ],
    ),
    Scenario(
        "restore an empty lot",
        "Sequence numbers and fair-share tags go on, though no task is left.",
        pool(2, tenants={"ann": 2}),
        [
            submit("a", 2, at=0, tenant="ann"),
            submit("b", 2, at=0, tenant="ann"),
            finish("a", at=1),
            finish("b", at=2),
            Crash(),
            Check(),
            submit("c", 1, at=1, tenant="ann"),
            submit("d", 1, at=3, tenant="bob"),
        ],
    ),
]
