"""A task inserted in a transaction of an application, through whatever driver its SQLAlchemy connection uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from sqlalchemy import ARRAY, Connection, LargeBinary, Table, Text, TextClause, bindparam, func, select, text
from sqlalchemy.exc import ProgrammingError

from parking_lot_core import Checkpoint
from parking_lot_drivers.errors import InvalidTask, SchemaMissing
from parking_lot_drivers.stores.sql.checkpoints import share_rows
from parking_lot_drivers.stores.sql.postgres_commit import PostgresCommit, json_text
from parking_lot_drivers.stores.sql.postgres_sql import PostgresStatements
from parking_lot_drivers.stores.sql.shared_sql import Entry

_PARAMETER = re.compile(r"%\((\w+)\)[sb]")
_MISSING = ("42P01", "42703", "3F000")


def insert_for(
    connection: Connection,
    entry: Entry,
    sql: PostgresStatements,
    commit: PostgresCommit,
    outcomes: Table,
    parameters: Mapping[str, object],
    channel: str,
) -> bool:
    """See ``SharedSql.insert_for``. ``commit`` knows how a task lies in the database; it sends nothing."""
    _check_dialect(connection, entry)
    try:
        stored, shares = entry.admit(*_reserved(connection, entry, sql, parameters))
        if entry.need.once and entry.together:
            with connection.begin_nested() as savepoint:
                new = _insert(connection, sql, commit.row_of(stored), parameters)
                # After the insert: whoever had the id has ended by then, and its outcome can be seen.
                if new and _has_ended(connection, outcomes, parameters["pool"], entry.task_id):
                    savepoint.rollback()
                    return False
        else:
            new = _insert(connection, sql, commit.row_of(stored), parameters)
        if new and shares is not None:
            rows = json_text(share_rows(shares))
            connection.execute(_text(sql.keep_shares), {"pool": parameters["pool"], "rows": rows})
        if new:
            connection.execute(select(func.pg_notify(channel, "w ")))
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) in _MISSING:
            raise SchemaMissing(
                f"{entry.where}: its tables are missing or old: run `parking-lot migrate CONFIG`, or open the pool or "
                "a client once, before a task is submitted in a transaction"
            ) from error
        raise
    return new


def _check_dialect(connection: Connection, entry: Entry) -> None:
    if connection.dialect.name != "postgresql":
        raise InvalidTask(
            f"connection: expected one to {entry.where}, where the queue is, got one of dialect "
            f"{connection.dialect.name!r}"
        )


def _reserved(
    connection: Connection, entry: Entry, sql: PostgresStatements, parameters: Mapping[str, object]
) -> tuple[Checkpoint, int]:
    """A number, the fair-share tags, and how many tasks there are."""
    (name,) = connection.execute(select(func.current_database())).one()
    if entry.database is not None and name != entry.database:
        raise InvalidTask(f'connection: expected one to {entry.where}, where the queue is, got one to "{name}"')
    (number,) = connection.execute(_text(sql.next_number)).one()
    pool = {"pool": parameters["pool"]}
    shares = connection.execute(_text(sql.select_shares), pool).all() if entry.need.shares else []
    depth = 0
    if entry.need.count is not None:
        (depth,) = connection.execute(_text(sql.depth), {**pool, "limit": entry.need.count}).one()
    checkpoint = Checkpoint(
        next_sequence=number,
        virtual_time=max((int(tag) for clock, _, tag in shares if clock), default=0),
        finish_tags=tuple((tenant, int(tag)) for clock, tenant, tag in shares if not clock),
    )
    return checkpoint, depth


def _insert(
    connection: Connection,
    sql: PostgresStatements,
    stored: tuple[dict[str, object], object],
    parameters: Mapping[str, object],
) -> bool:
    row, body = stored
    element = LargeBinary() if isinstance(body, bytes) else Text()
    statement = _text(sql.add).bindparams(bindparam("bodies", type_=ARRAY(element)))
    values = {**parameters, "rows": json_text([row]), "bodies": [body]}
    return connection.execute(statement, values).first() is not None


def _has_ended(connection: Connection, outcomes: Table, pool: object, task_id: str) -> bool:
    found = select(outcomes.c.cursor).where(outcomes.c.pool == pool, outcomes.c.task_id == task_id)
    return connection.execute(found).first() is not None


@cache
def _text(statement: str) -> TextClause:
    """A statement of ours, with its parameters as SQLAlchemy writes them."""
    names = set(_PARAMETER.findall(statement))
    # In parentheses, since SQLAlchemy takes no name for a parameter that is followed by a colon, as in a cast.
    clause = text(_PARAMETER.sub(r"(:\1)", statement).replace("%%", "%"))
    typed = names - {"limit", "bodies"}
    return clause.bindparams(*(bindparam(name, type_=Text()) for name in sorted(typed)))
