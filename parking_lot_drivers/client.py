"""A lot as seen from a process that does not schedule it: submit, look, cancel, fetch, wait.

What a client asks for is durable in the lot when the call returns, also while no process schedules the lot. The next
one that does takes it up. Nothing here decides anything: that is the business of the scheduling process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import anyio.to_thread
import attrs

from parking_lot_core import (
    Explanation,
    MailboxKey,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ScheduledTask,
    Scheduler,
    TaskMetadata,
    TaskState,
)
from parking_lot_drivers._submission import mailbox_of, metadata_of, task_id_of
from parking_lot_drivers.codec import encode
from parking_lot_drivers.errors import ConfigError, DuplicateTask, TaskTooLarge, UnknownTask
from parking_lot_drivers.handle import Results, TaskResult
from parking_lot_drivers.ports import Host, Loaded, Mailbox, Overview, Request, TaskQueue
from parking_lot_drivers.shared_ports import SharedQueue

_POLL_S = 0.02
_POLL_MAX_S = 0.5
_PAGE = 1000


@attrs.frozen(kw_only=True)
class Standing:
    """Where one task stands. Times in seconds since the Unix epoch.

    Attributes:
        task_id: the task's id.
        state: ``TaskState.NEW`` while it is posted and no scheduling process has taken it yet; then its state in the
            queue; in the end how it ended.
        since: when it was posted, admitted, started or ended, whichever was last.
        metadata: what its submitter said; ``None`` once it has ended.
        task: how the scheduler keeps it; ``None`` before and after.
        result: its outcome; ``None`` before the end.
    """

    task_id: str
    state: TaskState | OutcomeStatus
    since: float
    metadata: TaskMetadata | None = None
    task: ScheduledTask | None = None
    result: TaskResult | None = None


class LotClient:
    """Any number of processes may each have one. Use it as an async context manager; entering raises ``StoreError``.

    Args:
        queue: the pool's queue; it is opened without scheduling.
        mailbox: the pool's mailbox; ``None`` if it cannot be read from here, which leaves ``fetch`` and
            ``wait`` without an answer.
        pool: name of the pool.
        policy: the pool's policy.
    """

    def __init__(self, queue: TaskQueue, mailbox: Mailbox | None, pool: str, policy: PoolConfig) -> None:
        self.pool = pool
        self.policy = policy
        self._queue = queue
        self._mailbox = mailbox
        self._results = None if mailbox is None else Results(mailbox)

    async def __aenter__(self) -> LotClient:
        try:
            if self._mailbox is not None:
                await self._mailbox.open()
            await self._queue.open(schedule=False)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._queue.aclose()
            if self._mailbox is not None:
                await self._mailbox.aclose()

    # -- asking for something ------------------------------------------------------------------------------------

    async def submit(
        self,
        payload: object,
        *,
        units: int = 1,
        priority: Priority | str = Priority.NORMAL,
        tenant: str = "",
        mailbox: MailboxKey | None = None,
        timeout: float | None = None,
        run_timeout: float | None = None,
        delay: float | None = None,
        max_attempts: int | None = None,
        idempotency_key: str | None = None,
        task_id: str | None = None,
    ) -> str:
        """Post a task and return its id. The arguments are those of ``ResourcePool.submit``.

        ``timeout`` and ``delay`` count from now. A post that is refused later, because the pool has shrunk, ends as
        ``REJECTED`` in the mailbox. Raises ``TaskTooLarge``, ``DuplicateTask``, ``InvalidTask``,
        ``PayloadNotEncodable`` or ``StoreError``; then nothing of the task is kept.
        """
        now = time.time()
        metadata = metadata_of(
            task_id_of(self.pool, task_id, idempotency_key),
            now,
            units=units,
            priority=priority,
            tenant=tenant,
            timeout=timeout,
            run_timeout=run_timeout,
            delay=delay,
            max_attempts=max_attempts,
        )
        body = encode(payload)
        await self._check_size(units)
        if task_id is not None and await self._find(task_id) is not None:
            raise DuplicateTask(f"task {task_id!r} is in the lot, or its outcome in the mailbox, already")
        request = Request(
            number=0, task_id=metadata.id, at=now, task=metadata, payload=body, mailbox=mailbox_of(mailbox, tenant)
        )
        await self._queue.post(request)
        return metadata.id

    async def cancel(self, task_id: str) -> Standing:
        """Ask for a task to be stopped; does nothing if it has ended. Returns where it stood.

        Raises ``UnknownTask`` or ``StoreError``.
        """
        standing = await self.status(task_id)
        if standing.result is None:
            await self._queue.post(Request(number=0, task_id=task_id, at=time.time()))
        return standing

    async def _check_size(self, units: int) -> None:
        largest = max(self.policy.budgets.values())
        if units <= largest:
            return
        checkpoint = (await self.overview(limit=1)).checkpoint
        largest = max([largest, *(device.capacity_max for device in checkpoint.devices)] if checkpoint else [largest])
        if units > largest:
            raise TaskTooLarge(units, largest)

    # -- looking -------------------------------------------------------------------------------------------------

    async def status(self, task_id: str) -> Standing:
        """Where a task stands, or how it ended. Raises ``UnknownTask`` or ``StoreError``."""
        standing = await self._find(task_id)
        if standing is None:
            raise self._unknown(task_id)
        return standing

    async def explain(self, task_id: str) -> Explanation | None:
        """Why a task waits, by the lot as it was last saved; ``None`` if it is not in the queue.

        ``None`` also while no process schedules the lot: then it waits for one. Reads all tasks of the lot, without
        their payloads. Raises ``StoreError``.
        """
        if (await self.overview(limit=1)).host is None:
            return None
        loaded = await self._queue.load()
        return await anyio.to_thread.run_sync(self._explain, loaded, task_id)

    def _explain(self, loaded: Loaded, task_id: str) -> Explanation | None:
        if loaded.checkpoint is None:
            return None
        scheduler = Scheduler.restore(self.policy, [task for task, _ in loaded.tasks], loaded.checkpoint)
        return scheduler.explain(task_id)

    async def overview(self, *, limit: int = 20) -> Overview:
        """The lot as a whole, with the first ``limit`` waiting tasks. Raises ``StoreError``."""
        return await self._queue.overview(limit=limit)

    async def hosts(self) -> list[Host]:
        """The processes that schedule the lot at present. Raises ``StoreError``."""
        if isinstance(self._queue, SharedQueue):
            return await self._queue.hosts()
        host = (await self.overview(limit=1)).host
        return [] if host is None else [host]

    async def _find(self, task_id: str) -> Standing | None:
        # A task moves from the requests to the queue to the mailbox. Looking in that order misses none; the first two
        # looks only spare most callers the slow one.
        found = await self._in_queue(task_id) or await self._in_mailbox(task_id)
        found = found or await self._among_requests(task_id)
        return found or await self._in_queue(task_id) or await self._in_mailbox(task_id)

    async def _in_queue(self, task_id: str) -> Standing | None:
        task = await self._queue.get(task_id)
        if task is None:
            return None
        since = task.admitted_at if task.started_at is None else task.started_at
        return Standing(task_id=task_id, state=task.state, since=since, metadata=task.metadata, task=task)

    async def _in_mailbox(self, task_id: str) -> Standing | None:
        result = None if self._results is None else await self._results.get(task_id)
        if result is None:
            return None
        return Standing(task_id=task_id, state=result.status, since=result.finished_at, result=result)

    async def _among_requests(self, task_id: str) -> Standing | None:
        after = 0
        while found := await self._queue.requests(after=after, limit=_PAGE):
            for request in found:
                if request.task_id == task_id and request.task is not None:
                    return Standing(task_id=task_id, state=TaskState.NEW, since=request.at, metadata=request.task)
            after = found[-1].number
        return None

    def _unknown(self, task_id: str) -> UnknownTask:
        if self._mailbox is None:
            return UnknownTask(
                f"the queue of pool {self.pool!r} has no task {task_id!r}; if it has ended, only the process that "
                "schedules the lot knows: it keeps the outcomes in its memory"
            )
        return UnknownTask(f"neither queue nor mailbox of pool {self.pool!r} knows a task {task_id!r}")

    # -- outcomes ------------------------------------------------------------------------------------------------

    def check_mailbox(self) -> Results:
        """The outcomes of the pool's tasks. Raises ``ConfigError`` if they cannot be read from here."""
        if self._results is None:
            raise ConfigError(
                f"pools.{self.pool}.mailbox: in_memory keeps outcomes in the scheduling process, where others cannot "
                "fetch them; use yaque"
            )
        return self._results

    async def fetch(
        self, key: MailboxKey | None = None, *, after: int = 0, limit: int = 100, timeout: float = 0
    ) -> list[TaskResult]:
        """Outcomes in one box, like ``Results.fetch``; waits up to ``timeout`` seconds for there to be any.

        Raises ``ConfigError`` or ``StoreError``.
        """
        mailbox = self.check_mailbox()
        deadline = anyio.current_time() + timeout
        for pause in _pauses():
            found = await mailbox.fetch(key, after=after, limit=limit)
            left = deadline - anyio.current_time()
            if found or left <= 0:
                return found
            await anyio.sleep(min(pause, left))
        raise AssertionError("unreachable")

    async def wait(self, task_id: str, timeout: float | None = None) -> TaskResult:
        """Wait for the end of a task.

        Raises ``TimeoutError`` after ``timeout`` seconds, ``UnknownTask``, ``ConfigError`` or ``StoreError``.
        """
        mailbox = self.check_mailbox()
        standing = await self.status(task_id)
        if standing.result is not None:
            return standing.result
        with anyio.fail_after(timeout):
            for pause in _pauses():
                if (result := await mailbox.get(task_id)) is not None:
                    return result
                await anyio.sleep(pause)
        raise AssertionError("unreachable")


def _pauses() -> Iterator[float]:
    """Seconds between two looks: ever longer, up to a bound."""
    pause = _POLL_S
    while True:
        yield pause
        pause = min(1.5 * pause, _POLL_MAX_S)
