"""Who lives in a world: hosts, which schedule the lot, and clients, which only use it. Each dies and comes back."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from parking_lot_core import Finished, MailboxKey, Outcome, OutcomeStatus
from parking_lot_drivers import ResourcePool
from parking_lot_drivers._turn import Word
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.codec import encode
from parking_lot_drivers.errors import (
    DuplicateTask,
    PoolClosed,
    QueueFull,
    StoreError,
    StoreUnavailable,
    UnknownTask,
)
from parking_lot_drivers.handle import TaskHandle, TaskResult
from parking_lot_drivers.ports import PermanentFailure, TaskContext, TaskExecutor, TaskQueue, WorkerLost
from tests.simulator.plan import Intent, Spec
from tests.simulator.process import Process
from tests.simulator.stores import POOL

if TYPE_CHECKING:
    from tests.simulator.world import World

_AGAIN_S = 0.3
_FULL_S = 0.5
_TENANTS = ("", "acme", "umbrella")


class HostProcess(Process):
    """A process with a pool in it, and what it may use of its devices."""

    queue: TaskQueue
    pool: ResourcePool

    def __init__(self, world: World, name: str, told: dict[str, int], most: dict[str, int]) -> None:
        super().__init__(world, name)
        # What it was told, and (without a device) when its turns began, in order. While it recovers, a pool may go by
        # the most that it was ever told.
        self._heard: list[tuple[float, str, int]] = [(-1.0, device, units) for device, units in most.items()]
        self._heard += [(-1.0, "", 0), *((world.now(), device, units) for device, units in told.items())]

    def tell(self, device: str, units: int) -> None:
        """The pool is told how large a device is."""
        self._heard.append((self.world.now(), device, units))
        self.pool.set_capacity(device, units)

    def allowed(self, device: str) -> int:
        """How much of a device may be in use when a run starts: by what the pool knew when it decided on that."""
        # A run begins at the moment at which the turn ends that decided on it; the next one may begin just then, too.
        # What that turn decided on, one thing after the other, has come since the one before it began.
        now = self.world.now()
        began = [place for place, (at, name, _) in enumerate(self._heard) if not name and at < now][-2:][0]
        most = 0
        for place, (_, name, units) in enumerate(self._heard):
            if name == device:
                most = units if place < began else max(most, units)
        return most

    def watch(self, pool: ResourcePool) -> None:
        """Note when each turn of the pool's loop begins."""
        self.pool = pool
        turn = pool._loop._turn

        async def noted(*args: Any) -> None:
            if pool._open:
                self._heard.append((self.world.now(), "", 0))
            await turn(*args)

        pool._loop._turn = noted  # type: ignore[method-assign]


class Executor(TaskExecutor):
    """Runs tasks as their scripts say: some fail, hang, die, do not listen, or report twice."""

    def __init__(self, world: World, process: HostProcess) -> None:
        self._world = world
        self._process = process

    async def execute(self, payload: Any, context: TaskContext) -> object:
        """See ``TaskExecutor.execute``."""
        world = self._world
        run = world.observer.started(self._process, context)
        script = world.script(payload["task"], context.epoch)
        how = "cancelled"
        try:
            await self._process.gap(f"start of {context.task_id}")
            world.may_stand_still(self._process)
            if script.again is not None:
                world.spawn(self._report_again, context, script.again)
            try:
                await (anyio.sleep_forever() if script.kind == "hangs" else anyio.sleep(script.seconds))
            except anyio.get_cancelled_exc_class():
                if script.stubborn:
                    world.count("executor ignores its cancellation")
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(script.stubborn)
                if not script.wins:
                    raise
            how = {"ok": "returned", "lost": "lost"}.get(script.kind, "failed")
            if script.kind == "lost":
                raise WorkerLost("simulated: the worker died")
            if script.kind == "never":
                raise PermanentFailure("simulated: never")
            if script.kind == "fails":
                raise RuntimeError("simulated: failed")
            how = "returned"
            return {"task": payload["task"], "epoch": context.epoch}
        finally:
            world.observer.ended(run, how)

    async def _report_again(self, context: TaskContext, delay: float) -> None:
        """Once it is over, claim a success that never was; under the same start, so that nobody may listen."""
        loop = self._process.pool._loop
        while loop.runs.alive(context.task_id, context.epoch):  # noqa: ASYNC110
            await anyio.sleep(0.01)
        await anyio.sleep(delay)
        self._world.count("finish reported again")
        outcome = Outcome(OutcomeStatus.SUCCEEDED, value=encode("a lie"))
        for epoch in (context.epoch, context.epoch - 1):
            loop.put(Word(Finished(context.task_id, epoch, outcome, loop.clock.now())))


class Inhabitant(abc.ABC):
    """A user with a program, which is started again when it has died. What the user wants survives it."""

    def __init__(self, world: World, name: str, intents: list[Intent]) -> None:
        self.world = world
        self.name = name
        self.intents = list(intents)
        self.busy: dict[Intent, None] = {}
        self.awaited: dict[str, None] = {}
        self.process: Process | None = None
        self.leave = anyio.Event()
        self._lives = 0

    @property
    def content(self) -> bool:
        """Whether this user wants nothing more."""
        return not (self.intents or self.busy or self.awaited)

    async def supervise(self) -> None:
        """Start the program, again and again."""
        while True:
            self._lives += 1
            self.leave = anyio.Event()
            process = self.process = self._new_process(f"{self.name}.{self._lives}")
            ended = anyio.Event()
            process.at_death.append(ended.set)
            self.world.note(process.name, "begins")
            self.world.spawn(self._life, process, ended)
            await ended.wait()
            await self.pause()
            await anyio.sleep(self.world.restart_delay())

    async def pause(self) -> None:  # noqa: B027
        """Wait until there is a reason to begin again."""

    async def _life(self, process: Any, ended: anyio.Event) -> None:
        with process.surroundings():
            try:
                await self._live(process)
            except (StoreError, PoolClosed) as error:
                self.world.note(process.name, f"gives up: {error}")
            except Exception as error:
                if not self.world.over:
                    self.world.observer.violation("no crash", f"{process.name}: {type(error).__name__}: {error}")
                    self.world.broke(error)
        if not (process.dead or self.world.over):
            self.world.note(process.name, "ends")
            process.exit()
        ended.set()

    @abc.abstractmethod
    def _new_process(self, name: str) -> Process: ...

    @abc.abstractmethod
    async def _live(self, process: Any) -> None: ...

    async def _day(self, do: Callable[[Intent], Awaitable[None]], wait: Callable[[str], Awaitable[None]]) -> None:
        """Do what the user wants, when it is time."""
        async with anyio.create_task_group() as group:
            for intent in list(self.busy):
                group.start_soon(do, intent)
            for task_id in list(self.awaited):
                group.start_soon(wait, task_id)
            while self.intents:
                await anyio.sleep(max(0.0, self.intents[0].at - self.world.now()))
                intent = self.intents.pop(0)
                self.busy[intent] = None
                group.start_soon(do, intent)
            await self.stay()
            group.cancel_scope.cancel()

    async def stay(self) -> None:
        """Nothing more is wanted: stay until told to leave."""
        await self.leave.wait()

    async def submit(self, name: str, spec: Spec, keep: Callable[[], Awaitable[object]]) -> object:
        """Submit until it is clear whether the task is kept. Returns what ``keep`` does; ``None`` if it gave none."""
        observer, full = self.world.observer, 0
        while True:
            try:
                kept = await keep()
            except DuplicateTask:
                if spec.keyed:
                    observer.violation("idempotency", f"{spec.task_id} was refused as a duplicate")
                kept = None
            except QueueFull:
                full += 1
                if full > 5:
                    self.world.note(name, f"gives up on {spec.task_id}: full")
                    return None
                await anyio.sleep(_FULL_S)
                continue
            except StoreUnavailable:
                await anyio.sleep(_AGAIN_S)
                continue
            self.world.note(name, f"acknowledged {spec.task_id}")
            observer.acknowledged(spec.task_id)
            return kept

    async def see(self, task_id: str, look: Callable[[], Awaitable[TaskResult]]) -> None:
        """Wait for an outcome for as long as it takes, whatever comes between."""
        self.awaited[task_id] = None
        world = self.world
        while True:
            # Of a request that no scheduling process has read, a pool may know nothing.
            known = task_id in world.observer.acked and task_id not in world.lot.requested()
            try:
                result = await look()
            except PoolClosed:
                return
            except UnknownTask:
                if known:
                    world.observer.violation("nothing is lost", f"{task_id} was acknowledged, and is not known")
                if task_id not in world.observer.acked:
                    break
                await anyio.sleep(_AGAIN_S)
            except StoreError:
                await anyio.sleep(_AGAIN_S)
            else:
                self.world.observer.saw(result)
                break
        self.awaited.pop(task_id, None)


class Host(Inhabitant):
    """Schedules the lot, and submits to its own pool."""

    def __init__(self, world: World, name: str, intents: list[Intent]) -> None:
        super().__init__(world, name, intents)
        self.told = dict(world.plan.config.budgets)
        self.most = dict(self.told)

    def _new_process(self, name: str) -> Process:
        return HostProcess(self.world, name, self.told, self.most)

    def tell(self, device: str, units: int) -> None:
        """How large a device is, the pool hears now, or when it is there again."""
        self.told[device] = units
        self.most[device] = max(units, self.most[device])
        process = self.process
        if isinstance(process, HostProcess) and not process.stopped and hasattr(process, "pool") and process.pool._open:
            with process.surroundings():  # whoever says so
                process.tell(device, units)

    async def _live(self, process: HostProcess) -> None:
        world = self.world
        process.queue, mailbox = world.lot.open(process)
        pool = ResourcePool(
            world.plan.config,
            Executor(world, process),
            queue=process.queue,
            mailbox=mailbox,
            name=POOL,
            grace=1.0,
        )
        process.watch(pool)
        async with pool:
            world.note(process.name, "is open")
            for device, units in self.told.items():
                process.tell(device, units)

            async def do(intent: Intent) -> None:
                await self._do(process, intent)

            async def wait(task_id: str) -> None:
                await self.see(task_id, lambda: pool.outcome(task_id))

            await self._day(do, wait)

    async def _do(self, process: HostProcess, intent: Intent) -> None:
        pool, spec = process.pool, intent.spec
        try:
            if intent.what == "capacity" and not self.world.calm:
                self.tell(intent.device, intent.units)
                self.world.count("capacity told")
            elif intent.what == "fetch":
                for tenant in _TENANTS:
                    for result in await pool.mailbox.fetch(MailboxKey(tenant)):
                        self.world.observer.saw(result)
            elif spec is not None and intent.what == "cancel":
                self.world.observer.cancelled.add(spec.task_id)
                await pool.cancel(spec.task_id)
            elif spec is not None and intent.what == "await":
                self.busy.pop(intent, None)
                await self.see(spec.task_id, lambda: pool.outcome(spec.task_id))
            elif spec is not None:
                await self._submit(process, spec, intent)
        except PoolClosed:
            return  # it is done when the pool is there again
        except (StoreError, UnknownTask) as error:
            self.world.note(process.name, f"{intent.what}: {error}")
        self.busy.pop(intent, None)

    async def _submit(self, process: HostProcess, spec: Spec, intent: Intent) -> None:
        pool = process.pool

        async def keep() -> TaskHandle:
            return await pool.submit({"task": spec.key}, **spec.options(), wait=intent.wait)

        handle = await self.submit(process.name, spec, keep)
        if isinstance(handle, TaskHandle):
            self.awaited[spec.task_id] = None
            self.busy.pop(intent, None)
            await self._see_handle(pool, handle)

    async def _see_handle(self, pool: ResourcePool, handle: TaskHandle) -> None:
        first = True

        async def look() -> TaskResult:
            nonlocal first
            again, first = not first, False
            return await (pool.outcome(handle.task_id) if again else handle.outcome())

        await self.see(handle.task_id, look)


class Client(Inhabitant):
    """Submits from a process of its own, which comes and goes."""

    def _new_process(self, name: str) -> Process:
        return Process(self.world, name)

    async def pause(self) -> None:
        """A client that wants nothing is not started again."""
        if self.content:
            await anyio.sleep_forever()

    async def stay(self) -> None:
        """Leave when everything is answered."""
        while not self.content:  # noqa: ASYNC110
            await anyio.sleep(0.2)

    async def _live(self, process: Process) -> None:
        queue, mailbox = self.world.lot.open(process)
        async with LotClient(queue, mailbox, POOL, self.world.plan.config) as client:

            async def do(intent: Intent) -> None:
                await self._do(process, client, intent)

            async def wait(task_id: str) -> None:
                await self.see(task_id, lambda: client.wait(task_id))

            await self._day(do, wait)

    async def _do(self, process: Process, client: LotClient, intent: Intent) -> None:
        spec = intent.spec
        try:
            if intent.what == "fetch":
                for tenant in _TENANTS:
                    for result in await client.fetch(MailboxKey(tenant)):
                        self.world.observer.saw(result)
            elif spec is not None and intent.what == "cancel":
                self.world.observer.cancelled.add(spec.task_id)
                await client.cancel(spec.task_id)
            elif spec is not None and intent.what == "await":
                self.busy.pop(intent, None)
                await self.see(spec.task_id, lambda: client.wait(spec.task_id))
            elif spec is not None and await self.submit(
                process.name, spec, lambda: client.submit({"task": spec.key}, **spec.options())
            ):
                self.awaited[spec.task_id] = None
                self.busy.pop(intent, None)
                await self.see(spec.task_id, lambda: client.wait(spec.task_id))
        except (StoreError, UnknownTask) as error:
            self.world.note(process.name, f"{intent.what}: {error}")
        self.busy.pop(intent, None)
