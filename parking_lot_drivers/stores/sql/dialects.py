"""The one place that knows how databases differ. A further database adds one ``Rules``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress, groupby
from types import NoneType
from typing import Any, TypeAlias

import attrs
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg as psycopg_dialect
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import Table

from parking_lot_drivers.stores.sql.columns import Row

#: A cursor of the database driver (PEP 249). Statements go through it, not through SQLAlchemy's ``execute``, which
#: costs several times as much per call as SQLite needs for the row.
Cursor: TypeAlias = Any

#: Numbers for so many new payloads.
Numbering: TypeAlias = Callable[[Cursor, int], Sequence[int]]


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
        numbering: makes what gives the numbers of the next so many payloads, for as long as a lease is held; it is
            called inside the transaction that inserts them.
        insert_numbered: runs an ``INSERT`` of one row and returns the number that the database gave it.
        numbers_come_back: whether the number of the last row is given again once that row is gone.
        insert_new: an ``INSERT`` that leaves rows out that would violate a unique constraint.
    """

    dialect: Dialect
    execute_rows: Callable[[Cursor, str, Sequence[Row]], int]
    numbering: Callable[[], Numbering]
    insert_numbered: Callable[[Cursor, str, Row], int]
    insert_new: Callable[[Table], Insert]
    numbers_come_back: bool


def _sqlite_execute_rows(cursor: Cursor, statement: str, rows: Sequence[Row]) -> int:
    # Python's sqlite3 takes 0.45 µs to bind None, ten times what a number takes (it looks for an adapter first), and a
    # waiting task has seven of them. So None is written into the statement; rows fall into few patterns of None.
    touched = 0
    for types, run in groupby(rows, key=_types):
        text, given = _with_nulls(statement, types)
        cursor.executemany(text, [tuple(compress(row, given)) for row in run])
        touched += cursor.rowcount
    return touched


def _types(row: Row) -> tuple[type, ...]:
    return tuple(map(type, row))


@lru_cache(maxsize=256)
def _with_nulls(statement: str, types: tuple[type, ...]) -> tuple[str, tuple[bool, ...]]:
    """The statement with NULL for each ``None``, and which of the values remain to be bound."""
    given = tuple(kind is not NoneType for kind in types)
    parts = statement.split("?")
    assert len(parts) == len(given) + 1
    marks = ["?" if bound else "NULL" for bound in given]
    return parts[0] + "".join(mark + part for mark, part in zip(marks, parts[1:], strict=True)), given


class _SqliteNumbering:
    """Numbers payloads from one past the largest that there is. Only the holder of the lease writes payloads.

    Numbers so large that none can follow them were not given here: they come from damage, and are passed over.
    """

    def __init__(self) -> None:
        self._next: int | None = None

    def __call__(self, cursor: Cursor, count: int) -> Sequence[int]:
        if self._next is None:
            self._next = fetch_one(cursor, f"SELECT coalesce(max(number), 0) + 1 FROM payloads WHERE number < {2**62}")[
                0
            ]
        first = self._next
        self._next = first + count
        return range(first, first + count)


def _sqlite_insert_numbered(cursor: Cursor, statement: str, row: Row) -> int:
    cursor.execute(statement, row)
    return int(cursor.lastrowid)


def _sqlite_insert_new(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing()


SQLITE = Rules(
    dialect=sqlite.dialect(),
    execute_rows=_sqlite_execute_rows,
    numbering=_SqliteNumbering,
    insert_numbered=_sqlite_insert_numbered,
    insert_new=_sqlite_insert_new,
    numbers_come_back=True,
)


def _postgres_execute_rows(cursor: Cursor, statement: str, rows: Sequence[Row]) -> int:
    cursor.executemany(statement, rows)
    return int(cursor.rowcount)


def _postgres_numbering() -> Numbering:
    def number(_cursor: Cursor, _count: int) -> Sequence[int]:
        raise AssertionError("payloads of a shared lot have the numbers of their tasks")

    return number


def _postgres_insert_numbered(cursor: Cursor, statement: str, row: Row) -> int:
    cursor.execute(f"{statement} RETURNING number", row)
    return int(cursor.fetchone()[0])


def _postgres_insert_new(table: Table) -> Insert:
    return postgresql.insert(table).on_conflict_do_nothing()


POSTGRES = Rules(
    dialect=psycopg_dialect.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
    execute_rows=_postgres_execute_rows,
    numbering=_postgres_numbering,
    insert_numbered=_postgres_insert_numbered,
    insert_new=_postgres_insert_new,
    numbers_come_back=False,
)
