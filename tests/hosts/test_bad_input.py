"""Servers that are not there, users without rights, names that are no identifiers, and rows that nobody can read."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import psycopg
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.errors import ConfigError, StoreTooNew, StoreUnavailable
from parking_lot_drivers.stores.postgres import PostgresMailbox, PostgresQueue
from tests.hosts import proof
from tests.hosts.cluster import UNITS, Cluster
from tests.hosts.stores import POOL
from tests.hosts.tools import submit
from tests.postgres.server import OwnServer

pytestmark = pytest.mark.anyio


async def _echo(payload: object) -> object:
    return payload


def _pool(cluster: Cluster, url: str) -> ResourcePool:
    queue, mailbox = cluster.store.queue(url, poll=0.1), cluster.store.mailbox(url)
    return ResourcePool(PoolConfig(max_units=UNITS), _echo, queue=queue, mailbox=mailbox)


# -- servers that are not there ----------------------------------------------------------------------------------------


async def test_a_server_that_is_down_at_the_start_is_told_at_once(cluster: Cluster, own_server: OwnServer) -> None:
    await anyio.to_thread.run_sync(own_server.kill)
    try:
        with pytest.raises(StoreUnavailable, match=r"the server cannot be reached: see that it runs"):
            async with _pool(cluster, cluster.url):
                pass
    finally:
        await anyio.to_thread.run_sync(own_server.launch)


async def test_a_host_that_is_told_to_waits_for_the_server(cluster: Cluster, own_server: OwnServer) -> None:
    async with cluster.gateway() as pool:
        ids = await submit(pool, 5, work=0.0)
    await anyio.to_thread.run_sync(own_server.kill)
    try:
        (host,) = cluster.launch(1, wait_for_server=60.0)
        await anyio.sleep(1.5)
        assert host.alive, host.errors
    finally:
        await anyio.to_thread.run_sync(own_server.launch)
    host.wait_ready()
    await cluster.wait_for_end(ids)
    host.leave()
    proof.check(cluster, ids, units=UNITS)


async def test_an_idle_pool_says_that_its_server_is_down_and_recovers(cluster: Cluster, own_server: OwnServer) -> None:
    async with _pool(cluster, cluster.url) as pool:
        assert await (await pool.submit(1)).result() == 1
        await anyio.to_thread.run_sync(own_server.kill)
        try:
            await cluster.until(lambda: pool.stats().degraded, lambda: "the pool does not say that it is degraded")
            assert "cannot be reached" in str(pool.stats().degraded) or "broke" in str(pool.stats().degraded)
            with pytest.raises(StoreUnavailable):
                await pool.submit(2)
        finally:
            await anyio.to_thread.run_sync(own_server.launch)
        await cluster.until(lambda: pool.stats().degraded is None, lambda: "the pool stays degraded")
        assert await (await pool.submit(3)).result() == 3


@pytest.mark.parametrize(
    ("user", "password", "database", "words"),
    [
        ("postgres", "wrong-secret", "postgres", "refuses this user or password"),
        ("nobody-known", "wrong-secret", "postgres", "refuses this user or password"),
        ("postgres", None, "no_such_database", "there is no such database: create it"),
    ],
)
async def test_what_the_server_refuses_is_told_without_the_password(
    cluster: Cluster, own_server: OwnServer, user: str, password: str | None, database: str, words: str
) -> None:
    with pytest.raises(StoreUnavailable, match=words) as caught:
        async with _pool(cluster, own_server.tcp_url(user, password, database)):
            pass
    assert (password or own_server.password) not in str(caught.value)


# -- rights ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stranger(cluster: Cluster, own_server: OwnServer) -> Iterator[str]:
    """The URL of the cluster's database for a user who may only connect."""
    name = f"stranger_{secrets.token_hex(4)}"
    own_server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret-word'")
    yield own_server.tcp_url(name, "secret-word", urlsplit(cluster.url).path.removeprefix("/"))
    own_server.execute(f"DROP OWNED BY {name}", cluster.url)
    own_server.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("tables", ["missing", "there"])
async def test_a_user_without_rights_is_told_so(cluster: Cluster, stranger: str, tables: str) -> None:
    if tables == "there":
        async with cluster.gateway():
            pass
    with pytest.raises(StoreUnavailable, match=r"this user lacks a right: grant it") as caught:
        async with _pool(cluster, stranger):
            pass
    assert "secret-word" not in str(caught.value)


async def test_a_right_that_is_taken_away_and_given_back(
    cluster: Cluster, own_server: OwnServer, stranger: str
) -> None:
    async with cluster.gateway():
        pass
    name = urlsplit(stranger).username
    for schema in ("public", cluster.store.table.rpartition(".")[0] or "public"):
        own_server.execute(f"GRANT USAGE ON SCHEMA {schema} TO {name}", cluster.url)
        for kind in ("TABLES", "SEQUENCES"):
            own_server.execute(f"GRANT ALL ON ALL {kind} IN SCHEMA {schema} TO {name}", cluster.url)
    async with _pool(cluster, stranger) as pool:
        assert await (await pool.submit(1)).result() == 1
        own_server.execute(f"REVOKE INSERT ON {cluster.store.table} FROM {name}", cluster.url)
        with pytest.raises(StoreUnavailable, match="lacks a right"):
            await pool.submit(2)
        own_server.execute(f"GRANT INSERT ON {cluster.store.table} TO {name}", cluster.url)
        assert await (await pool.submit(3)).result() == 3
        assert pool.stats().degraded is None


# -- names and versions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ['x"; DROP TABLE precious; --', "x; DROP TABLE t", "täsk", "x" * 48, "a b", "", "1a", "a.b.c"]
)
def test_a_table_name_that_is_no_identifier_is_refused(name: str) -> None:
    for kind in (PostgresQueue, PostgresMailbox):
        with pytest.raises(ConfigError, match="table: expected at most 47 letters, digits and underscores"):
            kind("postgresql://localhost/x", POOL, table=name)


@pytest.mark.parametrize("name", ["Tasks", "select", "x" * 47, "jobs.tasks"])
async def test_any_identifier_can_name_a_table(own_server: OwnServer, database: str, name: str) -> None:
    own_server.execute("CREATE SCHEMA jobs", database)
    queue, mailbox = PostgresQueue(database, POOL, table=name), PostgresMailbox(database, POOL)
    async with ResourcePool(PoolConfig(max_units=1), _echo, queue=queue, mailbox=mailbox) as pool:
        assert await (await pool.submit(1)).result() == 1
    made = own_server.execute("SELECT relname FROM pg_class WHERE relkind = 'r'", database)
    assert (name.removeprefix("jobs."),) in made


@pytest.fixture
def database(own_server: OwnServer) -> Iterator[str]:
    """An empty database."""
    url = own_server.database()
    yield url
    own_server.drop(url)


async def test_tables_of_a_newer_version_are_left_alone(cluster: Cluster, own_server: OwnServer) -> None:
    async with cluster.gateway():
        pass
    own_server.execute("UPDATE parking_lot_schema SET version = 99", cluster.url)
    with pytest.raises(StoreTooNew, match=r"schema version\s99.*upgrade prometheus-parking-lot"):
        async with _pool(cluster, cluster.url):
            pass
    assert {row[0] for row in cluster.rows("SELECT version FROM parking_lot_schema")} == {99}


# -- rows that nobody can read -----------------------------------------------------------------------------------------


def _damage(cluster: Cluster, task_id: str) -> None:
    with psycopg.connect(cluster.url, autocommit=True) as connection:
        assert connection.execute(cluster.store.damage.encode(), (task_id,)).rowcount == 1


async def test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_runs(cluster: Cluster) -> None:
    async with cluster.gateway() as pool:
        (bad, *ids) = await submit(pool, 21, work=0.01)
    _damage(cluster, bad)
    cluster.start(2)
    await cluster.wait_for_end(ids)
    await cluster.until(lambda: _set_aside(cluster), lambda: "the row is still in the way")
    counts = cluster.leave()
    proof.check(cluster, ids, units=UNITS)
    assert _set_aside(cluster) == [bad]
    assert bad in [task_id for count in counts for task_id in count["set_aside"]]


async def test_a_row_of_a_dead_host_that_cannot_be_read_is_set_aside(cluster: Cluster) -> None:
    (victim,) = cluster.start(1)
    async with cluster.gateway() as pool:
        (bad, *ids) = await submit(pool, UNITS, work=0.5)
        await cluster.until(lambda: len(cluster.running(victim.pid)) == UNITS, lambda: "not all tasks run")
        victim.kill()
        _damage(cluster, bad)
        cluster.start(2)
        await cluster.wait_for_end(ids)
        await cluster.until(lambda: _set_aside(cluster), lambda: "the row is still in the way")
    cluster.leave()
    proof.check(cluster, ids, units=UNITS)
    assert _set_aside(cluster) == [bad]


def _set_aside(cluster: Cluster) -> list[str]:
    return [task_id for (task_id,) in cluster.rows("SELECT task_id FROM parking_lot_set_aside")]
