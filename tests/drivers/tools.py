"""Tools for the pool's tests: tasks that end when the test says so, pools on a lot, and looks at what the lot keeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import attrs
import pytest

from parking_lot_core import MailboxKey, PoolConfig
from parking_lot_drivers import ResourcePool, current_task
from parking_lot_drivers.handle import TaskResult, result_of
from parking_lot_drivers.ports import Mailbox, Overview, TaskContext, TaskQueue
from tests.contracts.registry import Lot

#: How long a test waits for something that should happen at once, in seconds.
SOON = 10.0


async def until(condition: Callable[[], object], seconds: float = SOON) -> None:
    """Wait until ``condition`` holds, and fail if it does not in time."""
    with anyio.move_on_after(seconds):
        while not condition():  # noqa: ASYNC110 (whatever may change it)
            await anyio.sleep(0.002)
        return
    pytest.fail(f"still not true after {seconds} s")


async def a_while(seconds: float = 0.05) -> None:
    """Long enough for anything that is about to happen by mistake."""
    await anyio.sleep(seconds)


async def echo(payload: Any) -> Any:
    """A task that returns its payload at once."""
    return payload


class Stage:
    """Tasks that run until the test ends them. The payload is the name of the task.

    ``ends`` counts what the executor was called for and came to an end, in whatever way.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running: dict[str, TaskContext] = {}
        self.cancelled: list[str] = []
        self._said: dict[str, object] = {}
        self._events: dict[str, anyio.Event] = {}

    async def __call__(self, name: str) -> object:
        """Run until ``end``; return, or raise, what it was given."""
        self.started.append(name)
        self.running[name] = current_task()
        event = self._events.setdefault(name, anyio.Event())
        try:
            await event.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.append(name)
            raise
        finally:
            del self.running[name]
        del self._events[name]
        said = self._said.pop(name)
        if isinstance(said, BaseException):
            raise said
        return said

    def end(self, *names: str, say: object = None) -> None:
        """End running tasks, with a result or an exception; or the next run of tasks that do not run yet."""
        for name in names:
            self._said[name] = say
            self._events.setdefault(name, anyio.Event()).set()

    async def on(self, *names: str) -> None:
        """Wait until exactly these tasks run."""
        with anyio.move_on_after(SOON):
            while sorted(self.running) != sorted(names):  # noqa: ASYNC110
                await anyio.sleep(0.002)
            return
        pytest.fail(f"expected {sorted(names)} to run, found {sorted(self.running)}")


class Tally:
    """Runs and the units that they hold, as the executor sees them."""

    def __init__(self, work: Callable[[Any], Awaitable[object]] = echo) -> None:
        self.work = work
        self.runs: list[tuple[str, int]] = []
        self.held: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def __call__(self, payload: Any) -> object:
        """Run ``work`` and keep count."""
        task = current_task()
        self.runs.append((task.task_id, task.epoch))
        self._hold(task, task.units)
        try:
            return await self.work(payload)
        finally:
            self._hold(task, -task.units)

    def _hold(self, task: TaskContext, units: int) -> None:
        held = self.held[task.device] = self.held.get(task.device, 0) + units
        self.most[task.device] = max(held, self.most.get(task.device, 0))


def pool_on(lot: Lot, work: Any, *, grace: float = 5.0, **policy: Any) -> ResourcePool:
    """A pool on the lot: 4 units, unless ``policy`` says otherwise, and retries without delay."""
    if "devices" not in policy:
        policy.setdefault("max_units", 4)
    policy.setdefault("retry_backoff", 0)
    return ResourcePool(PoolConfig(**policy), work, queue=lot.queue(), mailbox=lot.mailbox(), name="pool", grace=grace)


@attrs.frozen
class Seen:
    """What a lot keeps."""

    lot: Overview
    outcomes: dict[str, TaskResult]

    @property
    def is_empty(self) -> bool:
        """Whether there is no trace of any task."""
        return not (self.lot.parked or self.lot.running or self.lot.requests or self.outcomes)


async def look(queue: TaskQueue, mailbox: Mailbox, key: MailboxKey | None = None) -> Seen:
    """What a lot keeps, through a queue and a mailbox that are open."""
    messages = await mailbox.fetch(key or MailboxKey(), limit=10_000)
    return Seen(await queue.overview(), {each.delivery.task_id: result_of(each.delivery) for each in messages})


async def look_at(lot: Lot, key: MailboxKey | None = None) -> Seen:
    """What a lot keeps, through objects of its own where the store has such."""
    async with lot.opened_mailbox() as mailbox:
        if not lot.shared:
            return await look(lot.queue(), mailbox, key)
        async with lot.opened(schedule=False) as queue:
            return await look(queue, mailbox, key)
