"""A request, or a task, inserted into an SQLite file in a transaction of an application."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, literal, select
from sqlalchemy.exc import OperationalError

from parking_lot_drivers.errors import InvalidTask, SchemaMissing
from parking_lot_drivers.ports import Request
from parking_lot_drivers.stores.sql.columns import REQUEST
from parking_lot_drivers.stores.sql.rows import encode_request
from parking_lot_drivers.stores.sql.tables import LOT_FILE


def check_file(connection: Connection, wanted_file: str) -> None:
    """See that the connection is to this SQLite file. Raises ``InvalidTask``.

    SQLAlchemy notes that a transaction has begun, as with any statement that goes through it.
    """
    wanted = f"connection: expected one to the file {wanted_file}, where the queue is"
    if connection.dialect.name != "sqlite":
        raise InvalidTask(f"{wanted}, got one of dialect {connection.dialect.name!r}")
    for _, name, file in connection.exec_driver_sql("PRAGMA database_list").all():
        if name == "main" and not (file and _same(Path(file), Path(wanted_file))):
            raise InvalidTask(f"{wanted}, got one to {file or 'a database in memory'}")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def insert_request(connection: Connection, file: Path, pool: str, request: Request, *, new: bool) -> bool:
    """Insert a request through an application's connection; False if ``new`` is asked for and the id is known.

    Raises ``InvalidTask`` for a connection to anything but ``file``, ``SchemaMissing`` if that is no lot yet, and what
    SQLAlchemy raises.
    """
    check_file(connection, str(file))
    with missing_told(str(file)):
        return _insert(connection, pool, request, new=new)


def _insert(connection: Connection, pool: str, request: Request, *, new: bool) -> bool:
    # Before anything is looked at: from here on nobody else writes until the caller's transaction ends.
    names = [name for name in REQUEST.names if name != "number"]
    row = dict(zip(names, encode_request(pool, request), strict=True))
    inserted = connection.execute(insert(LOT_FILE.requests).values(row)).inserted_primary_key
    assert inserted is not None
    if not new:
        return True
    requests = LOT_FILE.requests
    for table in (LOT_FILE.tasks, LOT_FILE.outcomes, requests):
        found = select(literal(1)).where(table.c.pool == pool, table.c.task_id == request.task_id)
        if table is requests:
            found = found.where(requests.c.number != inserted[0], requests.c.units.is_not(None))
        if connection.execute(found.limit(1)).first() is not None:
            connection.execute(requests.delete().where(requests.c.number == inserted[0]))
            return False
    return True


@contextmanager
def missing_told(file: str) -> Iterator[None]:
    """Raise ``SchemaMissing`` where tables are missing, whatever has looked for them."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        if "no such table" in str(error):
            raise SchemaMissing(
                f"{file} has no tables of a lot yet: open the pool or a client once, before a task is submitted in a "
                "transaction"
            ) from error
        raise
