"""The statements of a lot, written once with SQLAlchemy and compiled to text once per database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import attrs
from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Integer,
    LargeBinary,
    Select,
    Table,
    Update,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal_column,
    select,
    update,
)

from parking_lot_core import TaskState
from parking_lot_drivers.stores.sql import columns
from parking_lot_drivers.stores.sql.columns import Columns
from parking_lot_drivers.stores.sql.dialects import Rules
from parking_lot_drivers.stores.sql.tables import LOT_FILE, Tables

#: Of how many tasks something is read at a time.
IDS_PER_SELECT = 64

_SEVERAL = [f"id_{number}" for number in range(IDS_PER_SELECT)]

_LIMIT: ColumnElement[int] = bindparam("limit", type_=Integer())


def in_groups(task_ids: Sequence[str]) -> Iterator[list[str]]:
    """The ids in groups of exactly ``IDS_PER_SELECT``; the last one repeats its last id until it is full."""
    for start in range(0, len(task_ids), IDS_PER_SELECT):
        some = list(task_ids[start : start + IDS_PER_SELECT])
        yield some + [some[-1]] * (IDS_PER_SELECT - len(some))


@attrs.frozen(kw_only=True)
class Statements:
    """SQL text with positional parameters. The comment after each names them where they are not plain columns."""

    rules: Rules

    insert_payload: str  # number, body
    insert_task: str  # columns.TASK
    change_task: str  # columns.CHANGING, pool, task_id
    delete_payload: str  # pool, task_id of its task
    delete_task: str  # pool, task_id
    delete_damaged_task: str  # pool, task_id as bytes
    select_body: str  # number -> body
    delete_body: str  # number
    select_tasks: str  # pool -> columns.TASK
    select_task: str  # pool, task_id -> columns.TASK
    select_payload: str  # pool, task_id -> task_id, body
    select_payloads: str  # pool, IDS_PER_SELECT ids -> task_id, body
    count_parked: str  # pool
    select_running: str  # pool -> columns.TASK, by sequence
    select_waiting: str  # pool, limit -> columns.TASK, by rank

    insert_outcome: str  # columns.OUTCOME without cursor
    select_outcome: str  # pool, task_id -> columns.OUTCOME
    select_ended: str  # pool, IDS_PER_SELECT ids -> task_id
    select_box: str  # pool, box (3), after, limit -> columns.OUTCOME, by cursor
    select_old: str  # pool, time, limit -> cursor, the smallest first
    move_mark: str  # pool of the mark; gives it a cursor past all others
    delete_outcome: str  # pool, cursor
    count_outcomes: str  # pool

    insert_request: str  # columns.REQUEST without number
    delete_request: str  # pool, number
    select_requests: str  # pool, after, limit -> columns.REQUEST, by number
    select_request_after: str  # pool, number -> 1
    count_requests: str  # pool

    insert_checkpoint: str  # pool, body
    update_checkpoint: str  # body, pool
    select_checkpoint: str  # pool -> body
    delete_checkpoint: str  # pool

    insert_lease: str  # pool, pid, hostname, renewed_at
    renew_lease: str  # renewed_at, pool
    delete_lease: str  # pool
    select_lease: str  # pool -> pid, hostname, renewed_at

    insert_set_aside: str  # pool, source, task_id, reason, body, payload
    count_set_aside: str  # pool


@cache
def compiled(rules: Rules, tables: Tables = LOT_FILE) -> Statements:
    """All statements for one database and its tables."""
    sql = _Compiler(rules)
    return Statements(
        rules=rules,
        **_tasks(sql, tables),
        **_outcomes(sql, tables.outcomes),
        **_requests(sql, tables.requests),
        **_single_rows(sql, tables),
    )


class _Compiler:
    """Compiles elements and makes sure that the parameters stand in the order that the rows have."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def __call__(self, element: Insert | Update | Delete | Select[*tuple[object, ...]], *parameters: str) -> str:
        text = element.compile(dialect=self.rules.dialect)
        found = tuple(text.positiontup or ())
        assert found == parameters, f"parameters of {text}: expected {parameters}, got {found}"
        return str(text)

    def insert(self, table: Table, *, leave_out: tuple[str, ...] = (), new: bool = False) -> str:
        names = [column.name for column in table.columns if column.name not in leave_out]
        element = self.rules.insert_new(table) if new else insert(table)
        # Inline: without a RETURNING clause that some dialects add of themselves.
        return self(element.values({name: bindparam(name) for name in names}).inline(), *names)


def _first(element: Select[*tuple[object, ...]], count: ColumnElement[int]) -> Select[*tuple[object, ...]]:
    """The first ``count`` rows. SQLite's dialect would add a parameter for an offset that is not spelled out."""
    return element.limit(count).offset(literal_column("0"))


def _where(table: Table, *names: str) -> list[ColumnElement[bool]]:
    """Equality on columns, with parameters whose names do not meet those of an UPDATE's values."""
    return [table.c[name] == bindparam(f"the_{name}") for name in names]


def _columns(table: Table, row: Columns) -> list[ColumnElement[object]]:
    return [table.c[name] for name in row.names]


def _tasks(sql: _Compiler, tables: Tables) -> dict[str, str]:
    table, payloads = tables.tasks, tables.payloads
    key = _where(table, "pool", "task_id")
    key_names = ("the_pool", "the_task_id")
    whole = select(*_columns(table, columns.TASK)).where(table.c.pool == bindparam("the_pool"))
    parked = table.c.state == literal_column(f"'{TaskState.PARKED.value}'")
    body = select(table.c.task_id, payloads.c.body).join(payloads, payloads.c.number == table.c.payload)
    rank = (table.c.priority.desc(), table.c.tag, table.c.sequence)
    change = update(table).ordered_values(*((table.c[name], bindparam(name)) for name in columns.CHANGING)).where(*key)
    in_several = table.c.task_id.in_([bindparam(name) for name in _SEVERAL])
    as_bytes = cast(table.c.task_id, LargeBinary)
    number = select(table.c.payload).where(*key).scalar_subquery()
    count = select(func.count()).select_from(table).where(table.c.pool == bindparam("the_pool"), parked)
    return {
        "insert_payload": sql.insert(payloads),
        "insert_task": sql.insert(table),
        "change_task": sql(change, *columns.CHANGING, *key_names),
        "delete_payload": sql(delete(payloads).where(payloads.c.number == number), *key_names),
        "delete_task": sql(delete(table).where(*key), *key_names),
        "delete_damaged_task": sql(
            delete(table).where(key[0], as_bytes == bindparam("the_bytes")), "the_pool", "the_bytes"
        ),
        "select_body": sql(select(payloads.c.body).where(*_where(payloads, "number")), "the_number"),
        "delete_body": sql(delete(payloads).where(*_where(payloads, "number")), "the_number"),
        "select_tasks": sql(whole, "the_pool"),
        "select_task": sql(whole.where(table.c.task_id == bindparam("the_task_id")), *key_names),
        "select_payload": sql(body.where(*key), *key_names),
        "select_payloads": sql(body.where(key[0], in_several), "the_pool", *_SEVERAL),
        "count_parked": sql(count, "the_pool"),
        "select_running": sql(whole.where(~parked).order_by(table.c.sequence), "the_pool"),
        "select_waiting": sql(_first(whole.where(parked).order_by(*rank), _LIMIT), "the_pool", "limit"),
    }


def _outcomes(sql: _Compiler, table: Table) -> dict[str, str]:
    whole = select(*_columns(table, columns.OUTCOME))
    box = ("pool", "box_tenant", "box_user", "box_session")
    after = table.c.cursor > bindparam("after")
    of_box = _first(whole.where(*_where(table, *box), after).order_by(table.c.cursor), _LIMIT)
    in_several = table.c.task_id.in_([bindparam(name) for name in _SEVERAL])
    ended = select(table.c.task_id).where(*_where(table, "pool"), in_several)
    count = select(func.count()).select_from(table).where(*_where(table, "pool"))
    old = select(table.c.cursor).where(*_where(table, "pool"), table.c.finished_at < bindparam("before"))
    last = select(func.max(table.alias("every").c.cursor) + literal_column("1")).scalar_subquery()
    return {
        "insert_outcome": sql.insert(table, leave_out=("cursor",), new=True),
        "select_outcome": sql(whole.where(*_where(table, "pool", "task_id")), "the_pool", "the_task_id"),
        "select_ended": sql(ended, "the_pool", *_SEVERAL),
        "select_box": sql(of_box, *(f"the_{name}" for name in box), "after", "limit"),
        "select_old": sql(_first(old.order_by(table.c.cursor), _LIMIT), "the_pool", "before", "limit"),
        "move_mark": sql(update(table).values(cursor=last).where(*_where(table, "pool")), "the_pool"),
        "delete_outcome": sql(delete(table).where(*_where(table, "pool", "cursor")), "the_pool", "the_cursor"),
        "count_outcomes": sql(count, "the_pool"),
    }


def _requests(sql: _Compiler, table: Table) -> dict[str, str]:
    of_pool = _where(table, "pool")
    after = table.c.number > bindparam("after")
    oldest = select(*_columns(table, columns.REQUEST)).where(*of_pool, after).order_by(table.c.number)
    later: Select[*tuple[Any, ...]] = select(literal_column("1")).where(*of_pool, after)
    return {
        "insert_request": sql.insert(table, leave_out=("number",)),
        "delete_request": sql(delete(table).where(*_where(table, "pool", "number")), "the_pool", "the_number"),
        "select_requests": sql(_first(oldest, _LIMIT), "the_pool", "after", "limit"),
        "select_request_after": sql(_first(later, literal_column("1")), "the_pool", "after"),
        "count_requests": sql(select(func.count()).select_from(table).where(*of_pool), "the_pool"),
    }


def _single_rows(sql: _Compiler, tables: Tables) -> dict[str, str]:
    renewed = update(tables.leases).values(renewed_at=bindparam("renewed_at")).where(*_where(tables.leases, "pool"))
    checkpoint = update(tables.checkpoints).values(body=bindparam("body")).where(*_where(tables.checkpoints, "pool"))
    lease = select(tables.leases.c.pid, tables.leases.c.hostname, tables.leases.c.renewed_at).where(
        *_where(tables.leases, "pool")
    )
    set_aside = select(func.count()).select_from(tables.set_aside).where(*_where(tables.set_aside, "pool"))
    return {
        "insert_checkpoint": sql.insert(tables.checkpoints),
        "update_checkpoint": sql(checkpoint, "body", "the_pool"),
        "select_checkpoint": sql(
            select(tables.checkpoints.c.body).where(*_where(tables.checkpoints, "pool")), "the_pool"
        ),
        "delete_checkpoint": sql(delete(tables.checkpoints).where(*_where(tables.checkpoints, "pool")), "the_pool"),
        "insert_lease": sql.insert(tables.leases),
        "renew_lease": sql(renewed, "renewed_at", "the_pool"),
        "delete_lease": sql(delete(tables.leases).where(*_where(tables.leases, "pool")), "the_pool"),
        "select_lease": sql(lease, "the_pool"),
        "insert_set_aside": sql.insert(tables.set_aside, leave_out=("number",)),
        "count_set_aside": sql(set_aside, "the_pool"),
    }
