"""What a caller says about a task, checked, as the scheduler's metadata. The pool and its clients read it alike.

Whatever would be refused further on, by the scheduler or by a store, is refused here: one bad value must not fail the
batch that it would be saved in with others.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Iterable

import attrs

from parking_lot_core import MailboxKey, Priority, ResourceCost, TaskMetadata
from parking_lot_drivers.codec import encode
from parking_lot_drivers.errors import DuplicateTask, InvalidTask, SubmitError, TaskTooLarge

_WHOLE_MAX = 2**53


@attrs.frozen
class NewTask:
    """One task of ``submit_many``: what ``ResourcePool.submit`` takes, with the same meaning and defaults."""

    payload: object
    units: int = attrs.field(default=1, kw_only=True)
    priority: Priority | str = attrs.field(default=Priority.NORMAL, kw_only=True)
    tenant: str = attrs.field(default="", kw_only=True)
    mailbox: MailboxKey | None = attrs.field(default=None, kw_only=True)
    timeout: float | None = attrs.field(default=None, kw_only=True)
    run_timeout: float | None = attrs.field(default=None, kw_only=True)
    delay: float | None = attrs.field(default=None, kw_only=True)
    max_attempts: int | None = attrs.field(default=None, kw_only=True)
    idempotency_key: str | None = attrs.field(default=None, kw_only=True)
    task_id: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen(eq=False)
class Prepared:
    """A submission, checked and encoded.

    ``named``: whether the caller has chosen its id, so that it may be taken. ``again_is_fine``: whether that is no
    error, because the caller named it by an idempotency key.
    """

    metadata: TaskMetadata
    payload: bytes
    mailbox: MailboxKey
    named: bool
    again_is_fine: bool


def prepared(pool: str, task: NewTask, now: float, largest: int | None = None) -> Prepared:
    """Check and encode one task, submitted ``now`` (seconds since the Unix epoch).

    ``largest``: the most units that it may need, if that is known. Raises ``InvalidTask``, ``PayloadNotEncodable`` or
    ``TaskTooLarge``.
    """
    metadata = metadata_of(
        task_id_of(pool, task.task_id, task.idempotency_key),
        now,
        units=task.units,
        priority=task.priority,
        tenant=task.tenant,
        timeout=task.timeout,
        run_timeout=task.run_timeout,
        delay=task.delay,
        max_attempts=task.max_attempts,
    )
    if largest is not None and task.units > largest:
        raise TaskTooLarge(task.units, largest)
    keyed = task.idempotency_key is not None
    return Prepared(
        metadata, encode(task.payload), mailbox_of(task.mailbox, task.tenant), keyed or task.task_id is not None, keyed
    )


def all_prepared(pool: str, tasks: Iterable[NewTask], now: float, largest: int | None) -> list[Prepared]:
    """The same for the tasks of one call. What is raised names the task, by its place from 0.

    Also raises ``DuplicateTask`` if two of them have the same ``task_id``.
    """
    found: list[Prepared] = []
    ids: dict[str, bool] = {}
    for place, task in enumerate(tasks):
        try:
            if not isinstance(task, NewTask):
                raise InvalidTask(f"expected a NewTask, got {type(task).__name__}")
            each = prepared(pool, task, now, largest)
            task_id = each.metadata.id
            if task_id in ids and not (each.again_is_fine and ids[task_id]):
                raise DuplicateTask(f"task_id: {task_id!r} is that of an earlier task of the same call")
        except SubmitError as error:
            error.args = (f"tasks[{place}]: {error}",)
            raise
        ids[task_id] = each.again_is_fine
        found.append(each)
    return found


def task_id_of(pool: str, task_id: str | None, key: str | None) -> str:
    """The caller's id, one derived from an idempotency key, or a random one. Raises ``InvalidTask`` for two."""
    if key is not None:
        if task_id is not None:
            raise InvalidTask("task_id, idempotency_key: expected at most one of them, got both")
        if not isinstance(key, str) or not key:
            raise InvalidTask(f"idempotency_key: expected a non-empty string, got {key!r}")
        return "key-" + hashlib.sha256(f"{pool}\0{key}".encode(errors="surrogatepass")).hexdigest()[:32]
    if task_id is None:
        # Milliseconds first: ids that grow are inserted at one end of a store's index, not all over it.
        return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
    if task_id == "":
        raise InvalidTask("task_id: expected a non-empty string, got ''")
    return _text("task_id", task_id)


def mailbox_of(mailbox: MailboxKey | None, tenant: str) -> MailboxKey:
    """Where the outcome goes: by default the tenant's own box. Raises ``InvalidTask``."""
    if mailbox is None:
        return MailboxKey(tenant)
    if not isinstance(mailbox, MailboxKey):
        raise InvalidTask(f"mailbox: expected a MailboxKey, got {mailbox!r}")
    _text("mailbox.tenant", mailbox.tenant)
    _text("mailbox.user", mailbox.user)
    _text("mailbox.session", mailbox.session)
    return mailbox


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
    if timeout is not None:
        _seconds("timeout", timeout)
    if run_timeout is not None:
        _seconds("run_timeout", run_timeout)
    if delay is not None:
        _seconds("delay", delay, zero=True)
    if max_attempts is not None and (type(max_attempts) is not int or not 1 <= max_attempts <= _WHOLE_MAX):
        raise InvalidTask(f"max_attempts: expected an integer ≥ 1 (and at most 2^53), got {max_attempts!r}")
    try:
        return TaskMetadata(
            task_id,
            ResourceCost(units),
            _priority(priority),
            _text("tenant", tenant),
            None if timeout is None else now + timeout,
            run_timeout,
            None if delay is None else now + delay,
            max_attempts or 0,
        )
    except ValueError as error:
        raise InvalidTask(str(error)) from None


def check_capacity(device: str, units: int) -> None:
    """Whether a device can have so many units. Raises ``InvalidTask``."""
    if _text("device", device) == "":
        raise InvalidTask("device: expected a non-empty string, got ''")
    if type(units) is not int or not 0 <= units <= _WHOLE_MAX:
        raise InvalidTask(f"units: expected an integer ≥ 0 (and at most 2^53), got {units!r}")


def _priority(given: Priority | str) -> Priority:
    try:
        return Priority[given.upper()] if isinstance(given, str) else Priority(given)
    except (KeyError, ValueError):
        names = ", ".join(level.name.lower() for level in reversed(Priority))
        raise InvalidTask(f"priority: expected one of {names}, got {given!r}") from None


def _seconds(name: str, given: object, *, zero: bool = False) -> None:
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not number or not (0 < given <= sys.float_info.max or (zero and given == 0)):  # type: ignore[operator]
        raise InvalidTask(f"{name}: expected a number of seconds {'≥' if zero else '>'} 0, got {given!r}")


def _text(name: str, given: str) -> str:
    """``given``, if every store can keep it."""
    if not isinstance(given, str):
        raise InvalidTask(f"{name}: expected a string, got {given!r}")
    if not given.isascii():
        try:
            given.encode()
        except UnicodeEncodeError:
            raise InvalidTask(f"{name}: expected text without half surrogate pairs, got {given!r}") from None
    if "\0" in given:
        raise InvalidTask(f"{name}: expected text without zero characters, got {given!r}")
    return given
