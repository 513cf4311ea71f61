"""Submissions in a transaction of the application's: the task is there with the application's rows, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from parking_lot_core import PoolConfig
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.errors import (
    ConfigError,
    DuplicateTask,
    InvalidTask,
    QueueFull,
    SchemaMissing,
    TaskTooLarge,
)
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from tests.contracts.registry import STORES, Lot
from tests.drivers.tools import SOON, echo, pool_on

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[name for name, lot in STORES.items() if lot.shared])
def lot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lot]:
    """A lot in a database."""
    lot = STORES[request.param](tmp_path)
    yield lot
    lot.drop()


@pytest.fixture
def anyio_backend() -> str:
    """The drivers of SQLAlchemy that are asynchronous need asyncio."""
    return "asyncio"


def client_of(lot: Lot, **policy: Any) -> LotClient:
    return LotClient(lot.queue(), lot.mailbox(), "pool", PoolConfig(**{"max_units": 4, **policy}))


def url_of(lot: Lot, *, asynchronous: bool) -> str:
    """The lot's database, as an application would name it."""
    if hasattr(lot, "url"):
        url = make_url(lot.url).set(drivername="postgresql+asyncpg" if asynchronous else "postgresql+psycopg")
        return url.render_as_string(hide_password=False)
    return f"sqlite+aiosqlite:///{lot.file}" if asynchronous else f"sqlite:///{lot.file}"  # type: ignore[attr-defined]


async def prepare(lot: Lot) -> None:
    """Make the lot, and a table of the application's beside it."""
    async with client_of(lot):
        pass
    engine = create_engine(url_of(lot, asynchronous=False))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (name TEXT)"))
    engine.dispose()


async def engine_of(lot: Lot) -> Engine:
    await prepare(lot)
    return create_engine(url_of(lot, asynchronous=False))


@asynccontextmanager
async def async_engine(lot: Lot) -> AsyncIterator[AsyncEngine]:
    await prepare(lot)
    engine = create_async_engine(url_of(lot, asynchronous=True))
    try:
        yield engine
    finally:
        await engine.dispose()


_ORDER = text("INSERT INTO orders VALUES (:name)")


async def check(lot: Lot, engine: Engine | None, task_id: str, *, orders: int = 1) -> None:
    """The task runs on a host, its outcome arrives, and so did the application's rows."""
    async with client_of(lot) as client, pool_on(lot, echo) as pool:
        assert await client.result(task_id, SOON) == "kept"
        assert len(await pool.mailbox.fetch()) == 1
        seen = await client.overview()
        assert (seen.parked, len(seen.running), seen.requests) == (0, 0, 0)
    engine = engine or create_engine(url_of(lot, asynchronous=False))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar() == orders
    engine.dispose()


@pytest.mark.parametrize("kind", [Connection, Session])
async def test_a_task_is_kept_with_the_rows_of_a_transaction_and_goes_with_them(lot: Lot, kind: type) -> None:
    engine = await engine_of(lot)
    client = client_of(lot)
    with engine.connect() if kind is Connection else Session(engine) as connection:
        connection.execute(_ORDER, {"name": "lost"})
        client.submit_in(connection, "lost")
        client.submit_in(connection, "lost", task_id="mine")
        connection.rollback()
        connection.execute(_ORDER, {"name": "kept"})
        task_id = client.submit_in(connection, "kept", task_id="mine", units=2, priority="high", timeout=600)
        connection.commit()
        client.submit_in(connection, "never committed")
    assert task_id == "mine"
    await check(lot, engine, task_id)


@pytest.mark.parametrize("kind", [AsyncConnection, AsyncSession])
async def test_the_same_without_blocking(lot: Lot, kind: type) -> None:
    client = client_of(lot)
    async with async_engine(lot) as engine:
        async with engine.connect() if kind is AsyncConnection else AsyncSession(engine) as connection:
            await connection.execute(_ORDER, {"name": "lost"})
            await client.submit_in_async(connection, "lost")
            await connection.rollback()
            task_id = await client.submit_in_async(connection, "kept", idempotency_key="k", run_timeout=60)
            await connection.execute(_ORDER, {"name": "kept"})
            await connection.commit()
        await check(lot, None, task_id)


async def test_a_host_hears_of_the_commit(lot: Lot) -> None:
    engine = await engine_of(lot)
    async with pool_on(lot, echo) as pool:
        with engine.connect() as connection:
            task_id = pool.submit_in(connection, "kept")
            connection.commit()
        with anyio.fail_after(SOON):
            while await pool.mailbox.get(task_id) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await pool.handle(task_id).outcome()).value == "kept"
    engine.dispose()


async def test_an_id_that_is_taken(lot: Lot) -> None:
    engine = await engine_of(lot)
    client = client_of(lot)
    with engine.connect() as connection:
        first = client.submit_in(connection, "kept", idempotency_key="k")
        assert client.submit_in(connection, "again", idempotency_key="k") == first
        with pytest.raises(DuplicateTask):
            client.submit_in(connection, "again", task_id=first)
        connection.execute(_ORDER, {"name": "kept"})
        connection.commit()
    await check(lot, None, first)
    with engine.connect() as connection:
        assert client.submit_in(connection, "again", idempotency_key="k") == first
        with pytest.raises(DuplicateTask):
            client.submit_in(connection, "again", task_id=first)
        connection.commit()
    async with client_of(lot) as entered, pool_on(lot, echo) as pool:
        await entered.result(await entered.submit("last"), SOON)
        assert sorted(result.value for result in await pool.mailbox.fetch()) == ["kept", "last"]  # type: ignore[type-var]
    engine.dispose()


async def test_what_is_refused(lot: Lot, tmp_path: Path) -> None:
    engine = await engine_of(lot)
    client = client_of(lot)
    other = create_engine(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with other.connect() as connection, pytest.raises(InvalidTask, match=r"connection: expected one to .* got one"):
        client.submit_in(connection, 1)
    automatic = engine.execution_options(isolation_level="AUTOCOMMIT")
    with automatic.connect() as connection, pytest.raises(InvalidTask, match="autocommit"):
        client.submit_in(connection, 1)
    with engine.connect() as connection:
        with pytest.raises(InvalidTask, match="call submit_in instead"):
            await client.submit_in_async(connection, 1)
        with pytest.raises(InvalidTask, match="expected a SQLAlchemy Connection or Session, got Engine"):
            client.submit_in(engine, 1)
        with pytest.raises(InvalidTask, match="several databases, or none"):
            client.submit_in(Session(), 1)
        with pytest.raises(TaskTooLarge):
            client.submit_in(connection, 1, units=5)
        with pytest.raises(InvalidTask, match="priority"):
            client.submit_in(connection, 1, priority="urgent")
    nothing = create_async_engine(url_of(lot, asynchronous=True))
    async with nothing.connect() as asynchronous:
        with pytest.raises(InvalidTask, match="got AsyncConnection: await submit_in_async instead"):
            client.submit_in(asynchronous, 1)
    await nothing.dispose()
    engine.dispose()
    other.dispose()
    async with client_of(lot) as entered:
        seen = await entered.overview()
        assert (seen.parked, seen.requests) == (0, 0)


async def test_a_lot_that_was_never_opened_has_no_tables(lot: Lot) -> None:
    engine = create_engine(url_of(lot, asynchronous=False))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (name TEXT)"))
    with engine.connect() as connection, pytest.raises(SchemaMissing):
        client_of(lot).submit_in(connection, 1)
    engine.dispose()


async def test_a_full_lot_that_hosts_share(lot: Lot) -> None:
    if lot.exclusive:
        pytest.skip("requests wait for room by themselves")
    engine = await engine_of(lot)
    client = client_of(lot, max_queue_depth=2)
    with engine.connect() as connection:
        client.submit_in(connection, 1)
        client.submit_in(connection, 2)
        with pytest.raises(QueueFull):
            client.submit_in(connection, 3)
        connection.commit()
    engine.dispose()
    async with client_of(lot) as entered:
        assert (await entered.overview()).parked == 2


async def test_tenants_get_their_shares(lot: Lot) -> None:
    if lot.exclusive:
        pytest.skip("requests are tagged by the process that admits them")
    engine = await engine_of(lot)
    client = client_of(lot, tenants={"alice": 2, "bob": 1}, max_units=1)
    with engine.begin() as connection:
        for number in range(3):
            client.submit_in(connection, number, tenant="alice")
    with engine.begin() as connection:
        client.submit_in(connection, "first", tenant="bob")
    engine.dispose()
    async with client_of(lot) as entered:
        ranked = sorted(
            (task.tag, task.sequence, task.metadata.tenant) for task, _ in (await entered._queue.load()).tasks
        )
    assert [tenant for _, _, tenant in ranked] == ["alice", "bob", "alice", "alice"]


async def test_another_database_of_the_same_server(database_url: str, tmp_path: Path) -> None:
    lot = STORES["postgres"](tmp_path)
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection, pytest.raises(InvalidTask, match="where the queue is, got one to"):
        client_of(lot).submit_in(connection, 1)
    engine.dispose()
    lot.drop()


async def test_a_queue_in_memory_is_in_no_database() -> None:
    client = LotClient(MemoryQueue(), MemoryMailbox(), "pool", PoolConfig(max_units=1))
    engine = create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(ConfigError, match="no database"):
        client.submit_in(connection, 1)
    engine.dispose()
