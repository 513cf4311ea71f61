"""A queue that processes share in one SQLite file, as synchronous functions of a SQLAlchemy connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Request, StoredTask
from parking_lot_drivers.shared_ports import News, Saved
from parking_lot_drivers.stores.sql.columns import TASK, Row, Undecodable
from parking_lot_drivers.stores.sql.dialects import SQLITE, Cursor, fetch_all, fetch_one
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.queue import QueueSql
from parking_lot_drivers.stores.sql.rows import TaskDecoder
from parking_lot_drivers.stores.sql.set_aside import BadRow
from parking_lot_drivers.stores.sql.shared_reading import SharedReading
from parking_lot_drivers.stores.sql.shared_sql import Entry, Found, HostRow, Policy, news_of
from parking_lot_drivers.stores.sql.shared_sqlite_commit import SharedSqliteCommit
from parking_lot_drivers.stores.sql.shared_sqlite_schema import TABLES
from parking_lot_drivers.stores.sql.shared_sqlite_sql import SQLITE_READING, SqliteSharing
from parking_lot_drivers.stores.sql.sqlite_insert import check_file, missing_told
from parking_lot_drivers.stores.sql.statements import compiled

#: By pool and host: how many news of each kind there have been.
Counts = Mapping[tuple[str, str], tuple[int, int, int]]


class SharedSqliteSql(SharedReading):
    """The queue of one pool in the tables of a shared file."""

    def __init__(self, pool: str, policy: Policy) -> None:
        self._statements = compiled(SQLITE, TABLES.lot)
        self._own = SqliteSharing()
        super().__init__(SQLITE_READING, QueueSql(self._statements, pool), pool, policy)
        self.channels = ()

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
        saved = self._work(connection, host).write(batch, mailbox, fetch=fetch, strict=strict)
        if strict and saved.lost:
            words = ", ".join(f"{task_id!r} ({loss.value})" for task_id, loss in list(saved.lost.items())[:5])
            raise StoreUnavailable(
                f"the queue of pool {self._pool!r} does not stand as the batch expects: {words}; nothing was saved: "
                "load it again"
            )
        self._tell(connection, host, news_of(batch))
        return lambda: saved

    def enqueue(
        self, connection: Connection, tasks: Sequence[StoredTask], *, shares: Checkpoint | None = None
    ) -> Callable[[], Saved]:
        """See ``SharedSql.enqueue``."""
        work = self._work(connection, "")
        work.add(tasks)
        if shares is not None:
            work.keep_shares(shares)
        self._tell(connection, "", News.WORK)
        saved = work.saved()
        return lambda: saved

    def insert_for(self, connection: Connection, entry: Entry) -> bool:
        """See ``SharedSql.insert_for``."""
        check_file(connection, entry.where)
        with missing_told(entry.where):
            return self._insert_for(connection, entry)

    def _insert_for(self, connection: Connection, entry: Entry) -> bool:
        depth = 0 if entry.need.count is None else self.depth(connection, entry.need.count)
        stored, shares = entry.admit(self.reserve(connection, 1), depth)
        if (
            entry.need.once
            and entry.together
            and MailboxSql(self._statements, self._pool).ended(connection, [entry.task_id])
        ):
            return False  # nobody else writes before the caller's transaction ends
        return not self.enqueue(connection, [stored], shares=shares)().lost

    def _work(self, connection: Connection, host: str) -> SharedSqliteCommit:
        return SharedSqliteCommit(self._own, self._statements, connection, self._pool, host, self._policy)

    def _tell(self, connection: Connection, source: str, news: News) -> None:
        if news:
            counts = (News.WORK in news, News.OUTCOMES in news, News.REQUESTS in news)
            budget = self._budget if source else None
            row = (self._pool, source, budget, *counts, *counts)
            connection.connection.cursor().execute(self._own.tell, row)

    def prepare(self, connection: Connection) -> None:
        """Make what a new file needs beside its tables."""
        connection.connection.cursor().execute(self._own.first_number)

    def reserve(self, connection: Connection, count: int) -> Checkpoint:
        """See ``SharedQueue.reserve``. Writes."""
        cursor = connection.connection.cursor()
        cursor.execute(self._own.draw, (count,))
        (following,) = fetch_one(cursor, self._own.drawn)
        shares = fetch_all(cursor, self._own.shares, self._pool)
        return Checkpoint(
            next_sequence=following - count,
            virtual_time=max((int(tag) for clock, _, tag in shares if clock), default=0),
            finish_tags=tuple((tenant, int(tag)) for clock, tenant, tag in shares if not clock),
        )

    def register(self, connection: Connection, row: HostRow) -> None:
        """See ``SharedSql.register``."""
        cursor = connection.connection.cursor()
        now = wall_time()
        cursor.execute(self._own.register, (row.id, self._pool, row.pid, row.hostname, now, now, now + row.lease))
        cursor.execute(self._own.tell, (self._pool, row.id, self._budget, 0, 0, 0, 0, 0, 0))
        budget = self._policy.budget
        if budget is not None:
            rows = [(budget.name, device, units) for device, units in budget.devices.items()]
            cursor.executemany(self._own.keep_budget, rows)

    def renew_with(self, cursor: Cursor, row: HostRow) -> bool:
        """See ``SharedSql.renew_with``."""
        now = wall_time()
        cursor.execute(self._own.renew, (now, now + row.lease, row.id))
        return bool(cursor.rowcount)

    def deregister(self, connection: Connection, host: str) -> None:
        """See ``SharedSql.deregister``."""
        cursor = connection.connection.cursor()
        cursor.execute(self._own.deregister, (host,))
        cursor.execute(self._own.forget_news)

    def lapsed(self, connection: Connection) -> bool:
        """Whether a lease is to be ended, or there are tasks to be adopted."""
        return bool(
            fetch_one(connection.connection.cursor(), self._own.lapsed, wall_time(), self._pool, self._budget)[0]
        )

    def end_leases(self, connection: Connection, lease: float) -> None:  # noqa: ARG002
        """See ``SharedSql.end_leases``."""
        cursor = connection.connection.cursor()
        cursor.execute(self._own.end_leases, (wall_time(),))
        if cursor.rowcount:
            cursor.execute(self._own.forget_news)
        if self._budget is not None:
            self._free_units(cursor)

    def _free_units(self, cursor: Cursor) -> None:
        """Take back what dead hosts of other pools hold of the shared budget. Their tasks are left for hosts of those.

        It may be long until somebody opens that pool.
        """
        now = wall_time()
        left = fetch_all(cursor, self._own.left_behind, self._budget, self._pool)
        cursor.executemany(self._own.release, [(pool, task_id) for pool, task_id, *_ in left])
        if self._policy.audit:
            rows = [
                (now, pool, task_id, tenant, "Lapse", *rest, self._budget, None)
                for pool, task_id, tenant, *rest in left
            ]
            cursor.executemany(self._own.record, rows)

    def adopt(self, connection: Connection, host: str, limit: int) -> Found:
        """See ``SharedSql.adopt``."""
        cursor = connection.connection.cursor()
        decode = TaskDecoder()
        tasks: list[tuple[ScheduledTask, MailboxKey]] = []
        bad: list[BadRow] = []
        trail: list[Row] = []
        now = wall_time()
        columns = {name: place for place, name in enumerate(TASK.names)}
        for *row, before in fetch_all(cursor, self._own.orphans, self._pool, limit):
            task_id, tenant, epoch, device, units = (
                row[columns[name]] for name in ("task_id", "tenant", "epoch", "device", "units")
            )
            trail.append((now, self._pool, task_id, tenant, "Lapse", before, epoch, device, units, self._budget, None))
            try:
                tasks.append(decode(tuple(row)))
            except Undecodable as error:
                bad.append(BadRow("tasks", TASK, tuple(row), str(error)))
        cursor.executemany(self._own.adopt, [(host, self._pool, each[2]) for each in trail])
        cursor.executemany(self._own.release, [(self._pool, each[2]) for each in trail])
        if self._policy.audit:
            cursor.executemany(self._own.record, trail)
        return tasks, bad

    def post(self, connection: Connection, request: Request) -> int:
        """Insert a request; returns its number."""
        self._tell(connection, "", News.REQUESTS)
        return self._common.post(connection, request)

    def prune(self, connection: Connection, before: float) -> Mapping[str, int]:
        """See ``SharedSql.prune``."""
        cursor = connection.connection.cursor()
        counts = {}
        for name, statement in (
            ("archived tasks", self._own.prune_archive),
            ("audit records", self._own.prune_audit),
        ):
            cursor.execute(statement, (self._pool, before))
            counts[name] = cursor.rowcount
        return counts

    def news(self, connection: Connection) -> Counts:
        """What hosts and clients of this pool, and those who share its budget, have counted."""
        rows = fetch_all(connection.connection.cursor(), self._own.news, self._pool, self._budget)
        return {(pool, source): (work, outcomes, requests) for pool, source, work, outcomes, requests in rows}
