"""Values to rows and back. A row is a tuple in the order that ``columns.py`` gives.

Encoding trusts its input. Decoding trusts nothing, since a file may be damaged or edited by hand: it checks the type of
every column, then ranges, and raises ``Undecodable``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

from parking_lot_core import (
    MailboxKey,
    OutcomeStatus,
    Priority,
    ResourceCost,
    ScheduledTask,
    TaskMetadata,
    TaskState,
)
from parking_lot_drivers.ports import Delivery, Message, Request, StoredTask
from parking_lot_drivers.stores._text import keepable
from parking_lot_drivers.stores.sql.columns import OUTCOME, REQUEST, TASK, Row, Undecodable

_Member = TypeVar("_Member")

# Looked up by value: reading ``.value`` of an enum member takes three times as long as a dictionary.
_STATE_TEXT = {state: state.value for state in TaskState}
_STATES = {state.value: state for state in (TaskState.PARKED, TaskState.RUNNING, TaskState.STOPPING)}
_STATUS_TEXT: dict[OutcomeStatus | None, str | None] = {status: status.value for status in OutcomeStatus} | {None: None}
_STATUSES = {status.value: status for status in OutcomeStatus}
_PRIORITIES = {int(priority): priority for priority in Priority}

_INTEGER_MAX = 2**63 - 1
_WIDE_DIGITS = 40

#: The largest fair-share tag that the core gives. In a larger one the task's rank would be that of another class.
TAG_MAX = 2**96 - 1

#: The largest sequence, epoch and count of attempts that is read: a quarter of what databases keep, so that the ones
#: that follow can be kept too. Nothing counts that far; a row that says so is damaged, and would stop all others.
COUNT_MAX = 2**62


def wide(number: int) -> int | str:
    """A whole number ≥ 0 for a column that sorts by value beyond 64 bits too: text sorts after every integer."""
    return number if number <= _INTEGER_MAX else str(number).zfill(_WIDE_DIGITS)


def encode_task(pool: str, stored: StoredTask, payload: int) -> Row:
    """A row of ``TASK``; ``payload`` is the number of its row in the table of payloads."""
    task, box = stored.task, stored.mailbox
    metadata = task.metadata
    return (
        pool,
        metadata.id,
        _STATE_TEXT[task.state],
        int(metadata.priority),
        wide(task.tag),
        task.sequence,
        metadata.cost.units,
        metadata.tenant,
        task.epoch,
        task.attempts,
        task.admitted_at,
        task.ready_at,
        metadata.start_by,
        metadata.run_timeout,
        metadata.not_before,
        metadata.max_attempts,
        task.device,
        task.started_at,
        _STATUS_TEXT[task.stop_reason],
        box.tenant,
        box.user,
        box.session,
        payload,
    )


def encode_change(pool: str, task: ScheduledTask) -> Row:
    """The values of ``CHANGING``, then the key of the row."""
    return (
        _STATE_TEXT[task.state],
        task.epoch,
        task.attempts,
        task.ready_at,
        task.device,
        task.started_at,
        _STATUS_TEXT[task.stop_reason],
        pool,
        task.metadata.id,
    )


class TaskDecoder:
    """Decodes rows of ``TASK``. Equal costs and mailbox keys are made once, which saves memory at recovery."""

    def __init__(self) -> None:
        self._costs: dict[int, ResourceCost] = {}
        self._boxes: dict[tuple[str, str, str], MailboxKey] = {}
        self._words: dict[str, str] = {}

    def __call__(self, row: Row) -> tuple[ScheduledTask, MailboxKey]:
        """The task, and the mailbox its outcome goes to. Raises ``Undecodable``."""
        TASK.check(row)
        (_, task_id, state, priority, tag, sequence, units, tenant, epoch, attempts, admitted_at, ready_at) = row[:12]
        (start_by, run_timeout, not_before, max_attempts, device, started_at, stop_reason) = row[12:19]
        metadata = _metadata(
            task_id, self._cost(units), priority, self._word(tenant), start_by, run_timeout, not_before, max_attempts
        )
        task = ScheduledTask(
            metadata,
            _count("sequence", sequence, 1),
            _count("tag", tag if type(tag) is int else _whole("tag", tag), 0, TAG_MAX),
            _moment("admitted_at", admitted_at),
            _member("state", _STATES, state),
            _count("epoch", epoch, 0),
            _count("attempts", attempts, 0),
            ready_at if ready_at is None else _moment("ready_at", ready_at),
            None if device is None else self._word(device),
            started_at if started_at is None else _moment("started_at", started_at),
            None if stop_reason is None else _member("stop_reason", _STATUSES, stop_reason),
        )
        _check_run(task)
        return task, self._box(row[19:22])

    def _word(self, word: str) -> str:
        return self._words.setdefault(word, word)

    def _box(self, parts: tuple[str, str, str]) -> MailboxKey:
        box = self._boxes.get(parts)
        if box is None:
            box = self._boxes[parts] = MailboxKey(*map(self._word, parts))
        return box

    def _cost(self, units: int) -> ResourceCost:
        cost = self._costs.get(units)
        if cost is None:
            cost = self._costs[units] = _resource_cost(units)
        return cost


def encode_delivery(pool: str, delivery: Delivery) -> Row:
    """A row of ``OUTCOME`` without its cursor."""
    box = delivery.mailbox
    return (
        pool,
        delivery.task_id,
        delivery.epoch,
        box.tenant,
        box.user,
        box.session,
        _STATUS_TEXT[delivery.status],
        keepable(delivery.error),
        delivery.submitted_at,
        delivery.started_at,
        delivery.finished_at,
        delivery.result,
    )


def decode_message(row: Row) -> Message:
    """A message from a row of ``OUTCOME``. Raises ``Undecodable``."""
    OUTCOME.check(row)
    cursor, _, task_id, epoch, tenant, user, session, status, error, submitted_at, started_at, finished_at, result = row
    return Message(
        cursor,
        Delivery(
            task_id=task_id,
            epoch=_count("epoch", epoch, 0),
            mailbox=MailboxKey(tenant, user, session),
            status=_member("status", _STATUSES, status),
            error=error,
            result=result,
            submitted_at=_moment("submitted_at", submitted_at),
            started_at=started_at if started_at is None else _moment("started_at", started_at),
            finished_at=_moment("finished_at", finished_at),
        ),
    )


def encode_request(pool: str, request: Request) -> Row:
    """A row of ``REQUEST`` without its number, which the store gives."""
    box, task = request.mailbox, request.task
    wishes: Row = (None,) * 7
    if task is not None:
        wishes = (
            int(task.priority),
            task.cost.units,
            task.tenant,
            task.start_by,
            task.run_timeout,
            task.not_before,
            task.max_attempts,
        )
    return (pool, request.task_id, request.at, *wishes, box.tenant, box.user, box.session, request.payload)


def decode_request(row: Row) -> Request:
    """A request from a row of ``REQUEST``. Raises ``Undecodable``."""
    REQUEST.check(row)
    number, _, task_id, at, priority, units, tenant, start_by, run_timeout, not_before, max_attempts = row[:11]
    task = None
    if units is None:
        _check_cancellation(row)
    else:
        task = _metadata(
            task_id, _resource_cost(units), priority, tenant or "", start_by, run_timeout, not_before, max_attempts or 0
        )
    box = MailboxKey(*row[11:14])
    at = _moment("at", at)
    return Request(number=number, task_id=task_id, at=at, task=task, payload=row[14], mailbox=box)


def decode_payload(body: object) -> bytes:
    """A payload as it lies in its row. Whoever edits rows by hand writes text; it is taken for the bytes that it is.

    Anything else becomes bytes that are no payload, so that its task, when it starts, fails with words about it.
    """
    if isinstance(body, bytes):
        return body
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else f"not bytes: {body!r:.80}".encode()


def _check_cancellation(row: Row) -> None:
    """A request without units asks for a cancellation, and then for nothing else: else the units were lost."""
    for name, found in zip(REQUEST.names[4:], row[4:], strict=True):
        if found is not None and found != b"" and not name.startswith("box_"):
            raise Undecodable(f"units: expected int where {name} is {found!r:.80}, got None")


def _resource_cost(units: int) -> ResourceCost:
    try:
        return ResourceCost(units)
    except ValueError as error:
        raise Undecodable(str(error)) from None


def _metadata(
    task_id: str,
    cost: ResourceCost,
    priority: int,
    tenant: str,
    start_by: float | None,
    run_timeout: float | None,
    not_before: float | None,
    max_attempts: int,
) -> TaskMetadata:
    level = _member("priority", _PRIORITIES, priority)
    try:
        return TaskMetadata(task_id, cost, level, tenant, start_by, run_timeout, not_before, max_attempts)
    except ValueError as error:
        raise Undecodable(str(error)) from None


def _check_run(task: ScheduledTask) -> None:
    """A task holds a device, since a moment, exactly while it runs; a reason to stop, exactly while it stops."""
    running = task.state is not TaskState.PARKED
    if (task.device is not None) != running or (task.started_at is not None) != running:
        found = f"device {task.device!r} and started_at {task.started_at!r}"
        raise Undecodable(f"state: {task.state.value} does not go with {found}")
    if (task.stop_reason is not None) != (task.state is TaskState.STOPPING):
        raise Undecodable(f"state: {task.state.value} does not go with stop_reason {_STATUS_TEXT[task.stop_reason]!r}")


def _member(column: str, members: Mapping[Any, _Member], found: object) -> _Member:
    try:
        return members[found]
    except KeyError:
        allowed = ", ".join(map(str, members))
        raise Undecodable(f"{column}: expected one of {allowed}, got {found!r:.80}") from None


def _count(column: str, number: int, minimum: int, maximum: int = COUNT_MAX) -> int:
    if number < minimum:
        raise Undecodable(f"{column}: expected an integer ≥ {minimum}, got {number}")
    if number > maximum:
        raise Undecodable(f"{column}: expected an integer ≤ {maximum}, got {number}")
    return number


def _moment(column: str, seconds: float) -> float:
    if not -math.inf < seconds < math.inf:
        raise Undecodable(f"{column}: expected seconds since the Unix epoch, got {seconds!r}")
    return seconds


def _whole(column: str, found: object) -> int:
    if type(found) is int:
        return found
    try:
        return int(str(found))
    except ValueError:
        raise Undecodable(f"{column}: expected a whole number, got {found!r:.80}") from None
