"""A lot as seen from a process that does not schedule it: submit, look, cancel, fetch, wait.

What a client asks for is durable in the lot when the call returns, also while no process schedules the lot. The next
one that does takes it up. In a lot that hosts share, submissions are tasks that wait from then on; in a lot of one
process they are requests, which that process admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import anyio
import anyio.to_thread

from parking_lot_core import Explanation, MailboxKey, PoolConfig, Priority
from parking_lot_drivers._arrivals import Arrivals
from parking_lot_drivers._entrance import ByCommit, ByRequest, Entrance, duplicate
from parking_lot_drivers._standing import Standing as Standing
from parking_lot_drivers._standing import Standings, explained
from parking_lot_drivers._submission import NewTask, Prepared, all_prepared, prepared
from parking_lot_drivers._transactions import Transactions
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.errors import ConfigError, TaskTooLarge, UnknownTask
from parking_lot_drivers.handle import Results, TaskResult
from parking_lot_drivers.ports import Host, Mailbox, Overview, Request, TaskQueue
from parking_lot_drivers.shared_ports import SharedQueue

_POLL_S = 0.02
_POLL_MAX_S = 0.5


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
        self._standings = Standings(queue, self._results)
        self._transactions = Transactions(queue, pool, policy)
        self._entrance: Entrance = ByRequest(queue, policy)
        self._arrivals: Arrivals | None = None
        together = mailbox is not None and queue.adopt(mailbox)
        if isinstance(queue, SharedQueue):
            self._entrance = ByCommit(queue, mailbox, policy, together=together)
            self._arrivals = None if mailbox is None else Arrivals(queue, mailbox)

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
        """Submit a task and return its id. The arguments are those of ``ResourcePool.submit``.

        ``timeout`` and ``delay`` count from now. In a lot of one process, a task that is refused later, because the
        pool has shrunk, ends as ``REJECTED`` in the mailbox, and one for which there is no room waits for it; in a lot
        that hosts share, ``QueueFull`` is raised here. Also raises ``TaskTooLarge``, ``DuplicateTask``,
        ``InvalidTask``, ``PayloadNotEncodable`` or ``StoreError``; then nothing of the task is kept, except that a
        connection that breaks in a commit leaves that open: submit again, with an ``idempotency_key``.
        """
        task = NewTask(
            payload,
            units=units,
            priority=priority,
            tenant=tenant,
            mailbox=mailbox,
            timeout=timeout,
            run_timeout=run_timeout,
            delay=delay,
            max_attempts=max_attempts,
            idempotency_key=idempotency_key,
            task_id=task_id,
        )
        found = prepared(self.pool, task, wall_time())
        await self._check_size([found])
        await self._enter([found])
        return found.metadata.id

    async def submit_many(self, tasks: Iterable[NewTask], *, wait: bool = False) -> list[str]:
        """Submit tasks in one transaction and return their ids, in order.

        All are checked and encoded before anything is sent: one that is bad refuses all, and the error names its place.
        If the lot has not room for all, ``QueueFull`` is raised, or with ``wait`` they wait for it. Raises like
        ``submit``.
        """
        found = all_prepared(self.pool, tasks, wall_time(), None)
        await self._check_size(found)
        if found:
            await self._enter(found, wait=wait, place=True)
        return [task.metadata.id for task in found]

    async def _enter(self, tasks: list[Prepared], *, wait: bool = False, place: bool = False) -> None:
        for number, task in enumerate(tasks):
            if task.named and not task.again_is_fine and await self._standings.find(task.metadata.id) is not None:
                error = duplicate(task.metadata.id)
                error.args = (f"tasks[{number}]: {error}",) if place else error.args
                raise error
        await self._entrance.enter(tasks, wait=wait)

    async def _check_size(self, tasks: list[Prepared]) -> None:
        largest = max(self.policy.budgets.values())
        if all(task.metadata.units <= largest for task in tasks):
            return
        if not isinstance(self._queue, SharedQueue):
            checkpoint = (await self.overview(limit=1)).checkpoint
            devices = checkpoint.devices if checkpoint else ()
            largest = max([largest, *(device.capacity_max for device in devices)])
        for place, task in enumerate(tasks):
            if task.metadata.units > largest:
                error = TaskTooLarge(task.metadata.units, largest)
                if len(tasks) > 1:
                    error.args = (f"tasks[{place}]: {error}",)
                raise error

    def submit_in(self, connection: Any, payload: object, **options: Any) -> str:
        """Submit in a transaction of yours: the task is kept if it commits, and never was if it rolls back.

        ``connection`` is a SQLAlchemy ``Connection`` or ``Session`` to the database where the queue is; ``options`` are
        those of ``submit``. The client need not be entered. Until you commit, others may have to wait: on an embedded
        file, all who write. Raises ``SubmitError``, ``ConfigError`` for a queue that is in no database,
        ``SchemaMissing``, and what SQLAlchemy raises.
        """
        return self._transactions.submit_in(connection, NewTask(payload, **options))

    async def submit_in_async(self, connection: Any, payload: object, **options: Any) -> str:
        """The same for an ``AsyncConnection`` or ``AsyncSession``."""
        return await self._transactions.submit_in_async(connection, NewTask(payload, **options))

    async def cancel(self, task_id: str) -> Standing:
        """Ask for a task to be stopped; does nothing if it has ended. Returns where it stood.

        Raises ``UnknownTask`` or ``StoreError``.
        """
        standing = await self.status(task_id)
        if standing.result is None:
            await self._queue.post(Request(number=0, task_id=task_id, at=wall_time()))
        return standing

    # -- looking -------------------------------------------------------------------------------------------------

    async def status(self, task_id: str) -> Standing:
        """Where a task stands, or how it ended. Raises ``UnknownTask`` or ``StoreError``."""
        standing = await self._standings.find(task_id)
        if standing is None:
            raise self._unknown(task_id)
        return standing

    async def explain(self, task_id: str) -> Explanation | None:
        """Why a task waits, by the lot as it was last saved; ``None`` if it is not in the queue.

        ``None`` also while no process schedules the lot: then it waits for one. Reads all tasks of the lot, without
        their payloads. Where several hosts share the lot, it speaks as if one host ran all that runs. Raises
        ``StoreError``.
        """
        if (await self.overview(limit=1)).host is None:
            return None
        loaded = await self._queue.load()
        shared = isinstance(self._queue, SharedQueue)
        return await anyio.to_thread.run_sync(explained, self.policy, loaded, task_id, shared)

    async def overview(self, *, limit: int = 20) -> Overview:
        """The lot as a whole, with the first ``limit`` waiting tasks. Raises ``StoreError``."""
        return await self._queue.overview(limit=limit)

    async def hosts(self) -> list[Host]:
        """The processes that schedule the lot at present. Raises ``StoreError``."""
        if isinstance(self._queue, SharedQueue):
            return await self._queue.hosts()
        host = (await self.overview(limit=1)).host
        return [] if host is None else [host]

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
                "fetch them; use yaque or postgres"
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
        waiter = None if self._arrivals is None or timeout <= 0 else self._arrivals.expect(None)
        try:
            for pause in _pauses():
                found = await mailbox.fetch(key, after=after, limit=limit)
                left = deadline - anyio.current_time()
                if found or left <= 0:
                    return found
                if waiter is None or self._arrivals is None:
                    await anyio.sleep(min(pause, left))
                    continue
                with anyio.move_on_after(left):
                    await self._arrivals.wait(waiter)
                waiter.arrived = False
        finally:
            if waiter is not None and self._arrivals is not None:
                self._arrivals.leave(waiter)
        raise AssertionError("unreachable")

    async def wait(self, task_id: str, timeout: float | None = None) -> TaskResult:
        """Wait for the end of a task.

        Raises ``TimeoutError`` after ``timeout`` seconds, ``UnknownTask``, ``ConfigError`` or ``StoreError``.
        """
        mailbox = self.check_mailbox()
        with anyio.fail_after(timeout):
            if self._arrivals is not None:
                return await self._wait_shared(self._arrivals, mailbox, task_id)
            if (ended := (await self.status(task_id)).result) is not None:
                return ended
            for pause in _pauses():
                if (result := await mailbox.get(task_id)) is not None:
                    return result
                await anyio.sleep(pause)
        raise AssertionError("unreachable")

    async def _wait_shared(self, arrivals: Arrivals, mailbox: Results, task_id: str) -> TaskResult:
        waiter = arrivals.expect(task_id)  # first, so that nothing is missed while one looks
        try:
            if (ended := (await self.status(task_id)).result) is not None:
                return ended
            while True:
                await arrivals.wait(waiter)
                if (result := await mailbox.get(task_id)) is not None:
                    return result
                waiter.arrived = False
        finally:
            arrivals.leave(waiter)

    async def result(self, task_id: str, timeout: float | None = None) -> object:
        """Wait for the value of a task. Raises the ``TaskError`` that fits if there is none, and like ``wait``."""
        return (await self.wait(task_id, timeout)).unwrap()


def _pauses() -> Iterator[float]:
    """Seconds between two looks: ever longer, up to a bound."""
    pause = _POLL_S
    while True:
        yield pause
        pause = min(1.5 * pause, _POLL_MAX_S)
