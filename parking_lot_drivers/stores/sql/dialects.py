"""The one place that knows how databases differ. A further database adds one ``Rules``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress, groupby
from types import NoneType
from typing import Any, TypeAlias

import attrs
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import Table

from parking_lot_drivers.stores.sql.columns import Row

#: A cursor of the database driver (PEP 249). Statements go through it, not through SQLAlchemy's ``execute``, which
#: costs several times as much per call as SQLite needs for the row.
Cursor: TypeAlias = Any


def fetch_one(cursor: Cursor, statement: str, *parameters: object) -> Any:
    """The first row, or ``None``. Not every driver's ``execute`` returns the cursor."""
    cursor.execute(statement, parameters)
    return cursor.fetchone()


def fetch_all(cursor: Cursor, statement: str, *parameters: object) -> Any:
    """All rows."""
    cursor.execute(statement, parameters)
    return cursor.fetchall()


@attrs.frozen(kw_only=True)
class Rules:
    """What differs between databases.

    Attributes:
        dialect: compiles statements; its parameters must be positional.
        execute_rows: runs a statement for each row, in order; returns how many rows it touched.
        reserve: the numbers of the next so many payloads; called inside the transaction that inserts them.
        insert_numbered: runs an ``INSERT`` of one row and returns the number that the database gave it.
        insert_new: an ``INSERT`` that leaves rows out that would violate a unique constraint.
    """

    dialect: Dialect
    execute_rows: Callable[[Cursor, str, Sequence[Row]], int]
    reserve: Callable[[Cursor, int], Sequence[int]]
    insert_numbered: Callable[[Cursor, str, Row], int]
    insert_new: Callable[[Table], Insert]


def _sqlite_execute_rows(cursor: Cursor, statement: str, rows: Sequence[Row]) -> int:
    # Python's sqlite3 takes 0.45 µs to bind None, ten times what a number takes (it looks for an adapter first), and a
    # waiting task has seven of them. So None is written into the statement; rows fall into few patterns of None.
    touched = 0
    for types, run in groupby(rows, key=_types):
        if NoneType in types:
            given = [kind is not NoneType for kind in types]
            cursor.executemany(_with_nulls(statement, tuple(given)), [tuple(compress(row, given)) for row in run])
        else:
            cursor.executemany(statement, run)
        touched += cursor.rowcount
    return touched


def _types(row: Row) -> tuple[type, ...]:
    return tuple(map(type, row))


@lru_cache(maxsize=256)
def _with_nulls(statement: str, given: tuple[bool, ...]) -> str:
    parts = statement.split("?")
    assert len(parts) == len(given) + 1
    return parts[0] + "".join(("?" if bound else "NULL") + part for bound, part in zip(given, parts[1:], strict=True))


def _sqlite_reserve(cursor: Cursor, count: int) -> Sequence[int]:
    # There is one writer at a time, so the largest number cannot change before our rows are in.
    (largest,) = fetch_one(cursor, "SELECT coalesce(max(number), 0) FROM payloads")
    return range(largest + 1, largest + 1 + count)


def _sqlite_insert_numbered(cursor: Cursor, statement: str, row: Row) -> int:
    cursor.execute(statement, row)
    return int(cursor.lastrowid)


def _sqlite_insert_new(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing()


SQLITE = Rules(
    dialect=sqlite.dialect(),
    execute_rows=_sqlite_execute_rows,
    reserve=_sqlite_reserve,
    insert_numbered=_sqlite_insert_numbered,
    insert_new=_sqlite_insert_new,
)
