"""How runs and tasks end."""

from __future__ import annotations

from parking_lot_core import Cancelled, OutcomeStatus, Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import FAILED, LOST, RETURNED, pool

SCENARIOS = [
    Scenario(
        "retries",
        "Failures are tried again after 1, 2 and 3 s (the longest backoff), until the attempts are used up.",
        pool(1, max_attempts=4, retry_backoff=1.0, retry_backoff_max=3.0),
        [
            submit("a", at=0),
            finish("a", 1, FAILED, error="boom", at=1),
            submit("b", at=1, max_attempts=1),
            Tick(2),
            finish("b", 1, LOST, at=2.5),
            finish("a", 2, LOST, error="killed", at=3),
            Tick(5),
            finish("a", 3, FAILED, at=6),
            Tick(8.75),
            Tick(9),
            finish("a", 4, FAILED, error="again", at=10),
        ],
    ),
    Scenario(
        "no backoff",
        "A backoff of 0 parks the task in the line at once, in its old place.",
        pool(1, retry_backoff=0.0, max_attempts=2),
        [
            submit("a", at=0),
            submit("b", at=1),
            finish("a", 1, FAILED, at=2),
            finish("a", 2, FAILED, value="kept", at=3),
        ],
    ),
    Scenario(
        "ends of every kind",
        "What each status does to a running task; RETURNED takes the attempt back, retryable=false gives up.",
        pool(8, max_attempts=2, retry_backoff=1.0),
        [
            *(submit(status.value, at=0) for status in OutcomeStatus),
            submit("final", at=0),
            Check(),
            *(finish(status.value, 1, status, error=f"was {status.value}", at=1) for status in OutcomeStatus),
            finish("final", 1, FAILED, retryable=False, at=1),
            finish("returned", 2, RETURNED, retryable=False, at=2),
            finish("returned", 3, FAILED, at=3),
        ],
    ),
    Scenario(
        "stale finishes",
        "Another epoch, a task that is parked, one that is gone and one that never was: counted, and nothing else.",
        pool(1, retry_backoff=5.0),
        [
            submit("a", at=0),
            submit("b", at=0),
            finish("a", 0, at=1),
            finish("a", 2, at=1),
            finish("b", 0, at=1),
            finish("nobody", 1, at=1),
            finish("a", 1, LOST, at=2),
            finish("a", 1, at=3),
            finish("b", 1, at=3),
            finish("b", 1, at=3),
            Tick(7),
            finish("a", 1, at=8),
            finish("a", 2, at=8),
        ],
    ),
    Scenario(
        "cancels",
        "Parked: gone at once. Running: interrupted, and its units stay taken until it ends. A success wins the race.",
        pool(2),
        [
            submit("a", 2, at=0),
            submit("b", 2, at=0),
            submit("c", 2, at=0),
            Cancelled("b", 1),
            Cancelled("a", 2),
            Check(),
            Cancelled("a", 2),
            Cancelled("nobody", 2),
            submit("a", 1, at=2),
            finish("a", 1, FAILED, error="stopped", value="lost", at=3),
            Cancelled("c", 4),
            finish("c", 1, value="in time", at=5),
            submit("d", 1, at=6, not_before=9.0),
            Cancelled("d", 7),
            Tick(9),
        ],
    ),
    Scenario(
        "run limits",
        "A run that reaches its limit is interrupted; whatever it says then, it timed out, and is not tried again.",
        pool(3, run_timeout=4.0),
        [
            submit("a", at=0),
            submit("b", at=0, run_timeout=4.0),
            submit("c", at=0, run_timeout=9.0),
            submit("d", at=1),
            Tick(3.75),
            Tick(4),
            Cancelled("a", 4),
            finish("a", at=5),
            finish("b", 1, FAILED, error="killed", at=5),
            Cancelled("c", 6),
            Tick(9),
            finish("c", 1, LOST, at=9),
            finish("d", at=10),
        ],
    ),
    Scenario(
        "a finish comes before the timers of its moment",
        "The end of a run at the very moment of its limit still counts; a submission then comes after the timers.",
        pool(1, run_timeout=4.0, max_queue_depth=2),
        [
            submit("a", at=0),
            submit("b", at=0, start_by=4.0),
            finish("a", at=4),
            submit("c", at=5),
            submit("d", at=5, start_by=9.0),
            submit("e", at=9),
        ],
    ),
]
