"""The stores that must pass the contract. A new store adds one entry to ``STORES``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from parking_lot_drivers.ports import Mailbox, TaskQueue
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.stores.pgmq import PgmqQueue
from parking_lot_drivers.stores.postgres import PostgresMailbox, PostgresQueue
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.lots import Lot
from tests.postgres import server


class MemoryLot(Lot):
    """Dictionaries."""

    shared = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._queue = MemoryQueue()
        self._mailbox = MemoryMailbox()

    def queue(self) -> TaskQueue:
        return self._queue

    def mailbox(self) -> Mailbox:
        return self._mailbox

    def stranger(self) -> Mailbox:
        return SqliteMailbox(self.folder / "elsewhere.sqlite", "pool")


class SqliteLot(Lot):
    """One file with queue and mailbox."""

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

    exclusive = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "shared.sqlite"

    def queue(self) -> SharedSqliteQueue:
        return SharedSqliteQueue(self.file, "pool", poll=0.05)

    def mailbox(self) -> SharedSqliteMailbox:
        return SharedSqliteMailbox(self.file, "pool")

    def stranger(self) -> Mailbox:
        return SharedSqliteMailbox(self.folder / "elsewhere.sqlite", "pool")


class PostgresLot(Lot):
    """Queue and mailbox in tables of one Postgres database, made for this lot and dropped after it."""

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

    def stranger(self) -> Mailbox:
        return SqliteMailbox(self.folder / "elsewhere.sqlite", "pool")


class PgmqLot(PostgresLot):
    """The queue is a PGMQ queue."""

    def queue(self) -> TaskQueue:
        return PgmqQueue(self.url, "pool", queue_name="inference", poll=0.05)


STORES: Mapping[str, type[Lot]] = {
    "memory": MemoryLot,
    "sqlite": SqliteLot,
    "shared_sqlite": SharedSqliteLot,
    "postgres": PostgresLot,
    "pgmq": PgmqLot,
}
