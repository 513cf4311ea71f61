"""A mailbox as synchronous functions of a SQLAlchemy connection. The caller commits."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from parking_lot_core import MailboxKey, OutcomeStatus
from parking_lot_drivers.ports import Delivery, Message
from parking_lot_drivers.stores.sql.columns import OUTCOME, Row, Undecodable
from parking_lot_drivers.stores.sql.dialects import Cursor, fetch_all
from parking_lot_drivers.stores.sql.rows import decode_message, encode_delivery
from parking_lot_drivers.stores.sql.set_aside import BadRow, keep
from parking_lot_drivers.stores.sql.statements import Statements, in_groups

#: How many outcomes one transaction prunes.
OUTCOMES_PER_PRUNE = 1000

# Databases keep no larger one; there is nothing past it, as there is nothing past any other that was not given yet.
_CURSOR_MAX = 2**63 - 1

#: The pool of a row that stands for the newest outcome once that is gone, so that its cursor is not given again. No
#: configuration allows such a name.
MARK_POOL = "(pruned)"

MARK = encode_delivery(
    MARK_POOL,
    Delivery(
        task_id="",
        epoch=0,
        mailbox=MailboxKey(),
        status=OutcomeStatus.CANCELLED,
        submitted_at=0.0,
        finished_at=0.0,
    ),
)


class MailboxSql:
    """The mailbox of one pool."""

    def __init__(self, statements: Statements, pool: str) -> None:
        self._sql = statements
        self._pool = pool

    def deliver(self, connection: Connection, deliveries: Sequence[Delivery]) -> None:
        """Insert the outcomes of tasks that have none."""
        self.insert(connection.connection.cursor(), deliveries)

    def insert(self, cursor: Cursor, deliveries: Sequence[Delivery]) -> None:
        """The same, with a cursor that the caller has."""
        rows = [encode_delivery(self._pool, delivery) for delivery in deliveries]
        self._sql.rules.execute_rows(cursor, self._sql.insert_outcome, rows)

    def get(self, connection: Connection, task_id: str) -> tuple[list[Message], list[BadRow]]:
        """The outcome of one task, if it has one; and rows to be set aside."""
        cursor = connection.connection.cursor()
        return _decoded(fetch_all(cursor, self._sql.select_outcome, self._pool, task_id))

    def ended(self, connection: Connection, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks that have an outcome."""
        cursor = connection.connection.cursor()
        found: set[str] = set()
        for some in in_groups(task_ids):
            found.update(task_id for (task_id,) in fetch_all(cursor, self._sql.select_ended, self._pool, *some))
        return found

    def fetch(
        self, connection: Connection, key: MailboxKey, after: int, limit: int
    ) -> tuple[list[Message], list[BadRow]]:
        """Messages of one box past ``after``; and rows to be set aside."""
        after, limit = (max(-_CURSOR_MAX, min(given, _CURSOR_MAX)) for given in (after, limit))
        cursor = connection.connection.cursor()
        box = (self._pool, key.tenant, key.user, key.session)
        return _decoded(fetch_all(cursor, self._sql.select_box, *box, after, limit))

    def older(self, connection: Connection, before: float) -> list[int]:
        """Cursors of outcomes from before that time (Unix seconds): the first ``OUTCOMES_PER_PRUNE`` that there are."""
        cursor = connection.connection.cursor()
        return [number for (number,) in fetch_all(cursor, self._sql.select_old, self._pool, before, OUTCOMES_PER_PRUNE)]

    def drop(self, connection: Connection, cursors: Sequence[int]) -> int:
        """Delete these outcomes; how many there still were."""
        cursor, rules = connection.connection.cursor(), self._sql.rules
        if rules.numbers_come_back:
            cursor.execute(self._sql.insert_outcome, MARK)
            cursor.execute(self._sql.move_mark, (MARK_POOL,))
        return rules.execute_rows(cursor, self._sql.delete_outcome, [(self._pool, number) for number in cursors])

    def set_aside(self, connection: Connection, bad_rows: Sequence[BadRow]) -> None:
        """Move rows out of the way."""
        cursor = connection.connection.cursor()
        for bad in bad_rows:
            keep(cursor, self._sql, self._pool, bad, bad.value("result"))
            cursor.execute(self._sql.delete_outcome, (self._pool, bad.value("cursor")))


def _decoded(rows: Sequence[Row]) -> tuple[list[Message], list[BadRow]]:
    messages: list[Message] = []
    bad: list[BadRow] = []
    for row in rows:
        try:
            messages.append(decode_message(row))
        except Undecodable as error:
            bad.append(BadRow("outcomes", OUTCOME, row, str(error)))
    return messages, bad
