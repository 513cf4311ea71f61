"""Queue and mailbox in Postgres tables, which any number of hosts may schedule at the same time."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from parking_lot_core import MailboxKey
from parking_lot_drivers.ports import Delivery, Mailbox, Message
from parking_lot_drivers.shared_ports import News
from parking_lot_drivers.stores._heartbeat import Ear
from parking_lot_drivers.stores._pruning import prune_outcomes
from parking_lot_drivers.stores._shared_queue import LEASE, POLL, SharedSqlQueue
from parking_lot_drivers.stores.sql import postgres_schema
from parking_lot_drivers.stores.sql.dialects import POSTGRES
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.postgres_connection import PostgresConnection, connect, database_of, told, where
from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase
from parking_lot_drivers.stores.sql.postgres_queue import PostgresSql
from parking_lot_drivers.stores.sql.postgres_schema import Part
from parking_lot_drivers.stores.sql.set_aside import BadRow
from parking_lot_drivers.stores.sql.shared_sql import HostRow, Policy, SharedSql
from parking_lot_drivers.stores.sql.shared_tables import SharedTables, checked, shared_tables
from parking_lot_drivers.stores.sql.statements import compiled

if TYPE_CHECKING:  # who imports it first tells that it is missing: ``stores/sql``
    from sqlalchemy import Connection

_NEWS = {"w": News.WORK, "o": News.OUTCOMES, "r": News.REQUESTS}


class PostgresMailbox(Mailbox):
    """Outcomes of one pool in ``table`` of the database at ``url``.

    ``wait_for_server``: for how many seconds ``open`` tries to reach a server that is down.
    """

    def __init__(
        self, url: str, pool: str, *, table: str = "parking_lot_results", wait_for_server: float = 0.0
    ) -> None:
        self.url = url
        self.table = checked(table)
        self._tables = shared_tables(outcomes=table)
        self.sql = MailboxSql(compiled(POSTGRES, self._tables.lot), pool)
        self._pool = pool
        self._database = PostgresDatabase(url, wait_for_server=wait_for_server, application_name="parking-lot mailbox")

    async def open(self) -> None:
        """Connect, and make the table if the database lacks it.

        Raises ``SchemaMissing``, ``StoreTooNew`` or ``StoreUnavailable``.
        """
        await self._database.open()
        try:
            await prepare(self._database, postgres_schema.parts(self._tables, queue=False))
        except BaseException:
            await self._database.aclose()
            raise

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Keep the outcomes of tasks that have none. Raises ``StoreUnavailable``."""

        def deliver(connection: Connection) -> None:
            connection.connection.cursor().execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self.table} {self._pool}",)
            )
            self.sql.deliver(connection, deliveries)

        await self._database.write(deliver)

    async def get(self, task_id: str) -> Message | None:
        """The outcome of one task. Raises ``StoreUnavailable``."""
        messages, bad = await self._database.read(lambda connection: self.sql.get(connection, task_id))
        await self._set_aside(bad)
        return messages[0] if messages else None

    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks that have an outcome. Raises ``StoreUnavailable``."""
        return await self._database.read(lambda connection: self.sql.ended(connection, task_ids))

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages of one box, oldest first. Raises ``ValueError`` for a limit < 1, and ``StoreUnavailable``."""
        if limit < 1:
            raise ValueError(f"limit: expected an integer ≥ 1, got {limit!r}")
        messages, bad = await self._database.read(lambda connection: self.sql.fetch(connection, key, after, limit))
        if not bad:
            return messages
        await self._set_aside(bad)
        return await self.fetch(key, after=after, limit=limit)

    async def prune(self, *, older_than: float) -> int:
        """Delete the outcomes of tasks that ended more than so many seconds ago; how many there were.

        Raises ``StoreUnavailable``; then some may be gone.
        """
        return await prune_outcomes(self._database, self.sql, older_than)

    async def aclose(self) -> None:
        """Disconnect."""
        await self._database.aclose()

    async def _set_aside(self, bad: Sequence[BadRow]) -> None:
        if bad:
            await self._database.write(lambda connection: self.sql.set_aside(connection, bad))


class PostgresQueue(SharedSqlQueue):
    """Tasks of one pool in ``table`` of the database at ``url``.

    Args:
        url: of the database, as ``postgresql://user:password@host:port/database``.
        pool: the pool's name.
        table: where tasks lie; other tables of the queue have names that begin with it.
        policy: the shared budget, the audit trail, the archive.
        lease: seconds that a host holds its tasks without a sign of life.
        poll: seconds between two looks without news.
        aging: whether the pool's tasks gain classes as they wait.
        wait_for_server: for how many seconds ``open`` tries to reach a server that is down.
    """

    def __init__(
        self,
        url: str,
        pool: str,
        *,
        table: str = "parking_lot_tasks",
        policy: Policy | None = None,
        lease: float = LEASE,
        poll: float = POLL,
        aging: bool = False,
        wait_for_server: float = 0.0,
    ) -> None:
        self.url = url
        self._table = checked(table)
        self._pool = pool
        self._policy = policy or Policy()
        self._tables = shared_tables(table)
        sql = PostgresSql(self._tables, pool, self._policy)
        self._database = PostgresDatabase(url, wait_for_server=wait_for_server, standstill=lease)
        super().__init__(
            sql,
            self._database,
            PostgresDatabase(url, application_name="parking-lot reader"),
            lambda row: PostgresEar(url, sql, row),
            lease=lease,
            poll=poll,
            aging=aging,
        )

    def _database_name(self) -> str | None:
        return database_of(self.url)

    def adopt(self, mailbox: Mailbox) -> bool:
        """True for a ``PostgresMailbox`` in the same database."""
        if not isinstance(mailbox, PostgresMailbox) or mailbox.url != self.url:
            return False
        self._tables = shared_tables(self._table, mailbox.table)
        self._sql = PostgresSql(self._tables, self._pool, self._policy)
        self._mailbox = mailbox.sql
        return True

    async def _prepare(self) -> None:
        await prepare(self._database, parts_of(self._tables))


def parts_of(tables: SharedTables) -> list[Part]:
    """The parts of the schema that a queue with these tables needs."""
    return postgres_schema.parts(tables)


async def prepare(database: PostgresDatabase, parts: Sequence[Part]) -> None:
    """Make tables that are missing altogether, and see that this version can use those that there are.

    Raises ``SchemaMissing`` for older ones, which ``parking-lot migrate`` upgrades, ``StoreTooNew``, or
    ``StoreUnavailable``, also where a right to make them is missing.
    """

    def make(connection: Connection) -> None:
        cursor = connection.connection.cursor()
        found = postgres_schema.versions(cursor)
        missing = [part for part in parts if part.name not in found]
        if missing:
            postgres_schema.migrate(cursor, missing, database.where)
        postgres_schema.check(cursor, parts, database.where)

    await database.write(make)


class PostgresEar(Ear):
    """Hears notifications of other hosts and clients, and renews the lease of ``row()``, if there is a row."""

    def __init__(self, url: str, sql: SharedSql, row: Callable[[], HostRow | None]) -> None:
        self._url = url
        self._sql = sql
        self._row = row
        self._where = where(url)
        self._connection: PostgresConnection | None = None
        self._woken, self._wake = os.pipe()

    def open(self) -> None:
        """Connect and listen."""
        with told(self._where):
            connection = connect(self._url, application_name="parking-lot heartbeat")
            self._connection = connection
            for channel in self._sql.channels:
                connection.execute(f'LISTEN "{channel}"')

    def wait(self, timeout: float) -> News:
        """What other hosts have told."""
        connection = self._connected()
        with told(self._where):
            ready, _, _ = select.select([connection.fileno(), self._woken], [], [], timeout)
            if self._woken in ready:
                os.read(self._woken, 1)
            news = News(0)
            row = self._row()
            for notice in connection.notifies(timeout=0):
                kinds, _, host = notice.payload.partition(" ")
                if row is None or host != row.id:
                    for kind in kinds:
                        news |= _NEWS.get(kind, News(0))
            return news

    def renew(self) -> bool:
        """Renew the lease."""
        row = self._row()
        if row is None:
            return True
        with told(self._where):
            return self._sql.renew_with(self._connected().cursor(), row)

    def tell(self, news: News) -> None:
        """Notify whoever listens."""
        row = self._row()
        kinds = "".join(letter for letter, kind in _NEWS.items() if kind in news)
        payload = f"{kinds} {'' if row is None else row.id}"
        with told(self._where):
            for channel in self._sql.channels:
                self._connected().execute("SELECT pg_notify(%s, %s)", (channel, payload))

    def wake(self) -> None:
        """End a wait."""
        with contextlib.suppress(OSError):
            os.write(self._wake, b"x")

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> PostgresConnection:
        assert self._connection is not None
        return self._connection

    def __del__(self) -> None:
        for end in (self._woken, self._wake):
            with contextlib.suppress(OSError):
                os.close(end)
