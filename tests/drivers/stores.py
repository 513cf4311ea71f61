"""Real stores that the pool's tests can watch, hold up, and make fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import anyio
import attrs

from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Delivery, Loaded, Mailbox, Message, TaskQueue
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue


class Faults:
    """When a store fails. ``down``: at everything. ``at``: at these writes, counted from 1, ``before`` or ``after``
    the commit. ``after`` is the nasty one: all is kept, and nobody is told.
    """

    def __init__(self) -> None:
        self.down = False
        self.read_only = False
        self.writes = 0
        self.at: dict[int, str] = {}
        self.raised = 0

    def strike(self, moment: str) -> None:
        """Raise, if now is the time."""
        if self.at.get(self.writes) == moment:
            self.raised += 1
            raise StoreUnavailable(f"the store failed {moment} commit {self.writes}")

    def check(self, *, writing: bool = False) -> None:
        """Raise, if the store is down."""
        if self.down or (writing and self.read_only):
            self.raised += 1
            raise StoreUnavailable("the store is down" if self.down else "the disk is full")


class _FaultyQueue(TaskQueue):
    """For queues. ``unreadable``: whose payload cannot be read. ``payload_faults``: how many reads will fail."""

    faults: Faults
    unreadable: set[str]
    payload_faults: int

    def arm(self) -> None:
        """Make the faults possible."""
        self.faults = Faults()
        self.unreadable = set()
        self.payload_faults = 0

    async def load(self) -> Loaded:
        self.faults.check()
        return await super().load()  # type: ignore[safe-super]

    async def save(self, batch: Batch) -> None:
        self.faults.writes += 1
        self.faults.check(writing=True)
        self.faults.strike("before")
        await super().save(batch)  # type: ignore[safe-super]
        self.faults.strike("after")

    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        self.faults.check()
        if self.payload_faults > 0 or not self.unreadable.isdisjoint(task_ids):
            self.payload_faults -= 1
            raise StoreUnavailable("the disk failed to read")
        return await super().payloads(task_ids)  # type: ignore[safe-super]


class _FaultyMailbox(Mailbox):
    faults: Faults

    def arm(self) -> None:
        """Make the faults possible."""
        self.faults = Faults()

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        self.faults.writes += 1
        self.faults.check(writing=True)
        self.faults.strike("before")
        await super().deliver(deliveries)  # type: ignore[safe-super]
        self.faults.strike("after")

    async def get(self, task_id: str) -> Message | None:
        self.faults.check()
        return await super().get(task_id)  # type: ignore[safe-super]

    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        self.faults.check()
        return await super().ended(task_ids)  # type: ignore[safe-super]


class FaultyMemoryQueue(_FaultyQueue, MemoryQueue):
    """A queue in memory."""


class FaultyMemoryMailbox(_FaultyMailbox, MemoryMailbox):
    """A mailbox in memory."""


class FaultySqliteQueue(_FaultyQueue, SqliteQueue):
    """A queue in a file."""


class FaultySqliteMailbox(_FaultyMailbox, SqliteMailbox):
    """A mailbox in a file."""


FaultyQueue: TypeAlias = FaultyMemoryQueue | FaultySqliteQueue
FaultyMailbox: TypeAlias = FaultyMemoryMailbox | FaultySqliteMailbox

#: Kinds of queue and mailbox. In the last two they share no transaction.
KINDS = ("memory", "sqlite", "memory, sqlite", "sqlite, sqlite")


@attrs.define
class FaultyLot:
    """Queue and mailbox of one kind. Queues and mailboxes in memory stay the same objects; those in files are new."""

    kind: str
    folder: Path
    _memory_queue: FaultyMemoryQueue = attrs.field(factory=FaultyMemoryQueue, init=False)
    _memory_mailbox: FaultyMemoryMailbox = attrs.field(factory=FaultyMemoryMailbox, init=False)

    @property
    def together(self) -> bool:
        """Whether queue and mailbox share a transaction."""
        return "," not in self.kind

    def queue(self) -> FaultyQueue:
        """The queue, not open yet."""
        queue: FaultyQueue = self._memory_queue
        if self.kind.startswith("sqlite"):
            queue = FaultySqliteQueue(self.folder / "queue.sqlite", "pool")
        queue.arm()
        return queue

    def mailbox(self) -> FaultyMailbox:
        """The mailbox, not open yet."""
        mailbox: FaultyMailbox = self._memory_mailbox
        if self.kind.endswith("sqlite"):
            name = "queue.sqlite" if self.together else "mailbox.sqlite"
            mailbox = FaultySqliteMailbox(self.folder / name, "pool")
        mailbox.arm()
        return mailbox


class HeldQueue(SqliteQueue):
    """A queue in a file, whose saves stop before and after the commit until the test lets them go on."""

    def __init__(self, file: Path, pool: str) -> None:
        super().__init__(file, pool)
        self.stops = _Stops()

    async def save(self, batch: Batch) -> None:
        await self.stops.stop("before the save", batch)
        await super().save(batch)
        await self.stops.stop("after the save", batch)


class HeldMailbox(SqliteMailbox):
    """A mailbox in a file, whose deliveries are held up like the queue's saves, by the same ``stops``."""

    stops: _Stops

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        await self.stops.stop("before the delivery", deliveries)
        await super().deliver(deliveries)
        await self.stops.stop("after the delivery", deliveries)


class _Stops:
    """Where a held store stands, and the way on. It holds nothing up until ``hold`` is set."""

    def __init__(self) -> None:
        self.hold = False
        self._here: tuple[str, object] | None = None
        self._arrived = anyio.Event()
        self._go = anyio.Event()

    async def stop(self, where: str, what: object) -> None:
        if not self.hold:
            return
        self._here = (where, what)
        self._go = anyio.Event()
        self._arrived.set()
        await self._go.wait()

    async def at(self, where: str) -> object:
        """Wait until the store stands at ``where``; what it is about to keep, or has kept."""
        with anyio.fail_after(10):
            await self._arrived.wait()
        assert self._here is not None
        assert self._here[0] == where
        return self._here[1]

    def go(self) -> None:
        """Let the store go on to its next stop."""
        self._here = None
        self._arrived = anyio.Event()
        self._go.set()


def ids(tasks: Iterable[object]) -> list[str]:
    """Identifiers of tasks, stored tasks or deliveries."""
    return sorted(getattr(each, "task_id", None) or getattr(each, "task", each).id for each in tasks)  # type: ignore[attr-defined]
