"""A queue in Postgres tables that hosts share, as synchronous functions of a SQLAlchemy connection."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import attrs
from sqlalchemy import Connection

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Host, Overview, Request, StoredTask
from parking_lot_drivers.shared_ports import Saved, Window
from parking_lot_drivers.stores.sql.dialects import POSTGRES, Cursor
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.postgres_commit import PostgresCommit, json_text
from parking_lot_drivers.stores.sql.postgres_insert import insert_for
from parking_lot_drivers.stores.sql.postgres_sql import postgres_statements
from parking_lot_drivers.stores.sql.queue import QueueSql, decoded_tasks
from parking_lot_drivers.stores.sql.set_aside import BadRow, reports
from parking_lot_drivers.stores.sql.shared_sql import Entry, Found, HostRow, Look, Policy, SharedSql
from parking_lot_drivers.stores.sql.shared_tables import NUMBERS_PER_DRAW, SharedTables
from parking_lot_drivers.stores.sql.statements import compiled

#: How far behind the window tasks are looked for that are small enough for what is free.
_SMALL_BEHIND = 20_000

#: How many tasks of other hosts one looks at while there are own ones.
_OTHERS = 32

# After a count of the tasks, for how many times as long as it took there is no other.
_COUNT_PAUSE = 20


class PostgresSql(SharedSql):
    """The queue of one pool in tables."""

    _commit: ClassVar[type[PostgresCommit]] = PostgresCommit

    def __init__(self, tables: SharedTables, pool: str, policy: Policy) -> None:
        self._pool = pool
        self._policy = policy
        self._tables = tables
        self._common = QueueSql(compiled(POSTGRES, tables.lot), pool)
        self._sql = postgres_statements(tables, audit=policy.audit, archive=policy.archive)
        self._counted = 0
        self._count_at = 0.0
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

    def depth(self, connection: Connection, limit: int) -> int:
        """See ``SharedSql.depth``."""
        cursor = connection.connection.cursor()
        return int(cursor.execute(self._sql.depth, {"pool": self._pool, "limit": limit}).fetchone()[0])

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

    def adopt(self, connection: Connection, host: str, limit: int) -> Found:
        """See ``SharedSql.adopt``."""
        return self._tasks(connection, self._sql.adopt, host=host, limit=limit, budget=self._budget)

    def post(self, connection: Connection, request: Request) -> int:
        """Insert a request; returns its number."""
        return self._common.post(connection, request)

    def set_aside(self, connection: Connection, bad_rows: Sequence[BadRow]) -> None:
        """Move rows out of the way, with their payloads."""
        self._common.set_aside(connection, bad_rows)

    def prune(self, connection: Connection, before: float) -> Mapping[str, int]:
        """See ``SharedSql.prune``."""
        cursor = connection.connection.cursor()
        counts = {}
        for name, statement in (("archived tasks", self._sql.prune_archive), ("audit records", self._sql.prune_audit)):
            cursor.execute(statement, {"pool": self._pool, "before": before})
            counts[name] = cursor.rowcount
        return counts

    # Reading

    def window(self, connection: Connection, look: Look, host: str) -> tuple[Window, list[BadRow]]:
        """See ``SharedSql.window``."""
        part = {"hosts": look.hosts, "place": look.place}
        tasks, bad = self._ranked(connection, look, part)
        complete = len(tasks) + len(bad) < look.limit
        others: list[tuple[ScheduledTask, MailboxKey]] = []
        if look.hosts > 1:
            limit = min(look.limit, _OTHERS if tasks else look.limit)
            others, worse = self._tasks(connection, self._sql.others, limit=limit, **part)
            bad += worse
        if not complete and look.free and all(task.units > look.free for task, _ in tasks):
            tasks += self._small(connection, look, bad)
        for statement in (self._sql.due, self._sql.expiring):
            more, worse = self._tasks(connection, statement, until=look.until, limit=look.limit)
            tasks += more
            bad += worse
        cursor = connection.connection.cursor()
        held = None
        if self._policy.budget is not None:
            cursor.execute(self._sql.held_elsewhere, {"budget": self._budget, "host": host})
            held = dict.fromkeys(self._policy.budget.devices, 0) | dict(cursor.fetchall())
        unique = {task.id: (task, box) for task, box in tasks}
        window = Window(
            tasks=list(unique.values()),
            until=look.until,
            complete=complete,
            depth=self._depth_about(connection, look.depth_max),
            held_elsewhere=held,
            others=[pair for pair in others if pair[0].id not in unique],
            set_aside=reports(bad),
        )
        return window, bad

    def _depth_about(self, connection: Connection, limit: int) -> int:
        """The depth, as it was not long ago: a large lot takes milliseconds to count."""
        begun = time.monotonic()
        if begun >= self._count_at:
            cursor = connection.connection.cursor()
            (self._counted,) = cursor.execute(self._sql.depth, {"pool": self._pool, "limit": limit}).fetchone()
            now = time.monotonic()
            self._count_at = now + _COUNT_PAUSE * (now - begun)
        return self._counted

    def _ranked(self, connection: Connection, look: Look, part: Mapping[str, int]) -> Found:
        if not look.aging:
            return self._tasks(connection, self._sql.window, limit=look.limit, **part)
        tasks, bad = [], []
        for priority in (3, 2, 1, 0):  # whoever has aged most within a class is among its first
            more, worse = self._tasks(connection, self._sql.oldest, priority=priority, limit=look.limit, **part)
            tasks += more
            bad += worse
        return tasks, bad

    def _small(self, connection: Connection, look: Look, bad: list[BadRow]) -> list[tuple[ScheduledTask, MailboxKey]]:
        """Tasks behind the window that are small enough for what is free."""
        tasks, worse = self._tasks(connection, self._sql.small, behind=_SMALL_BEHIND, units=look.free, limit=look.limit)
        bad += worse
        return tasks

    def host_ids(self, connection: Connection) -> list[str]:
        """See ``SharedSql.host_ids``."""
        rows = connection.connection.cursor().execute(self._sql.host_ids, {"pool": self._pool}).fetchall()
        return [host for (host,) in rows]

    def mine(self, connection: Connection, host: str) -> Found:
        """The tasks that the host holds."""
        return self._tasks(connection, self._sql.mine, host=host)

    def load(self, connection: Connection) -> tuple[Found, Checkpoint | None]:
        """All tasks in the order of their sequence, rows to be set aside, and the checkpoint."""
        return self._common.load(connection)

    def payloads(self, connection: Connection, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads of those of the tasks that there are."""
        return self._common.payloads(connection, task_ids)

    def find(self, connection: Connection, task_id: str) -> tuple[ScheduledTask, MailboxKey] | None:
        """One task, with its mailbox."""
        return self._common.find(connection, task_id)

    def requests(self, connection: Connection, after: int, limit: int) -> tuple[list[Request], list[BadRow]]:
        """The oldest requests past ``after``; and rows to be set aside."""
        return self._common.requests(connection, after, limit)

    def overview(self, connection: Connection, limit: int) -> Overview:
        """The lot at one moment; ``host`` is the longest-serving one that lives."""
        hosts = self.hosts(connection)
        return attrs.evolve(self._common.overview(connection, limit), host=hosts[0] if hosts else None)

    def hosts(self, connection: Connection) -> list[Host]:
        """The hosts that live."""
        rows = connection.connection.cursor().execute(self._sql.hosts, {"pool": self._pool}).fetchall()
        return [
            Host(id=host, pid=pid, hostname=hostname, renewed_at=renewed_at) for host, pid, hostname, renewed_at in rows
        ]

    @property
    def _budget(self) -> str | None:
        return None if self._policy.budget is None else self._policy.budget.name

    def _tasks(self, connection: Connection, statement: str, **parameters: object) -> Found:
        cursor = connection.connection.cursor()
        cursor.execute(statement, {"pool": self._pool, **parameters})
        return decoded_tasks(cursor)


def budget_channel(name: str) -> str:
    """Where those who share a budget tell each other that units have come free."""
    return f"parking_lot_budget_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
