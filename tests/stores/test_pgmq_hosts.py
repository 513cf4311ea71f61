"""A PGMQ queue that several hosts schedule, and how it is made."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio
import psycopg
import pytest

from parking_lot_core import MailboxKey
from parking_lot_drivers.errors import ConfigError, MissingExtra, StoreUnavailable
from parking_lot_drivers.stores.pgmq import PgmqQueue, parts_of
from parking_lot_drivers.stores.sql.postgres_schema import script
from parking_lot_drivers.testing.samples import batch, parked, retried, running
from tests.drivers.tools import Tally
from tests.postgres.server import OwnServer, Server
from tests.stores.pgmq_tools import NAME, client, opened, outcomes, pool_at, queue_at, shown

pytestmark = pytest.mark.anyio


# Several hosts


async def test_two_pools_run_every_message_once(database_url: str) -> None:
    one, two = Tally(), Tally()
    async with pool_at(database_url, one) as first, pool_at(database_url, two):
        with client(database_url) as other:
            numbers = other.send_batch(NAME, [{"n": n} for n in range(200)])
        values = await outcomes(first, 200)
        assert sorted(value["n"] for value in values) == list(range(200))
        assert sorted(one.runs + two.runs) == sorted((f"pgmq-{number}", 1) for number in numbers)


async def test_pools_that_share_a_queue_see_their_own_tasks(database_url: str) -> None:
    other = PgmqQueue(database_url, "other", queue_name=NAME, poll=0.05)
    async with opened(database_url) as queue:
        await other.open()
        await queue.commit(batch(added=[parked("a")]))
        await other.commit(batch(added=[parked("a"), parked("b", 2)]))
        assert await shown(queue) == ["a"]
        assert sorted(await shown(other)) == ["a", "b"]
        await other.aclose()


async def test_the_tasks_of_a_host_that_left_are_taken_over_at_once(database_url: str) -> None:
    async with opened(database_url) as queue:
        async with opened(database_url) as leaves:
            await leaves.commit(batch(added=[running(parked("a"))]))
        ((task, box),) = await queue.adopt_orphans()
        assert task == running(parked("a"))
        assert isinstance(box, MailboxKey)
        saved = await queue.commit(batch(changed=[retried(task)]))
        assert saved.lost == {}


# Making it


async def test_hosts_that_start_at_once_on_a_new_database_install_pgmq_once(database_url: str) -> None:
    queues = [queue_at(database_url) for _ in range(4)]
    async with anyio.create_task_group() as group:
        for queue in queues:
            group.start_soon(queue.open)
    await queues[0].commit(batch(added=[parked("a")]))
    assert await shown(queues[3]) == ["a"]
    for queue in queues:
        await queue.aclose()


async def test_a_queue_that_was_dropped_is_made_again(database_url: str) -> None:
    async with opened(database_url):
        pass
    with client(database_url) as other:
        other.drop_queue(NAME)
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked("a")]))
        assert await shown(queue) == ["a"]


async def test_a_queue_of_another_client_is_used_as_it_is(database_url: str, postgres_server: Server) -> None:
    async with opened(database_url, queue_name="elsewhere"):
        pass  # installs PGMQ
    with client(database_url) as other:
        other.create_queue(NAME)
        other.send(NAME, {"sent": "before"})
    async with opened(database_url) as queue:
        assert await shown(queue) == ["pgmq-1"]
        assert await queue.payloads(["pgmq-1"]) == {"pgmq-1": b'{"sent":"before"}'}


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", 'a"b', "x;drop table y", "ä", "q" * 48, "a.b"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="queue_name: expected"):
        PgmqQueue("postgresql://localhost/none", "pool", queue_name=name)


async def test_the_longest_name_in_mixed_case(database_url: str) -> None:
    name = "Q" + "x" * 45 + "Z"
    async with opened(database_url, queue_name=name) as queue:
        await queue.commit(batch(added=[parked("a")]))
        assert await shown(queue) == ["a"]
        with client(database_url) as other:
            assert other.metrics(name).queue_length == 1


@pytest.fixture
def stranger(postgres_server: Server, database_url: str) -> Iterator[str]:
    """The URL of the same database for a user who may do nothing but connect and make tables in ``public``."""
    if not isinstance(postgres_server, OwnServer):
        pytest.skip("needs a server where users can be made")
    name = f"stranger_{secrets.token_hex(4)}"
    postgres_server.execute(f"CREATE ROLE {name} LOGIN PASSWORD 's3cret'")
    postgres_server.execute(f"GRANT CREATE ON SCHEMA public TO {name}", database_url)
    database = urlsplit(database_url).path.removeprefix("/")
    yield postgres_server.tcp_url(name, "s3cret", database)
    postgres_server.execute(f"DROP OWNED BY {name}", database_url)
    postgres_server.execute(f"DROP ROLE {name}")


async def test_without_the_right_to_make_pgmq_the_error_says_what_is_missing(stranger: str) -> None:
    queue = queue_at(stranger)
    with pytest.raises(StoreUnavailable, match=r"PGMQ is missing in database .* may not create it") as caught:
        await queue.open()
    assert "GRANT CREATE ON DATABASE" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_no_superuser_is_needed(stranger: str, database_url: str, postgres_server: Server) -> None:
    url = urlsplit(stranger)
    database = url.path.removeprefix("/")
    postgres_server.execute(f"GRANT CREATE ON DATABASE {database} TO {url.username}", database_url)
    async with opened(stranger) as queue:
        await queue.commit(batch(added=[parked("a")]))
        assert await shown(queue) == ["a"]


async def test_without_the_package_what_is_there_is_used(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pgmq.install", None)
    with pytest.raises(MissingExtra, match=r"needs the package pgmq.*prometheus-parking-lot\[postgres\]"):
        await queue_at(database_url).open()
    monkeypatch.undo()
    async with opened(database_url, queue_name="elsewhere"):
        pass  # installs PGMQ
    monkeypatch.setitem(sys.modules, "pgmq.install", None)
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked("a")]))
        assert await shown(queue) == ["a"]


async def test_a_queue_that_would_not_survive_a_crash_is_refused(database_url: str) -> None:
    async with opened(database_url, queue_name="elsewhere"):
        pass  # installs PGMQ
    with client(database_url) as other:
        other.create_queue(NAME, unlogged=True)
    with pytest.raises(StoreUnavailable, match="unlogged: a crash of the server would lose"):
        await queue_at(database_url).open()


def test_the_schema_as_sql_makes_all_of_it_twice(database_url: str, postgres_server: Server) -> None:
    text = script(parts_of(NAME, "results"))
    for _ in range(2):
        with psycopg.connect(database_url) as connection:
            connection.execute(text.encode())
    assert postgres_server.execute("SELECT queue_name FROM pgmq.list_queues()", database_url) == [(NAME,)]
