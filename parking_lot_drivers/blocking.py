"""A façade for synchronous programs: the pool runs on an event loop in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from parking_lot_core import Explanation, MailboxKey, OutcomeStatus, TaskState
from parking_lot_drivers._submission import NewTask
from parking_lot_drivers.errors import PoolClosed
from parking_lot_drivers.handle import TaskHandle, TaskResult
from parking_lot_drivers.pool import PoolStats, ResourcePool


class BlockingHandle:
    """A submitted task, for callers that block. Every method raises ``PoolClosed`` once the pool has stopped."""

    def __init__(self, pool: BlockingPool, handle: TaskHandle) -> None:
        self._pool = pool
        self._handle = handle
        self.task_id = handle.task_id

    def outcome(self, timeout: float | None = None) -> TaskResult:
        """Wait for the end of the task; ``TimeoutError`` after ``timeout`` seconds (the task goes on)."""
        portal, _ = self._pool.running()
        future = portal.start_task_soon(self._handle.outcome)
        try:
            return future.result(timeout)
        finally:
            future.cancel()  # nobody waits for it any more

    def result(self, timeout: float | None = None) -> object:
        """Wait for the task's value. Raises the ``TaskError`` that fits if it ends in any other way."""
        return self.outcome(timeout).unwrap()

    def cancel(self) -> None:
        """Ask for the task to be stopped."""
        self._pool.running()[0].call(self._handle.cancel)

    def status(self) -> TaskState | OutcomeStatus:
        """Parked, running or stopping; or how it ended."""
        return self._pool.running()[0].call(self._handle.status)

    def explain(self) -> Explanation | None:
        """Why the task stands where it stands; ``None`` once it has ended."""
        return self._pool.running()[0].call(self._handle.explain)


class BlockingPool:
    """``ResourcePool`` for synchronous programs. Use it as a context manager; any thread may call it.

    Args:
        make: makes the pool; called in the pool's own thread.
        backend: the event loop, ``asyncio`` or ``trio``.
    """

    def __init__(self, make: Callable[[], ResourcePool], *, backend: str = "asyncio") -> None:
        self._make = make
        self._backend = backend
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None
        self._pool: ResourcePool | None = None

    def __enter__(self) -> BlockingPool:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal(self._backend))
            pool = portal.call(self._make)
            stack.enter_context(portal.wrap_async_context_manager(pool))
            self._stack = stack.pop_all()
        self._portal, self._pool = portal, pool
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._portal = self._pool = None
        return self._stack.__exit__(kind, error, trace)

    def submit(self, payload: object, **options: Any) -> BlockingHandle:
        """Like ``ResourcePool.submit``, with the same options and errors."""
        portal, pool = self.running()

        async def submit() -> TaskHandle:
            return await pool.submit(payload, **options)

        return BlockingHandle(self, portal.call(submit))

    def submit_many(self, tasks: Iterable[NewTask], *, wait: bool = False) -> list[BlockingHandle]:
        """Like ``ResourcePool.submit_many``, with the same errors."""
        portal, pool = self.running()

        async def submit() -> list[TaskHandle]:
            return await pool.submit_many(tasks, wait=wait)

        return [BlockingHandle(self, handle) for handle in portal.call(submit)]

    def fetch(self, key: MailboxKey | None = None, *, after: int = 0, limit: int = 100) -> list[TaskResult]:
        """Like ``ResourcePool.mailbox.fetch``."""
        portal, pool = self.running()

        async def fetch() -> list[TaskResult]:
            return await pool.mailbox.fetch(key, after=after, limit=limit)

        return portal.call(fetch)

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        portal, pool = self.running()
        return portal.call(pool.stats)

    def join(self) -> None:
        """Wait until no task is parked or running."""
        portal, pool = self.running()
        portal.call(pool.join)

    def running(self) -> tuple[BlockingPortal, ResourcePool]:
        """The event loop's portal and the pool. Raises ``PoolClosed``."""
        if self._portal is None or self._pool is None:
            raise PoolClosed("the pool is not running: use it inside 'with'")
        return self._portal, self._pool
