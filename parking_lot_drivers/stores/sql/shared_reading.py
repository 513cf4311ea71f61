"""What hosts read of a lot that they share: the same questions in every database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import Connection

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.clock import steady_time, wall_time
from parking_lot_drivers.ports import Host, Overview, Request
from parking_lot_drivers.shared_ports import Window
from parking_lot_drivers.stores.sql.queue import QueueSql, decoded_tasks
from parking_lot_drivers.stores.sql.set_aside import BadRow, reports
from parking_lot_drivers.stores.sql.shared_sql import Found, Look, Policy, SharedSql

#: How far behind the window tasks are looked for that are small enough for what is free.
_SMALL_BEHIND = 20_000

#: How many tasks of other hosts one looks at while there are own ones.
_OTHERS = 32

# After a count of the tasks, for how many times as long as it took there is no other.
_COUNT_PAUSE = 20

#: With the marks of Python's ``format`` style for parameters. In braces: {tasks}, {selected} (``columns.TASK``), {now}:
#: the server's time, or the parameter ``now``, which has this machine's.
READING = {
    "window": """
SELECT {selected} FROM {tasks} WHERE pool = %(pool)s AND host IS NULL AND ready_at IS NULL
AND (%(hosts)s = 1 OR sequence %% %(hosts)s = %(place)s)
ORDER BY priority DESC, tag, sequence LIMIT %(limit)s
""",
    "others": """
SELECT {selected} FROM {tasks} WHERE pool = %(pool)s AND host IS NULL AND ready_at IS NULL
AND sequence %% %(hosts)s <> %(place)s
ORDER BY priority DESC, tag, sequence LIMIT %(limit)s
""",
    "oldest": """
SELECT {selected} FROM {tasks} WHERE pool = %(pool)s AND host IS NULL AND ready_at IS NULL AND priority = %(priority)s
AND (%(hosts)s = 1 OR sequence %% %(hosts)s = %(place)s)
ORDER BY tag, sequence LIMIT %(limit)s
""",
    "due": """
SELECT {selected} FROM {tasks} WHERE pool = %(pool)s AND ready_at IS NOT NULL AND ready_at <= %(until)s AND host IS NULL
ORDER BY ready_at LIMIT %(limit)s
""",
    "expiring": """
SELECT {selected} FROM {tasks} WHERE pool = %(pool)s AND host IS NULL AND start_by IS NOT NULL AND start_by <= %(until)s
ORDER BY start_by LIMIT %(limit)s
""",
    "small": """
SELECT {selected} FROM (
  SELECT * FROM {tasks} WHERE pool = %(pool)s AND host IS NULL AND ready_at IS NULL
  ORDER BY priority DESC, tag, sequence LIMIT %(behind)s
) ahead WHERE units <= %(units)s ORDER BY priority DESC, tag, sequence LIMIT %(limit)s
""",
    "depth": "SELECT count(*) FROM (SELECT 1 FROM {tasks} WHERE pool = %(pool)s LIMIT %(limit)s) counted",
    "held_elsewhere": """
SELECT device, CAST(sum(units) AS bigint) FROM parking_lot_holdings
WHERE budget = %(budget)s AND host <> %(host)s GROUP BY device
""",
    "mine": "SELECT {selected} FROM {tasks} WHERE pool = %(pool)s AND host = %(host)s ORDER BY sequence",
    "host_ids": "SELECT id FROM parking_lot_hosts WHERE pool = %(pool)s AND lease_until >= {now} ORDER BY id",
    "hosts": """
SELECT id, pid, hostname, renewed_at FROM parking_lot_hosts
WHERE pool = %(pool)s AND lease_until >= {now} ORDER BY started_at
""",
}


@attrs.frozen(kw_only=True)
class ReadingStatements:
    """The statements of ``READING`` as one database takes them."""

    window: str
    others: str
    oldest: str
    due: str
    expiring: str
    small: str
    depth: str
    held_elsewhere: str
    mine: str
    host_ids: str
    hosts: str


class SharedReading(SharedSql):
    """The reading half of a shared queue. Those who inherit add what writes."""

    def __init__(self, reading: ReadingStatements, common: QueueSql, pool: str, policy: Policy) -> None:
        self._reading = reading
        self._common = common
        self._pool = pool
        self._policy = policy
        self._counted = 0
        self._count_at = 0.0

    def window(self, connection: Connection, look: Look, host: str) -> tuple[Window, list[BadRow]]:
        """See ``SharedSql.window``."""
        sql, bad = self._reading, list[BadRow]()
        part = {"hosts": look.hosts, "place": look.place}
        tasks = self._ranked(connection, look, part, bad)
        complete = len(tasks) + len(bad) < look.limit
        others: list[tuple[ScheduledTask, MailboxKey]] = []
        if look.hosts > 1:
            limit = min(look.limit, _OTHERS if tasks else look.limit)
            others = self._some(connection, bad, sql.others, limit=limit, **part)
        if not complete and look.free and all(task.units > look.free for task, _ in tasks):
            tasks += self._some(connection, bad, sql.small, behind=_SMALL_BEHIND, units=look.free, limit=look.limit)
        for statement in (sql.due, sql.expiring):
            tasks += self._some(connection, bad, statement, until=look.until, limit=look.limit)
        unique = {task.id: (task, box) for task, box in tasks}
        window = Window(
            tasks=list(unique.values()),
            others=[pair for pair in others if pair[0].id not in unique],
            until=look.until,
            complete=complete,
            depth=self._depth_about(connection, look.depth_max),
            held_elsewhere=self._held_elsewhere(connection, host),
            set_aside=reports(bad),
        )
        return window, bad

    def _ranked(
        self, connection: Connection, look: Look, part: Mapping[str, int], bad: list[BadRow]
    ) -> list[tuple[ScheduledTask, MailboxKey]]:
        if not look.aging:
            return self._some(connection, bad, self._reading.window, limit=look.limit, **part)
        return [
            found
            for priority in (3, 2, 1, 0)  # whoever has aged most within a class is among its first
            for found in self._some(connection, bad, self._reading.oldest, priority=priority, limit=look.limit, **part)
        ]

    def _some(
        self, connection: Connection, bad: list[BadRow], statement: str, **parameters: object
    ) -> list[tuple[ScheduledTask, MailboxKey]]:
        tasks, worse = self._tasks(connection, statement, **parameters)
        bad += worse
        return tasks

    def _held_elsewhere(self, connection: Connection, host: str) -> Mapping[str, int] | None:
        if self._policy.budget is None:
            return None
        rows = self._rows(connection, self._reading.held_elsewhere, budget=self._budget, host=host)
        held: dict[str, int] = dict(rows)
        return dict.fromkeys(self._policy.budget.devices, 0) | held

    def depth(self, connection: Connection, limit: int) -> int:
        """See ``SharedSql.depth``."""
        return int(self._rows(connection, self._reading.depth, limit=limit)[0][0])

    def _depth_about(self, connection: Connection, limit: int) -> int:
        """The depth, as it was not long ago: a large lot takes milliseconds to count."""
        begun = steady_time()
        if begun >= self._count_at:
            self._counted = self.depth(connection, limit)
            now = steady_time()
            self._count_at = now + _COUNT_PAUSE * (now - begun)
        return self._counted

    def mine(self, connection: Connection, host: str) -> Found:
        """The tasks that the host holds."""
        return self._tasks(connection, self._reading.mine, host=host)

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

    def set_aside(self, connection: Connection, bad_rows: Sequence[BadRow]) -> None:
        """Move rows out of the way, with their payloads."""
        self._common.set_aside(connection, bad_rows)

    def overview(self, connection: Connection, limit: int) -> Overview:
        """The lot at one moment; ``host`` is the longest-serving one that lives."""
        hosts = self.hosts(connection)
        return attrs.evolve(self._common.overview(connection, limit), host=hosts[0] if hosts else None)

    def hosts(self, connection: Connection) -> list[Host]:
        """The hosts that live."""
        rows = self._rows(connection, self._reading.hosts)
        return [
            Host(id=host, pid=pid, hostname=hostname, renewed_at=renewed_at) for host, pid, hostname, renewed_at in rows
        ]

    def host_ids(self, connection: Connection) -> list[str]:
        """See ``SharedSql.host_ids``."""
        return [host for (host,) in self._rows(connection, self._reading.host_ids)]

    @property
    def _budget(self) -> str | None:
        return None if self._policy.budget is None else self._policy.budget.name

    def _rows(self, connection: Connection, statement: str, **parameters: object) -> Sequence[Any]:
        cursor = connection.connection.cursor()
        cursor.execute(statement, {"pool": self._pool, "now": wall_time(), **parameters})
        return cursor.fetchall()

    def _tasks(self, connection: Connection, statement: str, **parameters: object) -> Found:
        cursor = connection.connection.cursor()
        cursor.execute(statement, {"pool": self._pool, **parameters})
        return decoded_tasks(cursor)
