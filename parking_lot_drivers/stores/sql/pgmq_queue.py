"""A PGMQ queue that hosts share, as synchronous functions of a SQLAlchemy connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import attrs
from sqlalchemy import Connection

from parking_lot_core import Priority
from parking_lot_drivers.ports import StoredTask
from parking_lot_drivers.shared_ports import Window
from parking_lot_drivers.stores.sql.columns import TASK, Row
from parking_lot_drivers.stores.sql.dialects import POSTGRES
from parking_lot_drivers.stores.sql.pgmq_payloads import as_message, as_payload
from parking_lot_drivers.stores.sql.pgmq_sql import pgmq_statements, queue_statements
from parking_lot_drivers.stores.sql.postgres_commit import PostgresCommit, json_text
from parking_lot_drivers.stores.sql.postgres_queue import PostgresSql
from parking_lot_drivers.stores.sql.queue import QueueSql, decoded_tasks
from parking_lot_drivers.stores.sql.set_aside import BadRow, reports
from parking_lot_drivers.stores.sql.shared_sql import Found, Look, Policy
from parking_lot_drivers.stores.sql.shared_tables import NUMBERS_PER_DRAW, SharedTables
from parking_lot_drivers.stores.sql.statements import compiled

#: How many times ``NUMBERS_PER_DRAW`` messages of other clients one look takes in.
_DRAWS = 4

_REALS = frozenset(name for name, types in TASK.types.items() if float in types)
_KEYS = TASK.names[:-1]


def rank_prefix(priority: int, tag: int) -> str:
    """The text that sorts as tasks rank, up to the sequence number, which follows in 19 digits."""
    return f"{int(Priority.CRITICAL) - priority}.{tag:040}."


class PgmqCommit(PostgresCommit):
    """The same for tasks that are messages."""

    def _object(self, stored: StoredTask) -> dict[str, object]:
        found = super()._object(stored)
        del found["payload"]
        task = stored.task
        rank = f"{rank_prefix(int(task.metadata.priority), task.tag)}{task.sequence:019}"
        return {"pool": self._pool, "rank": rank, **found}

    def _body(self, payload: bytes) -> object:
        return as_message(payload)

    def _payload(self, body: Any) -> bytes:
        return as_payload(body)


class PgmqSql(PostgresSql):
    """The queue of one pool, which may have the PGMQ queue to itself or share it with other pools.

    ``default_units`` is what a message costs that another client has sent.
    """

    _commit: ClassVar[type[PostgresCommit]] = PgmqCommit

    def __init__(
        self, tables: SharedTables, pool: str, policy: Policy, *, queue_name: str, default_units: int = 1
    ) -> None:
        super().__init__(tables, pool, policy)
        self._common = QueueSql(queue_statements(compiled(POSTGRES, tables.lot), queue_name), pool, task_row)
        self._sql = self._reading = self._messages = pgmq_statements(
            tables, queue_name, audit=policy.audit, archive=policy.archive
        )
        self._units = default_units

    def window(self, connection: Connection, look: Look, host: str) -> tuple[Window, list[BadRow]]:
        """See ``SharedSql.window``. First, what other clients have sent becomes tasks."""
        unfit = self._take_in(connection, host)
        window, bad = super().window(connection, look, host)
        return attrs.evolve(window, set_aside=[*reports(unfit), *window.set_aside]), unfit + bad

    def _take_in(self, connection: Connection, host: str) -> list[BadRow]:
        """Make tasks of plain messages; returns those that cannot be tasks. Hosts may do so at the same time."""
        cursor = connection.connection.cursor()
        unfit: list[BadRow] = []
        for _ in range(_DRAWS):
            found = cursor.execute(self._messages.plain, {"limit": NUMBERS_PER_DRAW}).fetchall()
            unfit += [_unfit(self._pool, number, kind) for number, kind in found if kind != "object"]
            fit = [number for number, kind in found if kind == "object"]
            if fit:
                self._adopt_plain(connection, fit, host)
            if len(found) < NUMBERS_PER_DRAW or not fit:
                break
        return unfit

    def _adopt_plain(self, connection: Connection, numbers: Sequence[int], host: str) -> None:
        reserved = self.reserve(connection, len(numbers))
        tag = max(reserved.virtual_time, dict(reserved.finish_tags).get("", 0))
        priority = int(Priority.NORMAL)
        task = {"pool": self._pool, "state": "parked", "priority": priority, "tag": str(tag), "units": self._units}
        task |= {"tenant": "", "epoch": 0, "attempts": 0, "max_attempts": 0}
        task |= {"box_tenant": "", "box_user": "", "box_session": ""}
        connection.connection.cursor().execute(
            self._messages.adopt_plain,
            {
                "ids": list(numbers),
                "number": reserved.next_sequence,
                "task": json_text(task),
                "rank": rank_prefix(priority, tag),
                "pool": self._pool,
                "host": host,
                "budget": self._budget,
            },
        )

    def payloads(self, connection: Connection, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads of those of the tasks that there are."""
        messages = self._common.payloads(connection, task_ids)
        return {task_id: as_payload(text.decode("utf-8", "surrogatepass")) for task_id, text in messages.items()}

    def set_aside(self, connection: Connection, bad_rows: Sequence[BadRow]) -> None:
        """Move rows out of the way, with their messages, which PGMQ's archive keeps too."""
        numbers = [bad.value("payload") for bad in bad_rows if bad.source == "tasks"]
        cursor = connection.connection.cursor()
        there = {number for (number,) in cursor.execute(self._messages.lock, {"ids": numbers}).fetchall()}
        still = [bad for bad in bad_rows if bad.source != "tasks" or bad.value("payload") in there]
        super().set_aside(connection, still)

    def _tasks(self, connection: Connection, statement: str, **parameters: object) -> Found:
        cursor = connection.connection.cursor()
        cursor.execute(statement, {"pool": self._pool, **parameters})
        return decoded_tasks(cursor, task_row)


def task_row(row: Row) -> Row:
    """A row of ``TASK`` from a message's number and our part of its headers, whatever that may hold."""
    number, found = row
    values = map(_plain, _KEYS, map((found if isinstance(found, dict) else {}).get, _KEYS))
    return (*values, number)


def _plain(name: str, found: Any) -> Any:
    if type(found) is int and name in _REALS:
        return float(found)
    return str(found) if isinstance(found, (dict, list)) else found


def _unfit(pool: str, number: int, kind: str | None) -> BadRow:
    row = (pool, f"pgmq-{number}", *(None for _ in TASK.names[3:]), number)
    return BadRow("tasks", TASK, row, f"message {number}: expected a JSON object, got {kind or 'nothing'}")
