"""The stores that must pass the contract. A new store adds one entry to ``STORES``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from parking_lot_drivers.ports import Mailbox, TaskQueue
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.stores.pgmq import PgmqQueue
from parking_lot_drivers.stores.postgres import PostgresMailbox, PostgresQueue
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from tests.postgres import server


class Lot:
    """Where one pool's tasks and outcomes are kept; here, in dictionaries.

    ``queue`` and ``mailbox`` give objects that look at the same tasks and outcomes each time, not opened yet. Where
    ``shared`` is false they give the same object each time, and there is nothing to reopen.
    """

    shared = False
    #: Whether only one object at a time may be open to schedule it.
    exclusive = True

    def __init__(self, folder: Path) -> None:
        """``folder``: an empty directory for this lot alone."""
        self.folder = folder
        self._queue = MemoryQueue()
        self._mailbox = MemoryMailbox()

    def drop(self) -> None:
        """Leave nothing behind outside of ``folder``."""

    def queue(self) -> TaskQueue:
        """The queue."""
        return self._queue

    def mailbox(self) -> Mailbox:
        """The mailbox that the queue can adopt."""
        return self._mailbox

    def stranger(self) -> Mailbox:
        """A mailbox that the queue cannot adopt."""
        return SqliteMailbox(self.folder / "elsewhere.sqlite", "pool")

    @asynccontextmanager
    async def opened(self, *, schedule: bool = True) -> AsyncIterator[TaskQueue]:
        """The queue, opened."""
        queue = self.queue()
        await queue.open(schedule=schedule)
        try:
            yield queue
        finally:
            await queue.aclose()

    @asynccontextmanager
    async def opened_mailbox(self) -> AsyncIterator[Mailbox]:
        """The mailbox, opened."""
        mailbox = self.mailbox()
        await mailbox.open()
        try:
            yield mailbox
        finally:
            await mailbox.aclose()


class SqliteLot(Lot):
    """One file with queue and mailbox."""

    shared = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "pool.sqlite"

    def queue(self) -> SqliteQueue:
        return SqliteQueue(self.file, "pool")

    def mailbox(self) -> SqliteMailbox:
        return SqliteMailbox(self.file, "pool")

    def stranger(self) -> Mailbox:
        return SqliteMailbox(self.folder / "elsewhere.sqlite", "pool")


class SharedSqliteLot(Lot):
    """One file with queue and mailbox, which any number of processes schedule."""

    shared = True
    exclusive = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "shared.sqlite"

    def queue(self) -> SharedSqliteQueue:
        return SharedSqliteQueue(self.file, "pool", poll=0.05)

    def mailbox(self) -> SharedSqliteMailbox:
        return SharedSqliteMailbox(self.file, "pool")


class PostgresLot(Lot):
    """Queue and mailbox in tables of one Postgres database, made for this lot and dropped after it."""

    shared = True
    exclusive = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = server.shared()
        self.url = self._server.database()

    def drop(self) -> None:
        self._server.drop(self.url)

    def queue(self) -> TaskQueue:
        return PostgresQueue(self.url, "pool", poll=0.05)

    def mailbox(self) -> PostgresMailbox:
        return PostgresMailbox(self.url, "pool")


class PgmqLot(PostgresLot):
    """The queue is a PGMQ queue."""

    def queue(self) -> TaskQueue:
        return PgmqQueue(self.url, "pool", queue_name="inference", poll=0.05)


STORES: Mapping[str, type[Lot]] = {
    "memory": Lot,
    "sqlite": SqliteLot,
    "shared_sqlite": SharedSqliteLot,
    "postgres": PostgresLot,
    "pgmq": PgmqLot,
}
