"""Connecting to a real Postgres server: URLs, waiting for it, and what is said when it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import pytest
from sqlalchemy import Connection, text

from parking_lot_drivers.errors import ConfigError, StoreUnavailable
from parking_lot_drivers.stores.sql.postgres_connection import where
from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase, connect, told
from tests.postgres import server
from tests.postgres.server import OwnServer
from tests.postgres.tools import backend, opened

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def own_server() -> Iterator[OwnServer]:
    """A server that tests may stop."""
    running = server.start(fsync=False)
    yield running
    running.stop()


async def test_a_restarted_server_is_found_again(own_server: OwnServer) -> None:
    async with opened(own_server.url) as database:
        own_server.restart()
        with pytest.raises(StoreUnavailable):
            await database.read(backend)
        assert await database.read(backend)
        own_server.kill(signal.SIGQUIT)
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await database.write(backend)
        own_server.launch()
        assert await database.write(backend)


async def test_a_server_that_is_down(own_server: OwnServer) -> None:
    own_server.end()
    try:
        for url in (own_server.url, own_server.tcp_url()):
            with pytest.raises(StoreUnavailable, match="cannot be reached: see that it runs") as caught:
                await PostgresDatabase(url).open()
            assert own_server.password not in str(caught.value)
    finally:
        own_server.launch()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"password": "s3cret-wrong"}, "refuses this user or password.*password authentication failed"),
        ({"user": "no-such-user"}, "refuses this user or password"),
        ({"database": "no_such"}, "no such database: create it.*does not exist"),
        ({"user": "stranger", "password": "s3cret", "database": "closed"}, "GRANT CONNECT"),
    ],
)
async def test_permanent_faults_raise_at_once(own_server: OwnServer, given: dict[str, str], message: str) -> None:
    own_server.execute("DROP DATABASE IF EXISTS closed")
    own_server.execute("DROP ROLE IF EXISTS stranger")
    own_server.execute("CREATE ROLE stranger LOGIN PASSWORD 's3cret'")
    own_server.execute("CREATE DATABASE closed")
    own_server.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=message) as caught:
        await PostgresDatabase(own_server.tcp_url(**given), wait_for_server=30).open()
    assert time.monotonic() - began < 10
    assert "s3cret" not in str(caught.value)
    assert own_server.password not in str(caught.value)


async def test_waiting_for_a_server_that_comes_up(own_server: OwnServer) -> None:
    own_server.end()
    later = threading.Timer(0.5, own_server.launch)
    later.start()
    try:
        async with opened(own_server.tcp_url(), wait_for_server=20) as database:
            assert await database.read(backend)
    finally:
        later.join()


async def test_waiting_for_a_server_ends_in_time_and_can_be_cancelled(own_server: OwnServer) -> None:
    own_server.end()
    try:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await PostgresDatabase(own_server.url, wait_for_server=0.5).open()
        assert 0.5 <= time.monotonic() - began < 5
        began = time.monotonic()
        with anyio.move_on_after(0.3) as scope:
            await PostgresDatabase(own_server.url, wait_for_server=60).open()
        assert scope.cancelled_caught
        assert time.monotonic() - began < 5
    finally:
        own_server.launch()


async def test_closing_twice_and_opening_again(database_url: str) -> None:
    database = PostgresDatabase(database_url)
    await database.aclose()
    with pytest.raises(StoreUnavailable, match="not open"):
        await database.read(backend)
    for _ in range(2):
        await database.open()
        assert await database.read(backend)
        await database.aclose()
        await database.aclose()


@pytest.mark.parametrize(("durable", "found"), [(True, "on"), (False, "off")])
async def test_commits_are_flushed_whatever_the_default_is(database_url: str, durable: bool, found: str) -> None:
    def setting(connection: Connection) -> str:
        return str(connection.execute(text("SHOW synchronous_commit")).scalar())

    lax = f"{database_url}&options=-csynchronous_commit%3D{'off' if durable else 'on'}"
    async with opened(lax, synchronous_commit=durable) as database:
        assert await database.read(setting) == found


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg", "postgresql+asyncpg"])
async def test_other_ways_to_write_the_url(database_url: str, scheme: str) -> None:
    async with opened(urlsplit(database_url)._replace(scheme=scheme).geturl()) as database:
        name = await database.read(lambda c: c.execute(text("SELECT current_database()")).scalar())
        assert database_url.partition("?")[0].endswith(f"/{name}")


# Without an event loop


def test_a_connection_for_another_thread(database_url: str) -> None:
    with told(where(database_url)), connect(database_url, application_name="lease") as connection:
        assert connection.autocommit
        assert connection.execute("SHOW application_name").fetchone() == ("lease",)
    with (
        pytest.raises(StoreUnavailable, match=r"on .*: Postgres failed \(syntax error"),
        told(where(database_url)),
        connect(database_url, application_name="lease") as connection,
    ):
        connection.execute("SELEKT")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://bob:s3cret@localhost/app", 'database "app" on localhost:5432 as user "bob"'),
        ("postgres://bob@db.example:6000/app", 'database "app" on db.example:6000 as user "bob"'),
        ("postgresql+asyncpg://bob@[::1]/app", 'database "app" on [::1]:5432 as user "bob"'),
        ("postgresql://bob@/app?host=/run/pg", 'database "app" on the socket /run/pg as user "bob"'),
        ("postgresql://bob@/app?host=/run/pg&port=7", 'database "app" on the socket /run/pg, port 7 as user "bob"'),
        ("postgresql://bob@/app", 'database "app" on this machine\'s socket as user "bob"'),
        ("postgresql://bob:s3cret@a", 'database "bob" on a:5432 as user "bob"'),
        ("postgresql://bob@a:1,b:2/app", 'database "app" on a:1 or b:2 as user "bob"'),
        ("postgresql://?service=prod&password=s3cret", 'the database of the service "prod"'),
    ],
)
def test_a_database_in_words(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    assert where(url) == words


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3cret",
        "sqlite:///s3cret",
        "host=localhost password=s3cret",
        "postgresql://bob:s3cret@more@localhost/app",
        "postgresql://bob:12/s3cret@localhost/app",
        "postgresql://bob:s3cret/12@localhost/app",
        "postgresql://bob:12?34@s3cret@localhost/app",
        "postgresql://bob:%s3cret@localhost/app",
        "postgresql://localhost/app?s3cret=1",
        "postgresql://localhost:s3cret/app",
    ],
)
def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigError, match="expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE") as caught:
        PostgresDatabase(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_psycopg_the_error_names_the_extra() -> None:
    program = """
import sys
sys.modules['psycopg'] = None
from parking_lot_drivers.errors import MissingExtra
try:
    import parking_lot_drivers.stores.sql.postgres_database
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "psycopg, which is not installed: pip install 'prometheus-parking-lot[postgres]'" in done.stdout
