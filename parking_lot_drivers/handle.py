"""What ``submit`` returns, and what a mailbox gives to a person: decoded results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from parking_lot_core import Explanation, MailboxKey, OutcomeStatus, TaskState
from parking_lot_drivers.codec import decode
from parking_lot_drivers.errors import (
    TaskCancelled,
    TaskError,
    TaskExpired,
    TaskFailed,
    TaskLost,
    TaskRejected,
    TaskTimedOut,
)
from parking_lot_drivers.ports import Delivery, Mailbox, Message

if TYPE_CHECKING:
    from parking_lot_drivers._ticket import Ticket
    from parking_lot_drivers.pool import ResourcePool

_ERRORS: dict[OutcomeStatus, type[TaskError]] = {
    OutcomeStatus.FAILED: TaskFailed,
    OutcomeStatus.LOST: TaskLost,
    OutcomeStatus.TIMED_OUT: TaskTimedOut,
    OutcomeStatus.CANCELLED: TaskCancelled,
    OutcomeStatus.EXPIRED: TaskExpired,
    OutcomeStatus.REJECTED: TaskRejected,
}


@attrs.frozen(kw_only=True)
class TaskResult:
    """The outcome of one task, decoded. Times in seconds since the Unix epoch.

    ``cursor`` is its place in the mailbox (≥ 1; 0 if it was not read from one). ``value`` is the result of a task that
    succeeded; ``error`` says in a line why another did not.
    """

    task_id: str
    status: OutcomeStatus
    value: object = None
    error: str | None = None
    cursor: int = 0
    submitted_at: float
    started_at: float | None
    finished_at: float

    @property
    def succeeded(self) -> bool:
        """Whether there is a value."""
        return self.status is OutcomeStatus.SUCCEEDED

    def unwrap(self) -> object:
        """The value. Raises the ``TaskError`` that fits the status if there is none."""
        if self.succeeded:
            return self.value
        raise _ERRORS[self.status](self.task_id, self.status, self.error)


def result_of(delivery: Delivery, cursor: int = 0) -> TaskResult:
    """Decode a delivery."""
    return TaskResult(
        task_id=delivery.task_id,
        status=delivery.status,
        value=None if delivery.result is None else decode(delivery.result),
        error=delivery.error,
        cursor=cursor,
        submitted_at=delivery.submitted_at,
        started_at=delivery.started_at,
        finished_at=delivery.finished_at,
    )


class Results:
    """A mailbox as its readers see it. Reading destroys nothing."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def get(self, task_id: str) -> TaskResult | None:
        """The outcome of one task; ``None`` while it has none. Raises ``StoreError``."""
        message = await self._mailbox.get(task_id)
        return None if message is None else _read(message)

    async def fetch(self, key: MailboxKey | None = None, *, after: int = 0, limit: int = 100) -> list[TaskResult]:
        """Outcomes in one box, oldest first, at most ``limit`` (≥ 1); go on with ``after`` = the last one's cursor.

        ``key`` defaults to the box of tasks that were submitted without one. Raises ``StoreError``.
        """
        return [_read(message) for message in await self._mailbox.fetch(key or MailboxKey(), after=after, limit=limit)]


class TaskHandle:
    """A submitted task. It is durable (as far as the queue is) by the time that you hold this."""

    __slots__ = ("_pool", "_ticket", "task_id")

    def __init__(self, pool: ResourcePool, task_id: str, ticket: Ticket | None) -> None:
        self._pool = pool
        self._ticket = ticket
        self.task_id = task_id

    def __repr__(self) -> str:
        return f"<TaskHandle {self.task_id}>"

    async def outcome(self) -> TaskResult:
        """Wait for the end of the task, good or bad.

        Raises ``UnknownTask``, or ``PoolClosed`` if the pool stops first, or ``StoreError``.
        """
        if self._ticket is not None:
            return result_of(await self._ticket.outcome())
        return await self._pool.outcome(self.task_id)

    async def result(self) -> object:
        """Wait for the task's value. Raises the ``TaskError`` that fits if it ends in any other way."""
        return (await self.outcome()).unwrap()

    async def cancel(self) -> None:
        """Ask for the task to be stopped; await ``outcome`` to know that it has. Does nothing once it has ended."""
        await self._pool.cancel(self.task_id)

    async def status(self) -> TaskState | OutcomeStatus:
        """Parked, running or stopping; or how it ended. Raises ``UnknownTask``."""
        return await self._pool.status(self.task_id)

    def explain(self) -> Explanation | None:
        """Why the task stands where it stands; ``None`` once it has ended."""
        return self._pool.explain(self.task_id)


def _read(message: Message) -> TaskResult:
    return result_of(message.delivery, message.cursor)
