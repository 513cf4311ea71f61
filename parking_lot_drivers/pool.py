"""``ResourcePool``: submit, wait, cancel, fetch. One source for asyncio, trio and Pyodide's event loop."""

from __future__ import annotations

import importlib
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    DeviceView,
    Explanation,
    MailboxKey,
    OutcomeStatus,
    PoolConfig,
    Priority,
    TaskState,
)
from parking_lot_drivers._asking import Asking
from parking_lot_drivers._loop import Loop
from parking_lot_drivers._requests import Requests
from parking_lot_drivers._retention import Retention
from parking_lot_drivers._sharing import Sharing
from parking_lot_drivers._submission import NewTask, all_prepared, check_capacity, prepared
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._transactions import Transactions
from parking_lot_drivers._turn import Word
from parking_lot_drivers.clock import Clock
from parking_lot_drivers.errors import PoolClosed, UnknownTask
from parking_lot_drivers.handle import Results, TaskHandle, TaskResult, result_of
from parking_lot_drivers.ports import Mailbox, Request, SetAside, TaskExecutor, TaskQueue

if TYPE_CHECKING:
    from parking_lot_drivers.client import LotClient
    from parking_lot_drivers.config import Settings


@attrs.frozen(kw_only=True)
class PoolStats:
    """A pool at one moment.

    Attributes:
        devices: capacity, used and free units of each device.
        parked: tasks that wait.
        running: tasks that run, those that are stopping included.
        waiting_for_room: submissions that wait because the lot is full.
        outcomes: how many tasks ended in each way since the pool was entered.
        set_aside: stored tasks that could not be read.
        degraded: why the store cannot be written at present; ``None`` when all is well.
    """

    devices: tuple[DeviceView, ...]
    parked: int
    running: int
    waiting_for_room: int
    outcomes: Mapping[OutcomeStatus, int]
    set_aside: tuple[SetAside, ...]
    degraded: str | None


class ResourcePool:
    """Runs tasks under a budget of resource units, and parks what does not fit.

    Use it as an async context manager. Leaving it stops in order: nothing new starts, what runs has ``grace`` seconds
    to finish, what is left is handed back to the queue, and parked tasks stay parked (in a durable queue).

    Args:
        config: the pool's policy.
        executor: what runs the tasks. A function will do: it is run in the event loop if it is async, else in threads.
        queue: where tasks wait; in memory unless given.
        mailbox: where outcomes go; in memory unless given.
        name: of the pool, for people and logs.
        grace: seconds that running tasks get when the pool stops.

    Raises ``StoreError`` on entering, if queue or mailbox cannot be used.
    """

    def __init__(
        self,
        config: PoolConfig,
        executor: TaskExecutor | Callable[..., Any],
        *,
        queue: TaskQueue | None = None,
        mailbox: Mailbox | None = None,
        name: str = "default",
        grace: float = 10.0,
    ) -> None:
        from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue

        if not isinstance(executor, TaskExecutor):
            from parking_lot_drivers.executors import executor_for

            executor = executor_for(executor)
        self.config = config
        self.name = name
        self._executor = executor
        self._queue = MemoryQueue() if queue is None else queue
        self._store = MemoryMailbox() if mailbox is None else mailbox
        self._grace = grace
        self._clock = Clock()
        self._loop = Loop(config, executor, self._queue, self._store, self._clock)
        self._requests = Requests(self._loop, self._queue, self._clock)
        self._retention = Retention(self._store)
        self._stack = AsyncExitStack()
        self._asking = Asking(self._loop, config, self._check_open)
        self._transactions = Transactions(self._queue, name, config)
        self._entered = False
        self._open = False
        #: The outcomes of this pool's tasks.
        self.mailbox = Results(self._store)

    # -- starting and stopping -----------------------------------------------------------------------------------

    async def __aenter__(self) -> ResourcePool:
        if self._entered:
            raise PoolClosed(f"pool {self.name!r} was entered before: a pool runs once, make a new one")
        self._entered = True
        try:
            await self._enter()
        except BaseExceptionGroup as group:
            error = _only(group)
            raise error from error.__cause__
        self._open = True
        return self

    async def _enter(self) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._shielded, self._store.aclose)
            await self._store.open()
            await self._queue.open()
            # Not before: a queue that another pool of this process has open is not ours to close.
            stack.push_async_callback(self._shielded, self._queue.aclose)
            await stack.enter_async_context(self._executor)
            group = await stack.enter_async_context(anyio.create_task_group())
            await self._loop.open(group)
            group.start_soon(self._loop.run, group)
            group.start_soon(self._watch)
            group.start_soon(self._retention.watch)
            self._stack = stack.pop_all()

    @property
    def _watcher(self) -> Requests | Sharing:
        """What brings in what others ask for, or have done."""
        return self._loop.sharing or self._requests

    async def _watch(self) -> None:
        await self._watcher.watch()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._open = False
        with anyio.CancelScope(shield=True):
            await self._stop()
        try:
            return await self._stack.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:  # a single error comes out as it went in: the task group is our business
            only = _only(group)
            if only is error:
                return None
            raise only from only.__cause__

    async def _stop(self) -> None:
        self._loop.stop_starting()
        with suppress(PoolClosed), anyio.move_on_after(self._grace):
            await self._loop.until(lambda: not self._loop.runs)
        self._loop.runs.hand_back()
        self._watcher.stop()
        self._retention.stop()
        self._loop.leave()
        await self._loop.ended.wait()

    @staticmethod
    async def _shielded(close: Callable[[], Awaitable[None]]) -> None:
        with anyio.CancelScope(shield=True):
            await close()

    # -- submitting ----------------------------------------------------------------------------------------------

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
        wait: bool = False,
    ) -> TaskHandle:
        """Ask for a task to be run. Returns when it is saved.

        Args:
            payload: what the executor's function gets: JSON-like values and ``bytes``.
            units: what it takes from its device while it runs (≥ 1).
            priority: class, as a ``Priority`` or its name in any case.
            tenant: whose share it counts against.
            mailbox: where its outcome goes; by default the tenant's own box.
            timeout: seconds that it may wait before it expires.
            run_timeout: seconds that each run may take.
            delay: seconds before it may start.
            max_attempts: starts that may fail or be lost before it is given up (≥ 1).
            idempotency_key: submitting the same key again gives the same task and the same answer.
            task_id: an identifier of your own; by default a random one. Not together with ``idempotency_key``.
            wait: wait for room instead of raising ``QueueFull``.

        Raises ``QueueFull``, ``TaskTooLarge``, ``DuplicateTask``, ``InvalidTask``, ``PayloadNotEncodable``,
        ``StoreUnavailable`` or ``PoolClosed``; then nothing of the task is kept. Only after ``StoreUnavailable`` that
        cannot always be known: submit again, under the same ``idempotency_key``.
        """
        self._check_open()
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
        found = prepared(self.name, task, self._clock.now())
        (ticket,) = await self._asking.submit([found], wait=wait)
        return TaskHandle(self, found.metadata.id, ticket)

    async def submit_many(self, tasks: Iterable[NewTask], *, wait: bool = False) -> list[TaskHandle]:
        """Submit tasks and return their handles, in order.

        All are checked and encoded before anything is saved: one that is bad refuses all, and the error names its
        place. So does a lot that has not room for all (``QueueFull``), unless they shall ``wait`` for it. They are
        saved in one transaction; on a queue that hosts share, 1000 at a time. Raises like ``submit``; if an id is taken
        by another process, or the store fails, in the very moment, some may be kept.
        """
        self._check_open()
        found = all_prepared(self.name, tasks, self._clock.now(), self._loop.admission.scheduler.largest_device)
        tickets = await self._asking.submit(found, wait=wait) if found else []
        return [TaskHandle(self, each.metadata.id, ticket) for each, ticket in zip(found, tickets, strict=True)]

    def submit_in(self, connection: Any, payload: object, **options: Any) -> str:
        """Submit in a transaction of yours: the task is kept if it commits, and never was if it rolls back.

        ``connection`` is a SQLAlchemy ``Connection`` or ``Session`` to the database where the queue is; ``options`` are
        those of ``submit``, but for ``wait``. Returns the id. The pool need not be entered. Once you have committed, it
        takes up the task: at once where hosts share the queue, else within a twentieth of a second.
        Until you commit, others may have to wait: on an embedded file, all who write.
        Raises ``SubmitError``, ``ConfigError`` for a queue that is in no database, ``SchemaMissing``, and what
        SQLAlchemy raises.
        """
        largest = self._loop.admission.scheduler.largest_device
        return self._transactions.submit_in(connection, NewTask(payload, **options), largest=largest)

    async def submit_in_async(self, connection: Any, payload: object, **options: Any) -> str:
        """The same for an ``AsyncConnection`` or ``AsyncSession``."""
        largest = self._loop.admission.scheduler.largest_device
        return await self._transactions.submit_in_async(connection, NewTask(payload, **options), largest=largest)

    @staticmethod
    def connect(settings: Settings | str | os.PathLike[str], name: str) -> LotClient:
        """A client of the pool ``name`` of these settings, or of this configuration file: it submits and fetches, and
        schedules nothing.

        Raises ``ConfigError``, also for a queue in memory, and ``MissingExtra``; entering the client raises
        ``StoreError``.
        """
        # By name: of stores and configurations the pool knows nothing.
        build = importlib.import_module("parking_lot_drivers.build")
        client: LotClient = build.build_client(settings, name)
        return client

    # -- asking --------------------------------------------------------------------------------------------------

    def handle(self, task_id: str) -> TaskHandle:
        """A handle for a task submitted earlier, by anyone."""
        return TaskHandle(self, task_id, self._loop.admission.find(task_id))

    async def outcome(self, task_id: str) -> TaskResult:
        """Wait for the end of a task, good or bad, whoever submitted it and wherever it runs.

        Raises ``UnknownTask``, or ``PoolClosed`` if the pool stops first, or ``StoreError``.
        """
        found = await self._loop.find(task_id)
        if found is None:
            raise UnknownTask(f"neither queue nor mailbox knows task {task_id!r}")
        if isinstance(found, Ticket):
            return result_of(await found.outcome())
        return result_of(found.delivery, found.cursor)

    async def status(self, task_id: str) -> TaskState | OutcomeStatus:
        """Where a task stands, or how it ended. Raises ``UnknownTask``."""
        task = self._loop.admission.scheduler.get(task_id)
        if task is None and self._loop.sharing is not None and await self.mailbox.get(task_id) is None:
            task = await self._queue.get(task_id)
        return (await self.outcome(task_id)).status if task is None else task.state

    async def cancel(self, task_id: str) -> None:
        """Ask for a task to be stopped. Does nothing if it has ended. Raises ``UnknownTask``."""
        self._check_open()
        if task_id not in self._loop.admission.live:
            if isinstance(await self.status(task_id), TaskState):  # another host has it
                await self._queue.post(Request(number=0, task_id=task_id, at=self._clock.now()))
            return
        self._loop.put(Word(Cancelled(task_id, self._clock.now())))

    def set_capacity(self, device: str, units: int) -> None:
        """Tell the pool that a device has more or fewer units now (≥ 0). Running tasks go on; a new name adds a device.

        Raises ``InvalidTask`` for anything but a non-empty name and a whole number ≥ 0, and ``PoolClosed``.
        """
        check_capacity(device, units)
        self._check_open()
        if self._loop.sharing is not None:
            self._loop.sharing.measured[device] = units
        self._loop.put(Word(CapacityChanged(device, units, self._clock.now())))

    def explain(self, task_id: str) -> Explanation | None:
        """Why a task stands where it stands; ``None`` if it has ended or is unknown."""
        return self._loop.admission.scheduler.explain(task_id)

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        scheduler = self._loop.admission.scheduler
        return PoolStats(
            devices=scheduler.devices,
            parked=scheduler.queue_depth,
            running=scheduler.running_count,
            waiting_for_room=len(self._loop.lobby),
            outcomes=dict(self._loop.outcomes),
            set_aside=tuple(self._loop.set_aside),
            degraded=None if self._loop.degraded is None else str(self._loop.degraded),
        )

    async def join(self) -> None:
        """Wait until no task is parked or running."""
        await self._loop.until(lambda: self._loop.idle)

    def _check_open(self) -> None:
        if not self._open or not self._loop.accepting:
            raise PoolClosed(f"pool {self.name!r} is not running: use it inside 'async with'")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception in a group, or the group if it holds several."""
    return group.exceptions[0] if len(group.exceptions) == 1 else group
