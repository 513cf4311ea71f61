"""A queue that is a PGMQ queue, which any number of hosts may schedule, and other PGMQ clients use at the same time.

A task is a message: its payload the message itself, if it is a JSON object; how it is scheduled lies in its headers.

- A message that another client sends becomes a task of ``default_units`` units and the usual priority, named
  ``pgmq-<msg_id>``, whose outcome goes to the mailbox without a name. It is found within ``poll`` seconds, not at once.
  One that is not a JSON object is set aside.
- A message that another client reads is that client's until its visibility timeout has passed; one that it archives or
  deletes is gone, and has no outcome.
- Tasks that run are invisible to other clients for as long as their host lives.

Several pools may share a PGMQ queue, since a task names its pool. Messages of other clients do not: they go to
whichever pool looks first, so only one pool should schedule a queue that others send to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from parking_lot_drivers.ports import Mailbox
from parking_lot_drivers.stores._shared_queue import LEASE, POLL, SharedSqlQueue
from parking_lot_drivers.stores.postgres import PostgresEar, PostgresMailbox, prepare
from parking_lot_drivers.stores.sql.pgmq_queue import PgmqSql
from parking_lot_drivers.stores.sql.pgmq_schema import check_package, checked, make_sure, parts_of, tables_of
from parking_lot_drivers.stores.sql.postgres_connection import database_of
from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase
from parking_lot_drivers.stores.sql.shared_sql import Policy

if TYPE_CHECKING:  # who imports it first tells that it is missing: ``stores/sql``
    from sqlalchemy import Connection

__all__ = ["PgmqQueue", "parts_of"]


class PgmqQueue(SharedSqlQueue):
    """Tasks of one pool in the PGMQ queue ``queue_name`` of the database at ``url``.

    Args:
        url: of the database, as ``postgresql://user:password@host:port/database``.
        pool: the pool's name.
        queue_name: of the queue, which is created if it is missing, as is PGMQ: an identifier, at most 47 characters.
        default_units: what a message costs that another PGMQ client has sent.
        policy: the shared budget, the audit trail, and whether tasks that ended go to PGMQ's archive.
        lease: seconds that a host holds its tasks without a sign of life.
        poll: seconds between two looks without news.
        aging: whether the pool's tasks gain classes as they wait.
        wait_for_server: for how many seconds ``open`` tries to reach a server that is down.

    Raises ``ConfigError`` for a URL that cannot be read, or a name that is no identifier.
    """

    def __init__(
        self,
        url: str,
        pool: str,
        *,
        queue_name: str,
        default_units: int = 1,
        policy: Policy | None = None,
        lease: float = LEASE,
        poll: float = POLL,
        aging: bool = False,
        wait_for_server: float = 0.0,
    ) -> None:
        self.url = url
        self._queue_name = checked(queue_name)
        self._pool = pool
        self._policy = policy or Policy()
        self._default_units = default_units
        self._outcomes = "parking_lot_results"
        sql = self._make_sql()
        self._database = PostgresDatabase(url, wait_for_server=wait_for_server, standstill=lease)
        super().__init__(
            sql,
            self._database,
            PostgresDatabase(url, application_name="parking-lot reader"),
            lambda row: PostgresEar(url, self._sql, row),
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
        self._outcomes = mailbox.table
        self._sql = self._make_sql()
        self._mailbox = mailbox.sql
        return True

    def _make_sql(self) -> PgmqSql:
        tables = tables_of(self._queue_name, self._outcomes)
        return PgmqSql(tables, self._pool, self._policy, queue_name=self._queue_name, default_units=self._default_units)

    async def _prepare(self) -> None:
        """Make what is missing: PGMQ, the queue, the tables beside it.

        Raises ``MissingExtra`` where PGMQ is missing, and so is the package that carries it; else as ``prepare``.
        """

        def package(connection: Connection) -> None:
            check_package(connection.connection.cursor())

        def sure(connection: Connection) -> None:
            make_sure(connection.connection.cursor(), self._queue_name, self._database.where)

        await self._database.read(package)
        await prepare(self._database, parts_of(self._queue_name, self._outcomes))
        await self._database.write(sure)
