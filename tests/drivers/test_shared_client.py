"""``LotClient`` on queues that hosts share: its tasks wait there at once, also while there is no host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_core import MailboxKey, OutcomeStatus, PoolConfig, TaskState
from parking_lot_drivers import NewTask, ResourcePool
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.errors import (
    ConfigError,
    DuplicateTask,
    InvalidTask,
    QueueFull,
    TaskFailed,
    TaskTooLarge,
)
from tests.contracts.registry import STORES, Lot
from tests.drivers.tools import SOON, Stage, echo, pool_on

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[name for name, lot in STORES.items() if not lot.exclusive])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lot]:
    """A lot that several hosts may schedule."""
    lot = STORES[request.param](tmp_path)
    yield lot
    lot.drop()


def client_of(lot: Lot, **policy: Any) -> LotClient:
    return LotClient(lot.queue(), lot.mailbox(), "pool", PoolConfig(**{"max_units": 4, **policy}))


async def test_a_task_waits_in_the_queue_without_a_host_and_is_run_by_the_first(shared: Lot) -> None:
    async with client_of(shared) as client:
        task_id = await client.submit("a", units=3, priority="high", tenant="acme", run_timeout=60)
        standing = await client.status(task_id)
        assert standing.state is TaskState.PARKED
        assert standing.task is not None
        assert (standing.task.units, standing.task.metadata.run_timeout) == (3, 60)
        assert await client.explain(task_id) is None
        seen = await client.overview()
        assert (seen.parked, seen.requests, seen.host) == (1, 0, None)
        async with pool_on(shared, echo):
            assert await client.result(task_id, SOON) == "a"
        assert [found.task_id for found in await client.fetch(MailboxKey("acme"))] == [task_id]
        assert (await client.overview()).parked == 0


async def test_many_callers_share_commits_and_lose_nothing(shared: Lot) -> None:
    async with client_of(shared) as client, client_of(shared) as other:
        ids: list[str] = []

        async def submit(number: int) -> None:
            ids.append(await (client, other)[number % 2].submit(number, task_id=f"task {number}"))

        async with anyio.create_task_group() as group:
            for number in range(150):
                group.start_soon(submit, number)
        assert sorted(ids) == sorted(f"task {number}" for number in range(150))
        loaded = await client._queue.load()
        assert len({task.sequence for task, _ in loaded.tasks}) == 150
        async with pool_on(shared, echo):
            results: list[object] = []

            async def wait(number: int) -> None:
                results.append(await client.result(f"task {number}", 3 * SOON))

            async with anyio.create_task_group() as group:
                for number in range(150):
                    group.start_soon(wait, number)
        assert sorted(results) == list(range(150))  # type: ignore[type-var]


async def test_callers_who_give_up_leave_the_others_alone(shared: Lot) -> None:
    async with client_of(shared) as client:
        kept: list[str] = []

        async def submit(number: int, scope: anyio.CancelScope) -> None:
            with scope:
                kept.append(await client.submit(number, task_id=str(number)))

        scopes = [anyio.CancelScope() for _ in range(20)]
        async with anyio.create_task_group() as group:
            for number, scope in enumerate(scopes):
                group.start_soon(submit, number, scope)
            await anyio.lowlevel.checkpoint()
            for scope in scopes[::2]:
                scope.cancel()
        assert set(kept) >= {str(number) for number in range(1, 20, 2)}
        there = {task.id for task, _ in (await client._queue.load()).tasks}
        assert there >= set(kept)
        assert await client.submit("after") is not None


async def test_a_key_gives_the_same_task_and_an_id_only_one(shared: Lot) -> None:
    async with client_of(shared) as client, client_of(shared) as other:
        first = await client.submit("a", idempotency_key="k")
        assert await client.submit("a", idempotency_key="k") == first
        assert await other.submit("a", idempotency_key="k") == first
        await client.submit("b", task_id="mine")
        for each in (client, other):
            with pytest.raises(DuplicateTask, match="'mine' is in the lot"):
                await each.submit("c", task_id="mine")
        async with pool_on(shared, echo):
            assert await client.result(first, SOON) == "a"
            assert await client.result("mine", SOON) == "b"
        for each in (client, other):
            assert await each.submit("a", idempotency_key="k") == first
            with pytest.raises(DuplicateTask, match="or its outcome in the mailbox"):
                await each.submit("c", task_id="mine")
        assert (await client.overview()).parked == 0


async def test_the_same_key_at_the_same_time_is_one_task(shared: Lot) -> None:
    async with client_of(shared) as client, client_of(shared) as other:
        ids = set()

        async def submit(each: LotClient) -> None:
            ids.add(await each.submit("a", idempotency_key="k"))

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(submit, client)
                group.start_soon(submit, other)
        assert len(ids) == 1
        assert (await client.overview()).parked == 1


async def test_what_is_refused_leaves_no_trace(shared: Lot) -> None:
    async with client_of(shared) as client:
        with pytest.raises(TaskTooLarge, match="needs 5 units, and the largest device has 4"):
            await client.submit(1, units=5)
        with pytest.raises(InvalidTask, match="at most one"):
            await client.submit(1, task_id="a", idempotency_key="b")
        assert (await client.overview()).parked == 0


async def test_a_full_lot(shared: Lot) -> None:
    async with client_of(shared, max_queue_depth=3) as client:
        for number in range(3):
            await client.submit(number)
        with pytest.raises(QueueFull, match="it holds 3 tasks"):
            await client.submit("one too many")
        async with client_of(shared, max_queue_depth=3) as other:
            with pytest.raises(QueueFull):
                await other.submit("one too many")
        assert (await client.overview()).parked == 3


async def test_a_batch_is_kept_whole_or_not_at_all(shared: Lot) -> None:
    async with client_of(shared, max_queue_depth=2000) as client:
        ids = await client.submit_many(NewTask(number, task_id=f"n{number}") for number in range(1500))
        assert ids == [f"n{number}" for number in range(1500)]
        assert (await client.overview()).parked == 1500
        with pytest.raises(QueueFull):
            await client.submit_many([NewTask(number) for number in range(501)])
        with pytest.raises(DuplicateTask, match=r"tasks\[1\]: task 'n7'"):
            await client.submit_many([NewTask("new"), NewTask("old", task_id="n7")])
        with pytest.raises(TaskTooLarge, match=r"tasks\[2\]: the task needs 9"):
            await client.submit_many([NewTask(1), NewTask(2), NewTask(3, units=9)])
        assert (await client.overview()).parked == 1500


async def test_a_batch_waits_for_room(shared: Lot) -> None:
    async with client_of(shared, max_queue_depth=4) as client:
        await client.submit_many([NewTask(number) for number in range(3)])
        async with pool_on(shared, echo, max_queue_depth=4):
            with anyio.fail_after(SOON):
                ids = await client.submit_many([NewTask(number) for number in range(4)], wait=True)
            assert [await client.result(task_id, SOON) for task_id in ids] == [0, 1, 2, 3]
        with pytest.raises(QueueFull):
            await client.submit_many([NewTask(number) for number in range(5)], wait=True)


async def test_a_task_is_stopped_wherever_it_stands(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client:
        await client.submit("x", task_id="first")
        assert (await client.cancel("first")).state is TaskState.PARKED
        async with pool_on(shared, stage):
            assert (await client.wait("first", SOON)).status is OutcomeStatus.CANCELLED
            await client.submit("a", units=4, task_id="running")
            await stage.on("a")
            await client.submit("b", units=4, task_id="parked")
            why = await client.explain("parked")
            assert why is not None
            assert why.position == 1
            for task_id in ("parked", "running"):
                await client.cancel(task_id)
                assert (await client.wait(task_id, SOON)).status is OutcomeStatus.CANCELLED


async def test_a_task_that_fails_raises_its_error(shared: Lot) -> None:
    async def fail(payload: object) -> None:
        raise ValueError(payload)

    async with client_of(shared, max_attempts=1) as client, pool_on(shared, fail, max_attempts=1):
        with pytest.raises(TaskFailed, match="ValueError: bad"):
            await client.result(await client.submit("bad"), SOON)


async def test_whoever_watches_for_the_others_may_leave(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client, pool_on(shared, stage):
        task_id = await client.submit("a")
        await stage.on("a")
        values: list[object] = []

        async def wait() -> None:
            values.append(await client.result(task_id, SOON))

        with pytest.raises(TimeoutError):
            await client.wait(task_id, 0.05)
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as first:
                async with anyio.create_task_group() as watcher:
                    watcher.start_soon(wait)
                    await anyio.sleep(0.05)
                    group.start_soon(wait)
                    group.start_soon(wait)
                    await anyio.sleep(0.05)
                    first.cancel()
            stage.end("a", say=7)
        assert values == [7, 7]


async def test_fetch_waits_for_the_next_outcome(shared: Lot) -> None:
    async with client_of(shared) as client, pool_on(shared, echo):
        assert await client.fetch(timeout=0.05) == []
        found: list[str] = []

        async def fetch() -> None:
            found.extend(result.task_id for result in await client.fetch(timeout=SOON))

        async with anyio.create_task_group() as group:
            group.start_soon(fetch)
            await anyio.sleep(0.05)
            task_id = await client.submit("a")
        assert found == [task_id]


async def test_tenants_share_as_they_do_on_a_host(shared: Lot) -> None:
    policy = {"tenants": {"alice": 2, "bob": 1}, "max_units": 1}
    async with client_of(shared, **policy) as client, client_of(shared, **policy) as other:
        for number in range(4):
            await client.submit(number, tenant="alice")
            await other.submit(number, tenant="bob")
        ranked = sorted(
            (task.tag, task.sequence, task.metadata.tenant) for task, _ in (await client._queue.load()).tasks
        )
        order = [tenant for _, _, tenant in ranked]
        assert order[:6].count("alice") == 4  # two of hers for each of his
        assert order[-2:] == ["bob", "bob"]


async def test_connect_refuses_a_queue_that_no_other_process_can_see(tmp_path: Path) -> None:
    config = tmp_path / "lot.json"
    config.write_text(
        '{"pools": {"p": {"max_units": 1}, "q": {"max_units": 1, "queue": {"type": "yaque", "path": "."}}}}'
    )
    with pytest.raises(ConfigError, match=r"pools\.p\.queue"):
        ResourcePool.connect(config, "p")
    async with ResourcePool.connect(config, "q") as client:
        assert (await client.overview()).parked == 0
