"""Who is let in, and what is filled in then."""

from __future__ import annotations

from parking_lot_core import Cancelled, Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import FAILED, pool

SCENARIOS = [
    Scenario(
        "refusals",
        "Ids that are known, costs that no device ever had room for, and a full lot, in the order of the rules.",
        pool(4, max_queue_depth=3),
        [
            submit("a", 4, at=0),
            submit("b", 1, at=1),
            submit("a", 1, at=2),
            submit("b", 9, at=2),
            submit("huge", 5, at=2),
            submit("c", 1, at=3),
            submit("d", 1, at=4),
            submit("e", 5, at=4),
            Cancelled("a", 5),
            submit("f", 1, at=6),
            submit("a", 1, at=6),
            submit("g", 1, at=6),
            finish("a", at=7),
            submit("a", 2, at=8),
        ],
    ),
    Scenario(
        "retries own their places",
        "A running task keeps its place in the lot, since it may come back; one that is stopping has left it.",
        pool(2, max_queue_depth=2, retry_backoff=1.0),
        [
            submit("a", 1, at=0),
            submit("b", 1, at=0),
            submit("c", 1, at=0),
            finish("a", status=FAILED, error="boom", at=1),
            submit("d", 1, at=1),
            Tick(2),
            finish("b", at=3),
            submit("e", 1, at=3),
        ],
    ),
    Scenario(
        "defaults",
        "The pool's timeout and run_timeout are filled in at admission; a task's own come first.",
        pool(1, timeout=10.0, run_timeout=5.0, max_attempts=2),
        [
            submit("plain", at=1),
            submit("own", at=2, start_by=4.0, run_timeout=1.5, max_attempts=1),
            submit("waits", at=2),
            submit("too late", at=3, start_by=3.0),
            submit("long ago", at=3, start_by=1.0),
            Tick(4),
            Tick(6),
            finish("plain", at=7),
            Tick(12),
        ],
    ),
    Scenario(
        "delays",
        "A delayed task waits outside of the line; a delay in the past is none; a delay may outlast start_by.",
        pool(2),
        [
            submit("later", 2, at=0, not_before=5.0),
            submit("now", 1, at=1, not_before=1.0),
            submit("never", 1, at=1, not_before=9.0, start_by=8.0),
            submit("both", 1, at=2, not_before=5.0, start_by=5.0),
            finish("now", at=3),
            Tick(4.75),
            Tick(5),
            Check(),
            finish("later", at=6),
            Tick(8),
        ],
    ),
    Scenario(
        "words of every kind",
        "Ids, tenants, devices and errors are any text; an outcome's value is handed on as it is.",
        pool(devices={"GPU 0 — größer": 3, "日本": 2}, tenants={"Ωmega": 2}),
        [
            submit('naïve "id"\n', 3, at=0, tenant="Ωmega"),
            submit("😀", 2, at=0),
            submit("\u0000", 1, at=0, tenant="no one"),
            finish("😀", error="käputt", status=FAILED, retryable=False, at=1),
            finish('naïve "id"\n', value={"answer": [42, None, "x", {"deep": True}]}, at=2),
            finish("\u0000", value="text", at=3),
        ],
    ),
    Scenario(
        "large numbers",
        "Units up to 2^53, and times as clocks give them: sums of such floats round, the same everywhere.",
        pool(devices={"0": 2**53}, timeout=0.3, run_timeout=0.7, retry_backoff=0.1, aging=0.1),
        [
            submit("a", 2**53, at=1764000000.123),
            submit("b", 2**53 - 1, "low", at=1764000000.223, start_by=1764000001.7),
            submit("c", 1, "low", at=1764000000.223),
            Tick(1764000000.4),
            finish("a", status=FAILED, at=1764000000.423),
            Tick(1764000000.523),
            Tick(1764000000.5230002),
            Tick(1764000000.823),
            Tick(1764000001.123),
            Tick(1764000001.2230003),
            finish("b", at=1764000001.3),
            finish("c", at=1764000001.4),
        ],
    ),
]
