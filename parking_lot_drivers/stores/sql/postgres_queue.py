"""A queue in Postgres tables that hosts share, as synchronous functions of a SQLAlchemy connection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from sqlalchemy import Connection

from parking_lot_core import Checkpoint
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Request, StoredTask
from parking_lot_drivers.shared_ports import Saved
from parking_lot_drivers.stores.sql.dialects import POSTGRES, Cursor
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.postgres_commit import PostgresCommit, json_text
from parking_lot_drivers.stores.sql.postgres_insert import insert_for
from parking_lot_drivers.stores.sql.postgres_sql import postgres_statements
from parking_lot_drivers.stores.sql.queue import QueueSql
from parking_lot_drivers.stores.sql.shared_reading import SharedReading
from parking_lot_drivers.stores.sql.shared_sql import Entry, Found, HostRow, Policy
from parking_lot_drivers.stores.sql.shared_tables import NUMBERS_PER_DRAW, SharedTables
from parking_lot_drivers.stores.sql.statements import compiled


class PostgresSql(SharedReading):
    """The queue of one pool in tables."""

    enqueues_in_one_statement = True
    _commit: ClassVar[type[PostgresCommit]] = PostgresCommit

    def __init__(self, tables: SharedTables, pool: str, policy: Policy) -> None:
        self._tables = tables
        self._sql = postgres_statements(tables, audit=policy.audit, archive=policy.archive)
        super().__init__(self._sql, QueueSql(compiled(POSTGRES, tables.lot), pool), pool, policy)
        self.channels = [f"parking_lot_{tables.lot.tasks.name}"[:63]]
        if policy.budget is not None:
            self.channels.append(budget_channel(policy.budget.name))

    # Writing

    def commit(
        self,
        connection: Connection,
        batch: Batch,
        host: str,
        mailbox: MailboxSql | None,
        *,
        fetch: Sequence[str] = (),
        strict: bool = False,
    ) -> Callable[[], Saved]:
        """See ``SharedSql.commit``."""
        work = self._commit(self._sql, connection, self._pool, host, self._policy)
        work.write(batch, together=mailbox is not None, fetch=fetch, strict=strict)
        if not strict:
            return work.saved
        lost = work.saved().lost
        if lost:
            words = ", ".join(f"{task_id!r} ({loss.value})" for task_id, loss in list(lost.items())[:5])
            raise StoreUnavailable(
                f"the queue of pool {self._pool!r} does not stand as the batch expects: {words}; nothing was saved: "
                "load it again"
            )
        return Saved

    def enqueue(
        self, connection: Connection, tasks: Sequence[StoredTask], *, shares: Checkpoint | None = None
    ) -> Callable[[], Saved]:
        """See ``SharedSql.enqueue``."""
        work = self._commit(self._sql, connection, self._pool, None, self._policy)
        work.enqueue(tasks, shares)
        return work.saved

    def insert_for(self, connection: Connection, entry: Entry) -> bool:
        """See ``SharedSql.insert_for``."""
        layout = self._commit(self._sql, connection, self._pool, None, self._policy)
        parameters = {"pool": self._pool, "host": None, "budget": self._budget}
        outcomes = self._tables.lot.outcomes
        return insert_for(connection, entry, self._sql, layout, outcomes, parameters, self.channels[0])

    def reserve(self, connection: Connection, count: int) -> Checkpoint:
        """See ``SharedQueue.reserve``."""
        cursor = connection.connection.cursor()
        if count > NUMBERS_PER_DRAW:
            raise ValueError(f"count: expected at most {NUMBERS_PER_DRAW}, got {count}")
        (number,) = cursor.execute(self._sql.next_number).fetchone()
        shares = cursor.execute(self._sql.select_shares, {"pool": self._pool}).fetchall()
        return Checkpoint(
            next_sequence=number,
            virtual_time=max((int(tag) for clock, _, tag in shares if clock), default=0),
            finish_tags=tuple((tenant, int(tag)) for clock, tenant, tag in shares if not clock),
        )

    def register(self, connection: Connection, row: HostRow) -> None:
        """See ``SharedSql.register``."""
        cursor = connection.connection.cursor()
        cursor.execute(
            self._sql.register,
            {"host": row.id, "pool": self._pool, "pid": row.pid, "hostname": row.hostname, "lease": row.lease},
        )
        budget = self._policy.budget
        if budget is not None:
            cursor.execute(self._sql.keep_budget, {"budget": budget.name, "rows": json_text(dict(budget.devices))})

    def renew_with(self, cursor: Cursor, row: HostRow) -> bool:
        """See ``SharedSql.renew_with``."""
        return cursor.execute(self._sql.renew, {"host": row.id, "lease": row.lease}).fetchone() is not None

    def deregister(self, connection: Connection, host: str) -> None:
        """See ``SharedSql.deregister``."""
        connection.connection.cursor().execute(self._sql.deregister, {"host": host})

    def end_leases(self, connection: Connection, lease: float) -> None:
        """See ``SharedSql.end_leases``."""
        connection.connection.cursor().execute(self._sql.end_leases, {"lease": lease})
        if self._policy.budget is not None:
            self._rows(connection, self._sql.free_units, budget=self._budget)

    def adopt(self, connection: Connection, host: str, limit: int) -> Found:
        """See ``SharedSql.adopt``."""
        return self._tasks(connection, self._sql.adopt, host=host, limit=limit, budget=self._budget)

    def post(self, connection: Connection, request: Request) -> int:
        """Insert a request; returns its number."""
        return self._common.post(connection, request)

    def prune(self, connection: Connection, before: float) -> Mapping[str, int]:
        """See ``SharedSql.prune``."""
        cursor = connection.connection.cursor()
        counts = {}
        for name, statement in (("archived tasks", self._sql.prune_archive), ("audit records", self._sql.prune_audit)):
            cursor.execute(statement, {"pool": self._pool, "before": before})
            counts[name] = cursor.rowcount
        return counts


def budget_channel(name: str) -> str:
    """Where those who share a budget tell each other that units have come free."""
    return f"parking_lot_budget_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
