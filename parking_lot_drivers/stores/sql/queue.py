"""A queue as synchronous functions of a SQLAlchemy connection. The caller begins and commits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Host, Overview, Request, StoredTask
from parking_lot_drivers.stores.sql.checkpoints import decode_checkpoint, encode_checkpoint
from parking_lot_drivers.stores.sql.columns import REQUEST, TASK, TEXT, Columns, Row, Undecodable
from parking_lot_drivers.stores.sql.dialects import Cursor, fetch_all, fetch_one
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.rows import (
    TaskDecoder,
    decode_payload,
    decode_request,
    encode_change,
    encode_request,
    encode_task,
)
from parking_lot_drivers.stores.sql.set_aside import BadRow, keep
from parking_lot_drivers.stores.sql.statements import Statements, in_groups

_Found = tuple[list[tuple[ScheduledTask, MailboxKey]], list[BadRow]]

_ROWS_AT_A_TIME = 1000
_CHECKPOINT = Columns(task_id=TEXT, body=TEXT)
_CHECKPOINT_NAME = "(checkpoint)"


def as_it_is(row: Row) -> Row:
    """Nothing to do: the row is one of ``TASK``."""
    return row


class QueueSql:
    """The queue of one pool. ``read`` makes a row of ``TASK`` of what the statements for tasks find."""

    def __init__(self, statements: Statements, pool: str, read: Callable[[Row], Row] = as_it_is) -> None:
        self._sql = statements
        self._pool = pool
        self._read = read
        self._number = statements.rules.numbering()

    # Writing

    def save(self, connection: Connection, batch: Batch, mailbox: MailboxSql | None) -> None:
        """Write the batch, its deliveries only if ``mailbox`` is given. Raises whatever the driver raises."""
        cursor = connection.connection.cursor()
        if batch.removed:
            self._remove(cursor, batch.removed)
        if batch.added:
            self._add(cursor, batch.added)
        if batch.changed:
            self._change(cursor, batch.changed)
        if batch.delivered and mailbox is not None:
            mailbox.insert(cursor, batch.delivered)
        if batch.answered:
            keys = [(self._pool, number) for number in batch.answered]
            cursor.executemany(self._sql.delete_request, keys)
        if batch.checkpoint is not None:
            self._keep(cursor, encode_checkpoint(batch.checkpoint))

    def _keep(self, cursor: Cursor, body: str) -> None:
        cursor.execute(self._sql.update_checkpoint, (body, self._pool))
        if cursor.rowcount == 0:
            cursor.execute(self._sql.insert_checkpoint, (self._pool, body))

    def _add(self, cursor: Cursor, added: Sequence[StoredTask]) -> None:
        numbers = self._number(cursor, len(added))
        pool = self._pool
        bodies = [(number, stored.payload) for number, stored in zip(numbers, added, strict=True)]
        tasks = [encode_task(pool, stored, number) for number, stored in zip(numbers, added, strict=True)]
        cursor.executemany(self._sql.insert_payload, bodies)
        self._sql.rules.execute_rows(cursor, self._sql.insert_task, tasks)

    def _change(self, cursor: Cursor, changed: Sequence[ScheduledTask]) -> None:
        rows = [encode_change(self._pool, task) for task in changed]
        found = self._sql.rules.execute_rows(cursor, self._sql.change_task, rows)
        if found < len(changed):
            raise StoreUnavailable(
                f"the queue of pool {self._pool!r} has only {found} of the {len(changed)} tasks that were "
                "to change; nothing was saved: load it again"
            )

    def _remove(self, cursor: Cursor, removed: Sequence[str]) -> None:
        keys = [(self._pool, task_id) for task_id in removed]
        cursor.executemany(self._sql.delete_payload, keys)
        cursor.executemany(self._sql.delete_task, keys)

    def post(self, connection: Connection, request: Request) -> int:
        """Insert a request; returns its number."""
        cursor = connection.connection.cursor()
        row = encode_request(self._pool, request)
        return self._sql.rules.insert_numbered(cursor, self._sql.insert_request, row)

    def set_aside(self, connection: Connection, bad_rows: Sequence[BadRow]) -> None:
        """Move rows out of the way, with their payloads."""
        cursor = connection.connection.cursor()
        for bad in bad_rows:
            if bad.source == "tasks":
                self._set_aside_task(cursor, bad)
            elif bad.source == "requests":
                keep(cursor, self._sql, self._pool, bad, bad.value("payload"))
                cursor.execute(self._sql.delete_request, (self._pool, bad.value("number")))
            else:
                keep(cursor, self._sql, self._pool, bad, None)
                cursor.execute(self._sql.delete_checkpoint, (self._pool,))

    def _set_aside_task(self, cursor: Cursor, bad: BadRow) -> None:
        number, task_id = bad.value("payload"), bad.value("task_id")
        found = fetch_one(cursor, self._sql.select_body, number)
        keep(cursor, self._sql, self._pool, bad, found and found[0])
        cursor.execute(self._sql.delete_body, (number,))
        damaged = isinstance(task_id, bytes)
        cursor.execute(self._sql.delete_damaged_task if damaged else self._sql.delete_task, (self._pool, task_id))

    def take_lease(self, connection: Connection, host: Host) -> None:
        """Write down who schedules."""
        self._number = self._sql.rules.numbering()
        cursor = connection.connection.cursor()
        cursor.execute(self._sql.delete_lease, (self._pool,))
        cursor.execute(self._sql.insert_lease, (self._pool, host.pid, host.hostname, host.renewed_at))

    def renew_lease(self, connection: Connection, at: float) -> None:
        """Write down that the host is alive."""
        connection.connection.cursor().execute(self._sql.renew_lease, (at, self._pool))

    def drop_lease(self, connection: Connection) -> None:
        """Write down that nobody schedules."""
        connection.connection.cursor().execute(self._sql.delete_lease, (self._pool,))

    # Reading

    def load(self, connection: Connection) -> tuple[_Found, Checkpoint | None]:
        """All tasks in the order of their sequence, rows to be set aside, and the checkpoint."""
        cursor = connection.connection.cursor()
        tasks, bad = self._tasks(cursor, self._sql.select_tasks, self._pool)
        tasks.sort(key=lambda found: found[0].sequence)
        checkpoint, damage = self._checkpoint(cursor)
        if damage:
            checkpoint = _mended([task for task, _ in tasks])
        return (tasks, bad + damage), checkpoint

    def payloads(self, connection: Connection, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads of those of the tasks that there are."""
        cursor = connection.connection.cursor()
        if len(task_ids) == 1:
            rows = fetch_all(cursor, self._sql.select_payload, self._pool, *task_ids)
        else:
            groups = in_groups(task_ids)
            rows = [row for some in groups for row in fetch_all(cursor, self._sql.select_payloads, self._pool, *some)]
        return {task_id: decode_payload(body) for task_id, body in rows}

    def get(self, connection: Connection, task_id: str) -> ScheduledTask | None:
        """One task. A row that cannot be decoded is none: the next recovery sets it aside."""
        found = self.find(connection, task_id)
        return None if found is None else found[0]

    def find(self, connection: Connection, task_id: str) -> tuple[ScheduledTask, MailboxKey] | None:
        """The same, with its mailbox."""
        cursor = connection.connection.cursor()
        tasks, _ = self._tasks(cursor, self._sql.select_task, self._pool, task_id)
        return tasks[0] if tasks else None

    def requests(self, connection: Connection, after: int, limit: int) -> tuple[list[Request], list[BadRow]]:
        """The oldest requests past ``after``; and rows to be set aside."""
        cursor = connection.connection.cursor()
        requests: list[Request] = []
        bad: list[BadRow] = []
        for row in fetch_all(cursor, self._sql.select_requests, self._pool, after, limit):
            try:
                requests.append(decode_request(row))
            except Undecodable as error:
                bad.append(BadRow("requests", REQUEST, row, str(error)))
        return requests, bad

    def has_request_after(self, connection: Connection, number: int) -> bool:
        """Whether there is a request with a larger number."""
        cursor = connection.connection.cursor()
        return fetch_one(cursor, self._sql.select_request_after, self._pool, number) is not None

    def host(self, connection: Connection) -> Host | None:
        """Who wrote the lease, alive or not."""
        found = fetch_one(connection.connection.cursor(), self._sql.select_lease, self._pool)
        return found and Host(pid=found[0], hostname=found[1], renewed_at=found[2])

    def overview(self, connection: Connection, limit: int) -> Overview:
        """The lot at one moment; ``host`` as in ``host()``."""
        cursor = connection.connection.cursor()

        def count(statement: str) -> int:
            return int(fetch_one(cursor, statement, self._pool)[0])

        return Overview(
            parked=count(self._sql.count_parked),
            running=self._tasks_only(cursor, self._sql.select_running, self._pool),
            waiting=self._tasks_only(cursor, self._sql.select_waiting, self._pool, limit),
            requests=count(self._sql.count_requests),
            set_aside=count(self._sql.count_set_aside),
            outcomes=count(self._sql.count_outcomes),
            checkpoint=self._checkpoint(cursor)[0],
            host=self.host(connection),
        )

    def _tasks(self, cursor: Cursor, statement: str, *parameters: object) -> _Found:
        cursor.execute(statement, parameters)
        return decoded_tasks(cursor, self._read)

    def _tasks_only(self, cursor: Cursor, statement: str, *parameters: object) -> list[ScheduledTask]:
        return [task for task, _ in self._tasks(cursor, statement, *parameters)[0]]

    def _checkpoint(self, cursor: Cursor) -> tuple[Checkpoint | None, list[BadRow]]:
        found = fetch_one(cursor, self._sql.select_checkpoint, self._pool)
        if found is None:
            return None, []
        try:
            return decode_checkpoint(found[0]), []
        except Undecodable as error:
            return None, [BadRow("checkpoints", _CHECKPOINT, (_CHECKPOINT_NAME, found[0]), str(error))]


def _mended(tasks: Sequence[ScheduledTask]) -> Checkpoint:
    """What a lost checkpoint must have said at least, for the tasks to keep their order and new ones to follow."""
    return Checkpoint(
        now=max((task.started_at or task.admitted_at for task in tasks), default=0.0),
        next_sequence=max((task.sequence for task in tasks), default=0) + 1,
        virtual_time=max((task.tag for task in tasks if task.epoch), default=0),
    )


def decoded_tasks(cursor: Cursor, read: Callable[[Row], Row] = as_it_is) -> _Found:
    """The tasks that a statement found, with the mailboxes of their outcomes, and rows that cannot be decoded."""
    decode = TaskDecoder()
    tasks: list[tuple[ScheduledTask, MailboxKey]] = []
    bad: list[BadRow] = []
    while some := cursor.fetchmany(_ROWS_AT_A_TIME):
        for row in map(read, some):
            try:
                tasks.append(decode(row))
            except Undecodable as error:
                bad.append(BadRow("tasks", TASK, row, str(error)))
    return tasks, bad
