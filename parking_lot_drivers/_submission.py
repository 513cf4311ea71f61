"""What a caller says about a task, checked, as the scheduler's metadata. The pool and its clients read it alike."""

from __future__ import annotations

import hashlib
import os

from parking_lot_core import Priority, ResourceCost, TaskMetadata
from parking_lot_drivers.errors import InvalidTask


def task_id_of(pool: str, task_id: str | None, key: str | None) -> str:
    """The caller's id, one derived from an idempotency key, or a random one. Raises ``InvalidTask`` for two."""
    if key is not None:
        if task_id is not None:
            raise InvalidTask("task_id, idempotency_key: expected at most one of them, got both")
        return "key-" + hashlib.sha256(f"{pool}\0{key}".encode(errors="surrogatepass")).hexdigest()[:32]
    return os.urandom(16).hex() if task_id is None else task_id


def metadata_of(
    task_id: str,
    now: float,
    *,
    units: int = 1,
    priority: Priority | str = Priority.NORMAL,
    tenant: str = "",
    timeout: float | None = None,
    run_timeout: float | None = None,
    delay: float | None = None,
    max_attempts: int | None = None,
) -> TaskMetadata:
    """The metadata of a task submitted ``now`` (seconds since the Unix epoch). Raises ``InvalidTask``."""
    try:
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout: expected seconds > 0, got {timeout!r}")
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts: expected an integer ≥ 1, got {max_attempts!r}")
        return TaskMetadata(
            task_id,
            ResourceCost(units),
            _priority(priority),
            tenant,
            None if timeout is None else now + timeout,
            run_timeout,
            None if delay is None else now + delay,
            max_attempts or 0,
        )
    except (ValueError, TypeError) as error:
        raise InvalidTask(str(error)) from None


def _priority(given: Priority | str) -> Priority:
    try:
        return Priority[given.upper()] if isinstance(given, str) else Priority(given)
    except (KeyError, ValueError):
        names = ", ".join(level.name.lower() for level in reversed(Priority))
        raise ValueError(f"priority: expected one of {names}, got {given!r}") from None
