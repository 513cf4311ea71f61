"""One connection to a real Postgres server: transactions, and what is said when something fails."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import psycopg
import pytest
from sqlalchemy import Connection, text

from parking_lot_drivers.errors import StoreInUse, StoreUnavailable
from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase
from tests.postgres.server import Server
from tests.postgres.tools import backend, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(database_url: str, anyio_backend: str) -> AsyncIterator[PostgresDatabase]:
    """An open database with an empty table ``t (n int primary key, words text)``."""
    async with opened(database_url) as it:
        await it.write(lambda c: c.connection.cursor().execute("CREATE TABLE t (n int PRIMARY KEY, words text)"))
        yield it


def insert(connection: Connection, n: int, words: str = "") -> Any:
    cursor = connection.connection.cursor()
    cursor.execute("INSERT INTO t VALUES (%s, %s) RETURNING n", (n, words))
    return cursor


def numbers(connection: Connection) -> list[int]:
    cursor = connection.connection.cursor()
    cursor.execute("SELECT n FROM t ORDER BY n")
    return [n for (n,) in cursor.fetchall()]


def status(connection: Connection) -> str:
    driver: Any = connection.connection.driver_connection
    return str(driver.info.transaction_status.name)


# Transactions


async def test_what_is_written_can_be_read(database: PostgresDatabase) -> None:
    await database.write(lambda c: insert(c, 1))
    await database.write(lambda c: insert(c, 2))
    assert await database.read(numbers) == [1, 2]


@pytest.mark.parametrize("pipeline", [False, True])
async def test_an_exception_rolls_back_and_passes_through(database: PostgresDatabase, pipeline: bool) -> None:
    def refuse(connection: Connection) -> None:
        insert(connection, 1)
        raise StoreInUse("by another")

    with pytest.raises(StoreInUse, match="by another"):
        await database.write(refuse, pipeline=pipeline)
    assert await database.read(numbers) == []
    assert await database.read(status) == "IDLE"


async def test_reading_begins_no_transaction_and_a_snapshot_is_one(
    database: PostgresDatabase, database_url: str
) -> None:
    def twice(connection: Connection) -> tuple[list[int], list[int]]:
        before = numbers(connection)
        with psycopg.connect(database_url, autocommit=True) as other:
            other.execute("INSERT INTO t SELECT count(*) FROM t")
        return before, numbers(connection)

    assert await database.read(status) == "IDLE"
    assert await database.read(twice) == ([], [0])
    assert await database.read(twice, snapshot=True) == ([0], [0])
    assert await database.read(numbers) == [0, 1]
    with pytest.raises(StoreUnavailable, match="read-only"):
        await database.read(lambda c: insert(c, 5), snapshot=True)
    assert await database.read(numbers) == [0, 1]


@pytest.mark.parametrize("pipeline", [False, True])
async def test_sqlalchemy_statements_share_the_transaction(database: PostgresDatabase, pipeline: bool) -> None:
    def add(connection: Connection, *given: int) -> None:
        for n in given:
            connection.execute(text("INSERT INTO t VALUES (:n, '')"), {"n": n})

    await database.write(lambda c: add(c, 1), pipeline=pipeline)
    with pytest.raises(StoreUnavailable, match="duplicate key") as caught:
        await database.write(lambda c: add(c, 2, 1), pipeline=pipeline)
    assert isinstance(caught.value.__cause__, psycopg.errors.UniqueViolation)
    assert await database.read(lambda c: [n for (n,) in c.execute(text("SELECT n FROM t"))]) == [1]
    assert await database.read(lambda c: c.in_transaction()) is False
    assert await database.read(status) == "IDLE"


async def test_a_swallowed_error_is_no_commit(database: PostgresDatabase) -> None:
    def swallow(connection: Connection) -> None:
        insert(connection, 1)
        try:
            insert(connection, 1)
        except psycopg.Error:
            return

    with pytest.raises(StoreUnavailable, match="rolled back"):
        await database.write(swallow)
    assert await database.read(numbers) == []


async def test_calls_of_many_tasks_follow_one_another(database: PostgresDatabase) -> None:
    async def add(n: int) -> None:
        await database.write(lambda c: insert(c, n), pipeline=n % 2 == 0)

    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(add, n)
    assert await database.read(numbers) == list(range(20))


# Pipelines


async def test_a_pipeline_commits_and_its_results_can_be_read_in_it_and_after_it(database: PostgresDatabase) -> None:
    def several(connection: Connection) -> tuple[Any, list[Any]]:
        early = insert(connection, 1).fetchall()
        return insert(connection, 2), early

    late, early = await database.write(several, pipeline=True)
    assert (early, late.fetchall()) == ([(1,)], [(2,)])
    assert await database.read(numbers) == [1, 2]


@pytest.mark.parametrize("look", [False, True], ids=["unread", "read"])
async def test_an_error_in_a_pipeline_keeps_nothing_and_the_connection_stays(
    database: PostgresDatabase, look: bool
) -> None:
    def fail(connection: Connection) -> None:
        insert(connection, 1)
        cursor = connection.connection.cursor()
        cursor.execute("SELECT 1 / 0")
        if look:
            cursor.fetchone()
        insert(connection, 2)

    process = await database.read(backend)
    with pytest.raises(StoreUnavailable, match="division by zero") as caught:
        await database.write(fail, pipeline=True)
    assert isinstance(caught.value.__cause__, psycopg.errors.DivisionByZero)
    assert await database.read(numbers) == []
    assert await database.read(backend) == process


async def test_an_error_at_commit_in_a_pipeline_is_told(database: PostgresDatabase) -> None:
    await database.write(
        lambda c: c.connection.cursor().execute("ALTER TABLE t ADD UNIQUE (words) DEFERRABLE INITIALLY DEFERRED")
    )
    for pipeline in (False, True):
        with pytest.raises(StoreUnavailable, match="duplicate key"):
            await database.write(lambda c: (insert(c, 1, "a"), insert(c, 2, "a")), pipeline=pipeline)
    assert await database.read(numbers) == []


# Races


@pytest.mark.parametrize("pipeline", [False, True])
async def test_a_deadlock_is_tried_again(database: PostgresDatabase, database_url: str, pipeline: bool) -> None:
    await database.write(lambda c: (insert(c, 1), insert(c, 2)))
    tries: list[int] = []

    def lock(connection: Any, n: int) -> None:
        connection.execute("SELECT 1 FROM t WHERE n = %s FOR UPDATE", (n,)).fetchone()

    def cross(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        tries.append(1)
        lock(driver, 1)
        if len(tries) == 1:
            go.set()
            locked.wait(10)
        lock(driver, 2)
        insert(connection, 3)

    def other() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute("SET deadlock_timeout = '1min'")  # So that the other one is the victim.
            go.wait(10)
            lock(connection, 2)
            locked.set()
            lock(connection, 1)

    go, locked = threading.Event(), threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    await database.write(cross, pipeline=pipeline)
    thread.join()
    assert len(tries) > 1
    assert await database.read(numbers) == [1, 2, 3]


async def test_a_lasting_race_is_told_at_last(database: PostgresDatabase) -> None:
    tries: list[int] = []

    def lose(connection: Connection) -> None:
        tries.append(1)
        raise psycopg.errors.SerializationFailure("could not serialize access")

    with pytest.raises(StoreUnavailable, match="other transactions"):
        await database.write(lose)
    assert len(tries) == 4


# Broken connections


@pytest.mark.parametrize("pipeline", [False, True])
async def test_after_a_killed_connection_the_next_call_opens_another(
    database: PostgresDatabase, postgres_server: Server, pipeline: bool
) -> None:
    process = await database.read(backend)
    postgres_server.execute(f"SELECT pg_terminate_backend({process}, 5000)")
    with pytest.raises(StoreUnavailable, match="connection"):
        await database.write(lambda c: insert(c, 1), pipeline=pipeline)
    await database.write(lambda c: insert(c, 2), pipeline=pipeline)
    assert await database.read(numbers) == [2]
    assert await database.read(backend) != process


async def test_a_connection_killed_within_a_transaction_keeps_nothing(
    database: PostgresDatabase, postgres_server: Server
) -> None:
    def suicide(connection: Connection) -> None:
        insert(connection, 1)
        postgres_server.execute(f"SELECT pg_terminate_backend({backend(connection)}, 5000)")
        insert(connection, 2)

    with pytest.raises(StoreUnavailable, match=r'database "t_\w+" on .* as user "postgres": .*connection'):
        await database.write(suicide)
    assert await database.read(numbers) == []


# Refusals


async def test_missing_rights_and_tables_and_schemas(database: PostgresDatabase, postgres_server: Server) -> None:
    def run(statement: str) -> Any:
        return database.write(lambda c: c.connection.cursor().execute(statement))

    with pytest.raises(StoreUnavailable, match="parking-lot migrate CONFIG"):
        await run("SELECT * FROM missing")
    with pytest.raises(StoreUnavailable, match="parking-lot migrate CONFIG"):
        await run("CREATE TABLE missing.t ()")
    with pytest.raises(StoreUnavailable, match="lacks a right: grant it"):
        await run("SET LOCAL ROLE pg_monitor; DELETE FROM t")


@pytest.mark.parametrize("words", ["a\0b", "\ud800"])
async def test_values_that_cannot_be_kept(database: PostgresDatabase, words: str) -> None:
    for pipeline in (False, True):
        with pytest.raises(StoreUnavailable, match="a value cannot be kept"):
            await database.write(lambda c: insert(c, 1, words), pipeline=pipeline)
    assert await database.read(numbers) == []
