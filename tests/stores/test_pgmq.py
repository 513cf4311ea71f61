"""A queue that is a PGMQ queue, beside other PGMQ clients: the ``pgmq`` package's own."""

from __future__ import annotations

import time

import anyio
import pytest
from pgmq import Message

from parking_lot_drivers.shared_ports import Loss
from parking_lot_drivers.stores.sql.shared_sql import Policy
from parking_lot_drivers.testing.samples import batch, parked, retried, running
from tests.drivers.tools import Stage, Tally, until
from tests.postgres.server import Server
from tests.stores.pgmq_tools import NAME, client, opened, outcomes, pool_at, read, seen, shown

pytestmark = pytest.mark.anyio


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
