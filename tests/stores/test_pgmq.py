"""A queue that is a PGMQ queue, beside other PGMQ clients: the ``pgmq`` package's own."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import psycopg
import pytest
from pgmq import Message, PGMQueue
from psycopg_pool import ConnectionPool

from parking_lot_core import MailboxKey, PoolConfig
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.errors import ConfigError, MissingExtra, StoreUnavailable
from parking_lot_drivers.shared_ports import Loss
from parking_lot_drivers.stores.pgmq import PgmqQueue, parts_of
from parking_lot_drivers.stores.postgres import PostgresMailbox
from parking_lot_drivers.stores.sql.postgres_schema import script
from parking_lot_drivers.stores.sql.shared_sql import Policy
from tests.contracts.samples import batch, parked, retried, running
from tests.drivers.tools import SOON, Stage, Tally, until
from tests.postgres.server import OwnServer, Server

pytestmark = pytest.mark.anyio

NAME = "inference"


@contextmanager
def client(url: str) -> Iterator[PGMQueue]:
    """Another client of the queue."""
    with ConnectionPool(url, min_size=1, max_size=1) as pool:
        yield PGMQueue(pool=pool, init_extension=False)


def queue_at(url: str, **settings: Any) -> PgmqQueue:
    return PgmqQueue(url, "pool", **{"queue_name": NAME, "poll": 0.05, **settings})


@asynccontextmanager
async def opened(url: str, *, schedule: bool = True, **settings: Any) -> AsyncIterator[PgmqQueue]:
    queue = queue_at(url, **settings)
    await queue.open(schedule=schedule)
    try:
        yield queue
    finally:
        await queue.aclose()


def pool_at(url: str, work: Any, *, units: int = 4, **settings: Any) -> ResourcePool:
    queue, mailbox = queue_at(url, **settings), PostgresMailbox(url, "pool")
    return ResourcePool(PoolConfig(max_units=units), work, queue=queue, mailbox=mailbox, name="pool", grace=5.0)


async def outcomes(pool: ResourcePool, count: int) -> list[Any]:
    """The results in the mailbox without a name, once there are so many."""
    with anyio.fail_after(SOON):
        while len(found := await pool.mailbox.fetch(limit=1000)) < count:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    return [each.value for each in found]


async def shown(queue: PgmqQueue) -> list[str]:
    """The tasks that the window shows; with several hosts, those that are others' to start first come last."""
    window = await queue.window(10)
    return [task.id for task, _ in [*window.tasks, *window.others]]


def seen(other: PGMQueue, *, vt: int = 0) -> list[int]:
    """What another client reads."""
    return [message.msg_id for message in read(other, vt=vt)]


def read(other: PGMQueue, *, vt: int = 0) -> list[Message]:
    """Its messages. The client gives one as it is, and none as ``None``."""
    found = other.read(NAME, vt=vt, qty=10)
    return found if isinstance(found, list) else [found] if found else []


# What others send


async def test_a_message_of_another_client_becomes_a_task_and_its_outcome_lies_in_the_mailbox(
    database_url: str,
) -> None:
    tally = Tally()
    async with pool_at(database_url, tally, default_units=3) as pool:
        with client(database_url) as other:
            number = other.send(NAME, {"prompt": "hi", "n": [1, 2.5, None]})
        assert await outcomes(pool, 1) == [{"prompt": "hi", "n": [1, 2.5, None]}]
        assert tally.runs == [(f"pgmq-{number}", 1)]
        assert tally.most == {"0": 3}
        assert await pool.mailbox.get(f"pgmq-{number}") is not None


async def test_tasks_of_other_clients_come_after_those_of_a_higher_priority_and_in_their_order(
    database_url: str,
) -> None:
    async with opened(database_url) as queue:
        with client(database_url) as other:
            other.send_batch(NAME, [{"n": n} for n in range(5)])
        reserved = await queue.reserve(1)
        high = parked("high", reserved.next_sequence, priority=2)
        await queue.commit(batch(added=[high]))
        assert await shown(queue) == ["high", *(f"pgmq-{n}" for n in range(1, 6))]
        assert len({task.sequence for task, _ in (await queue.window(10)).tasks}) == 6


async def test_headers_of_other_clients_stay(database_url: str, postgres_server: Server) -> None:
    async with opened(database_url) as queue:
        with client(database_url) as other:
            other.send(NAME, {}, headers={"x-trace": "abc"})
            postgres_server.execute(
                f"INSERT INTO pgmq.q_{NAME} (vt, message, headers) VALUES (now(), '{{}}', '[7]')", database_url
            )
            assert await shown(queue) == ["pgmq-1", "pgmq-2"]
            headers = {message.msg_id: message.headers or {} for message in read(other)}
        assert headers[1]["x-trace"] == "abc"
        assert headers[2]["headers"] == [7]
        assert headers[1]["parking_lot"]["task_id"] == "pgmq-1"


async def test_a_message_sent_with_a_delay_waits_for_it(database_url: str) -> None:
    async with opened(database_url) as queue:
        with client(database_url) as other:
            before = time.time()
            other.send(NAME, {}, delay=3600)
        assert await shown(queue) == []
        task = await queue.get("pgmq-1")
        assert task is not None
        assert task.ready_at is not None
        assert 3590 < task.ready_at - before < 3700


@pytest.mark.parametrize("body", ["[1, 2]", '"text"', "17", "null", None])
async def test_a_message_that_is_no_object_is_set_aside_and_the_rest_runs(
    database_url: str, postgres_server: Server, body: str | None
) -> None:
    async with opened(database_url) as queue:
        text = "NULL" if body is None else f"'{body}'"
        postgres_server.execute(f"INSERT INTO pgmq.q_{NAME} (vt, message) VALUES (now(), {text})", database_url)
        with client(database_url) as other:
            other.send(NAME, {"fine": True})
        window = await queue.window(10)
        assert [task.id for task, _ in window.tasks] == ["pgmq-2"]
        (aside,) = window.set_aside
        assert aside.task_id == "pgmq-1"
        assert "expected a JSON object" in aside.reason
        again = await queue.window(10)
        assert list(again.set_aside) == []
        overview = await queue.overview()
        assert (overview.parked, overview.set_aside) == (1, 1)
        kept = postgres_server.execute("SELECT payload FROM parking_lot_set_aside", database_url)
        assert kept == [(None if body is None else body.encode(),)]
        archived = postgres_server.execute(f"SELECT msg_id FROM pgmq.a_{NAME}", database_url)
        assert archived == [(1,)]


async def test_hosts_that_look_at_the_same_time_take_each_message_in_once(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as two:
        with client(database_url) as other:
            other.send_batch(NAME, [{"n": n} for n in range(500)])
        async with anyio.create_task_group() as group:
            group.start_soon(one.window, 10)
            group.start_soon(two.window, 10)
        loaded = await one.load()
        assert [task.id for task, _ in loaded.tasks] == [f"pgmq-{n}" for n in range(1, 501)]
        assert len({task.sequence for task, _ in loaded.tasks}) == 500


async def test_a_message_whose_name_is_taken_waits_for_the_name(database_url: str) -> None:
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked("pgmq-2")]))
        with client(database_url) as other:
            assert other.send(NAME, {}) == 2
        assert await shown(queue) == ["pgmq-2"]
        await queue.commit(batch(removed=["pgmq-2"]))
        assert await shown(queue) == ["pgmq-2"]


# What others do to tasks


async def test_what_another_client_has_read_is_not_ours_until_its_time_has_passed(database_url: str) -> None:
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked("a", 1), parked("b", 2)]))
        with client(database_url) as other:
            message = other.read(NAME, vt=3600)
            assert isinstance(message, Message)
            assert await shown(queue) == ["b"]
            saved = await queue.commit(batch(claimed=[running(parked("a", 1)), running(parked("b", 2))]))
            assert saved.lost == {"a": Loss.TAKEN}
            saved = await queue.commit(batch(removed=["a"]))
            assert saved.lost == {"a": Loss.TAKEN}
            other.set_vt(NAME, message.msg_id, 0)
        assert await shown(queue) == ["a"]
        assert (await queue.commit(batch(claimed=[running(parked("a", 1))]))).lost == {}


async def test_what_another_client_postpones_is_not_shown(database_url: str) -> None:
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked("a")]))
        with client(database_url) as other:
            other.set_vt(NAME, 1, 3600)
            assert await shown(queue) == []
            other.set_vt(NAME, 1, 0)
            assert await shown(queue) == ["a"]


@pytest.mark.parametrize("way", ["archive", "delete"])
async def test_a_task_that_another_client_removes_is_gone(database_url: str, way: str) -> None:
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked("a", 1), parked("b", 2)]))
        with client(database_url) as other:
            assert getattr(other, way)(NAME, 1)
        saved = await queue.commit(batch(claimed=[running(parked("a", 1)), running(parked("b", 2))]))
        assert saved.lost == {"a": Loss.TAKEN}
        assert await queue.get("a") is None


async def test_a_waiting_task_that_another_client_archives_never_runs(database_url: str) -> None:
    stage = Stage()
    async with pool_at(database_url, stage, units=1) as pool:
        first = await pool.submit("first")
        await stage.on("first")
        await pool.submit("second")
        await pool.submit("third")
        with client(database_url) as other:
            assert other.archive(NAME, 2)
        stage.end("first", "third")
        await first.result()
        await until(lambda: stage.started == ["first", "third"])
        await outcomes(pool, 2)
        async with opened(database_url, schedule=False) as queue:
            overview = await queue.overview()
        assert (overview.parked, len(overview.running)) == (0, 0)


async def test_a_running_task_is_invisible_to_others_while_its_host_lives(database_url: str) -> None:
    async with opened(database_url, lease=1.5) as queue:
        await queue.commit(batch(added=[parked("a")]))
        await queue.commit(batch(claimed=[running(parked("a"))]))
        with client(database_url) as other:
            end = time.monotonic() + 2.5
            while time.monotonic() < end:  # beyond the lease: it is renewed
                assert seen(other) == []
                await anyio.sleep(0.1)
            await queue.commit(batch(changed=[retried(running(parked("a")))]))
            assert seen(other) == [1]


async def test_metrics_count_what_waits_and_what_runs(database_url: str) -> None:
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked(f"t{n}", n) for n in range(1, 6)]))
        await queue.commit(batch(claimed=[running(parked(f"t{n}", n)) for n in (1, 2)]))
        with client(database_url) as other:
            metrics = other.metrics(NAME)
            assert (metrics.queue_length, metrics.queue_visible_length) == (5, 3)
            await queue.commit(batch(removed=["t1", "t3"]))
            assert other.metrics(NAME).queue_length == 3
            assert other.metrics(NAME).total_messages == 5


@pytest.mark.parametrize("archive", [True, False])
async def test_what_has_ended_is_archived_if_that_is_wished(
    database_url: str, postgres_server: Server, archive: bool
) -> None:
    async with opened(database_url, policy=Policy(archive=archive)) as queue:
        await queue.commit(batch(added=[parked("a")]))
        await queue.commit(batch(removed=["a"]))
        select = f"SELECT msg_id, headers->'parking_lot'->>'task_id' FROM pgmq.a_{NAME}"
        assert postgres_server.execute(select, database_url) == ([(1, "a")] if archive else [])
        await anyio.sleep(0.02)
        assert (await queue.prune(older_than=0.01))["archived tasks"] == int(archive)
        assert postgres_server.execute(select, database_url) == []


async def test_a_damaged_header_is_set_aside_and_the_rest_runs(database_url: str, postgres_server: Server) -> None:
    async with opened(database_url) as queue:
        await queue.commit(batch(added=[parked(name, n) for n, name in enumerate("abcd", 1)]))
        for number, part in ((1, '{"units": "many"}'), (2, '{"ready_at": [1]}'), (3, '{"epoch": {}, "start_by": "x"}')):
            postgres_server.execute(
                f"UPDATE pgmq.q_{NAME} SET headers = jsonb_build_object('parking_lot', headers->'parking_lot' || "
                f"'{part}') WHERE msg_id = {number}",
                database_url,
            )
        loaded = await queue.load()
        assert [task.id for task, _ in loaded.tasks] == ["d"]
        assert {aside.task_id for aside in loaded.set_aside} == {"a", "b", "c"}
        assert await shown(queue) == ["d"]
        assert (await queue.overview()).set_aside == 3


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
