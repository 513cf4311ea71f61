"""``submit_many``: all tasks of one call, or none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers import BlockingPool, NewTask, ResourcePool
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.errors import (
    DuplicateTask,
    InvalidTask,
    PayloadNotEncodable,
    PoolClosed,
    QueueFull,
    SubmitError,
    TaskTooLarge,
)
from tests.contracts.registry import STORES, Lot
from tests.drivers.tools import SOON, Stage, echo, look_at, pool_on

pytestmark = pytest.mark.anyio


async def test_handles_come_in_order_and_all_run(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        handles = await pool.submit_many(NewTask(number, units=1 + number % 4) for number in range(50))
        with anyio.fail_after(3 * SOON):
            assert [await handle.result() for handle in handles] == list(range(50))
        assert await pool.submit_many([]) == []


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        (NewTask(1, units=9), TaskTooLarge, r"tasks\[1\]: the task needs 9 units"),
        (NewTask(1, priority="urgent"), InvalidTask, r"tasks\[1\]: priority: expected one of"),
        (NewTask(object()), PayloadNotEncodable, r"tasks\[1\]: "),
        (NewTask(1, task_id="same"), DuplicateTask, r"tasks\[1\]: task_id: 'same' is that of an earlier task"),
        ("no task", InvalidTask, r"tasks\[1\]: expected a NewTask, got str"),
    ],
)
async def test_one_that_is_bad_refuses_all(lot: Lot, bad: Any, error: type[SubmitError], words: str) -> None:
    async with pool_on(lot, echo) as pool:
        with pytest.raises(error, match=words):
            await pool.submit_many([NewTask("good", task_id="same"), bad, NewTask("good")])
        await pool.join()
    assert (await look_at(lot)).is_empty


async def test_the_same_key_is_the_same_task(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        first, second = await pool.submit_many([NewTask("a", idempotency_key="k"), NewTask("b", idempotency_key="k")])
        assert first.task_id == second.task_id
        assert await first.result() == await second.result() == "a"
        (again, other) = await pool.submit_many([NewTask("c", idempotency_key="k"), NewTask("d")])
        assert (await again.result(), await other.result()) == ("a", "d")
        with pytest.raises(DuplicateTask):
            await pool.submit_many([NewTask("e"), NewTask("f", task_id=first.task_id)])
    assert len((await look_at(lot)).outcomes) == 2


async def test_there_is_room_for_all_or_none_is_kept(tmp_path: Path) -> None:
    lot = STORES["sqlite"](tmp_path)
    stage = Stage()
    async with pool_on(lot, stage, max_queue_depth=3, max_units=1) as pool:
        await pool.submit("a")
        with pytest.raises(QueueFull, match="it holds 1 tasks"):
            await pool.submit_many([NewTask(name) for name in "bcd"])
        assert pool.stats().parked == 0
        handles = []

        async def submit() -> None:
            handles.extend(await pool.submit_many([NewTask(name) for name in "bcd"], wait=True))

        async with anyio.create_task_group() as group:
            group.start_soon(submit)
            await stage.on("a")
            assert not handles
            stage.end("a", "b", "c", "d", say=1)
        assert [await handle.result() for handle in handles] == [1, 1, 1]


async def test_a_client_posts_all_in_one_transaction(tmp_path: Path) -> None:
    lot = STORES["sqlite"](tmp_path)
    async with LotClient(lot.queue(), lot.mailbox(), "pool", PoolConfig(max_units=4, max_queue_depth=5)) as client:
        ids = await client.submit_many([NewTask(number) for number in range(4)])
        assert (await client.overview()).requests == 4
        with pytest.raises(QueueFull):
            await client.submit_many([NewTask(1), NewTask(2)])
        assert (await client.overview()).requests == 4
        async with pool_on(lot, echo, max_queue_depth=5):
            assert [await client.result(task_id, SOON) for task_id in ids] == [0, 1, 2, 3]


async def test_a_pool_that_is_closed_takes_none(lot: Lot) -> None:
    pool = pool_on(lot, echo)
    with pytest.raises(PoolClosed):
        await pool.submit_many([NewTask(1)])


def test_without_an_event_loop() -> None:
    with BlockingPool(lambda: ResourcePool(PoolConfig(max_units=2), len)) as pool:
        handles = pool.submit_many([NewTask("a"), NewTask("ab")])
        assert [handle.result(SOON) for handle in handles] == [1, 2]
