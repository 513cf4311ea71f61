"""What the tests of a connection to Postgres share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection

from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[PostgresDatabase]:
    """A database, open."""
    database = PostgresDatabase(url, **settings)
    await database.open()
    try:
        yield database
    finally:
        await database.aclose()


def backend(connection: Connection) -> int:
    """The process of the server that serves this connection."""
    cursor = connection.connection.cursor()
    cursor.execute("SELECT pg_backend_pid()")
    return int(cursor.fetchone()[0])  # type: ignore[index]
