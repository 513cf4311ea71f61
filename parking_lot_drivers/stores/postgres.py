"""Queue and mailbox in Postgres tables, which any number of hosts may schedule at the same time."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from parking_lot_drivers.ports import Delivery, Mailbox
from parking_lot_drivers.shared_ports import News
from parking_lot_drivers.stores._heartbeat import Ear
from parking_lot_drivers.stores._mailbox import SqlMailbox
from parking_lot_drivers.stores._shared_queue import LEASE, POLL, SharedSqlQueue
from parking_lot_drivers.stores.sql import postgres_schema
from parking_lot_drivers.stores.sql.dialects import POSTGRES
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.postgres_connection import PostgresConnection, connect, database_of, told, where
from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase
from parking_lot_drivers.stores.sql.postgres_queue import PostgresSql
from parking_lot_drivers.stores.sql.postgres_schema import Part
from parking_lot_drivers.stores.sql.shared_sql import HostRow, Policy, SharedSql
from parking_lot_drivers.stores.sql.shared_tables import SharedTables, checked, shared_tables
from parking_lot_drivers.stores.sql.statements import compiled

if TYPE_CHECKING:  # who imports it first tells that it is missing: ``stores/sql``
    from sqlalchemy import Connection

_NEWS = {"w": News.WORK, "o": News.OUTCOMES, "r": News.REQUESTS}


class PostgresMailbox(SqlMailbox):
    """Outcomes of one pool in ``table`` of the database at ``url``.

    ``wait_for_server``: for how many seconds ``open`` tries to reach a server that is down.
    """

    def __init__(
        self, url: str, pool: str, *, table: str = "parking_lot_results", wait_for_server: float = 0.0
    ) -> None:
        self.url = url
        self.table = checked(table)
        self._tables = shared_tables(outcomes=table)
        self._pool = pool
        self._postgres = PostgresDatabase(url, wait_for_server=wait_for_server, application_name="parking-lot mailbox")
        super().__init__(self._postgres, MailboxSql(compiled(POSTGRES, self._tables.lot), pool))

    async def open(self) -> None:
        """Connect, and make the table if the database lacks it.

        Raises ``SchemaMissing``, ``StoreTooNew`` or ``StoreUnavailable``.
        """
        await self._postgres.open()
        try:
            await prepare(self._postgres, postgres_schema.parts(self._tables, queue=False))
        except BaseException:
            await self._postgres.aclose()
            raise

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Keep the outcomes of tasks that have none. Raises ``StoreUnavailable``."""

        def deliver(connection: Connection) -> None:
            connection.connection.cursor().execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{self.table} {self._pool}",)
            )
            self.sql.deliver(connection, deliveries)

        await self._postgres.write(deliver)


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
