"""Requests of other processes, posted to the queue's inbox while a pool schedules it, and before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from parking_lot_core import MailboxKey, OutcomeStatus
from parking_lot_drivers import _requests
from parking_lot_drivers._submission import metadata_of, task_id_of
from parking_lot_drivers.codec import encode
from parking_lot_drivers.handle import TaskResult
from parking_lot_drivers.ports import Mailbox, Request, TaskQueue
from tests.contracts.registry import Lot
from tests.drivers.tools import Stage, Tally, a_while, echo, look_at, pool_on, until

pytestmark = pytest.mark.anyio


class Client:
    """Another process, as far as the lot can tell: objects of its own, without the lease."""

    def __init__(self, queue: TaskQueue, mailbox: Mailbox) -> None:
        self.queue = queue
        self.mailbox = mailbox

    async def submit(self, payload: object, task_id: str, *, box: MailboxKey | None = None, **wishes: Any) -> int:
        """Post a task."""
        request = Request(
            number=0,
            task_id=task_id,
            at=0.0,
            task=metadata_of(task_id, wishes.pop("now", 0.0), **wishes),
            payload=encode(payload),
            mailbox=box or MailboxKey(),
        )
        return await self.queue.post(request)

    async def cancel(self, task_id: str) -> int:
        """Post a cancellation."""
        return await self.queue.post(Request(number=0, task_id=task_id, at=0.0))

    async def all_answered(self) -> None:
        """Wait until the inbox is empty."""
        with anyio.fail_after(10):
            while (await self.queue.overview()).requests:  # noqa: ASYNC110 (in another process)
                await anyio.sleep(0.005)

    async def outcome(self, task_id: str) -> OutcomeStatus:
        """Wait for the end of a task."""
        with anyio.fail_after(10):
            while (message := await self.mailbox.get(task_id)) is None:  # noqa: ASYNC110
                await anyio.sleep(0.005)
        return message.delivery.status


@asynccontextmanager
async def client_of(lot: Lot) -> AsyncIterator[Client]:
    """A client of the lot."""
    async with lot.opened_mailbox() as mailbox:
        if lot.shared:
            async with lot.opened(schedule=False) as queue:
                yield Client(queue, mailbox)
        else:
            yield Client(lot.queue(), mailbox)


async def test_a_task_is_submitted(lot: Lot) -> None:
    box = MailboxKey("t", "u", "s")
    async with pool_on(lot, Tally()) as pool, client_of(lot) as client:
        await client.submit([1, b"2"], "a", box=box, units=3)
        assert await client.outcome("a") is OutcomeStatus.SUCCEEDED
        (result,) = await pool.mailbox.fetch(box)
        assert result.value == [1, b"2"]
        assert await pool.handle("a").result() == [1, b"2"]
        await client.all_answered()
        assert pool.stats().outcomes == {OutcomeStatus.SUCCEEDED: 1}


async def test_what_was_posted_before_the_pool_came_is_taken_up(lot: Lot) -> None:
    async with client_of(lot) as client:
        for number in range(5):
            await client.submit(number, f"t{number}")
        await client.cancel("t3")
    async with pool_on(lot, echo) as pool, client_of(lot) as client:
        await client.all_answered()
        await pool.join()
        ends = {result.task_id: result.status for result in await pool.mailbox.fetch()}
    assert ends.pop("t3") in (OutcomeStatus.CANCELLED, OutcomeStatus.SUCCEEDED)
    assert ends == dict.fromkeys(("t0", "t1", "t2", "t4"), OutcomeStatus.SUCCEEDED)


async def test_tasks_are_cancelled(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1) as pool, client_of(lot) as client:
        await pool.submit("runs", task_id="runs")
        await pool.submit("waits", task_id="waits")
        await stage.on("runs")
        await client.cancel("waits")
        assert await client.outcome("waits") is OutcomeStatus.CANCELLED
        await client.cancel("runs")
        assert await client.outcome("runs") is OutcomeStatus.CANCELLED
        await client.cancel("runs")
        await client.cancel("nobody")
        await client.all_answered()
    assert (stage.started, stage.cancelled) == (["runs"], ["runs"])


async def test_a_task_that_is_too_large_ends_as_rejected(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool, client_of(lot) as client:
        await client.submit("x", "large", units=5, box=MailboxKey("t"))
        assert await client.outcome("large") is OutcomeStatus.REJECTED
        (result,) = await pool.mailbox.fetch(MailboxKey("t"))
        assert result.error == "it needs 5 units, and the largest device has 4"
        await client.all_answered()
        assert pool.stats().outcomes == {OutcomeStatus.REJECTED: 1}


async def test_a_task_that_is_too_late_expires(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool, client_of(lot) as client:
        await client.submit("x", "late", timeout=1)  # a second after the epoch
        assert await client.outcome("late") is OutcomeStatus.EXPIRED
        assert pool.stats().parked == 0


async def test_a_full_lot_lets_requests_wait(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, client_of(lot) as client:
        await pool.submit("a")
        for name in ("b", "c"):
            await client.submit(name, name)
        await until(lambda: pool.stats().waiting_for_room == 2)
        assert (await client.queue.overview()).requests == 2
        for name in ("a", "b", "c"):
            await stage.on(name)
            stage.end(name)
        assert await client.outcome("c") is OutcomeStatus.SUCCEEDED
        await client.all_answered()
    assert stage.started == ["a", "b", "c"]


async def test_requests_that_wait_survive_the_pool(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1, grace=0) as pool, client_of(lot) as client:
        await pool.submit("a")
        await client.submit("b", "b")
        await until(lambda: pool.stats().waiting_for_room)
    assert (await look_at(lot)).lot.requests == 1
    async with pool_on(lot, echo, max_queue_depth=1), client_of(lot) as client:
        assert await client.outcome("b") is OutcomeStatus.SUCCEEDED


async def test_a_request_that_waits_for_room_is_cancelled(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, client_of(lot) as client:
        await pool.submit("a", task_id="a")
        await client.submit("b", "b")
        await until(lambda: pool.stats().waiting_for_room)
        await client.cancel("b")
        assert await client.outcome("b") is OutcomeStatus.CANCELLED
        await client.all_answered()
        stage.end("a")
    assert stage.started == ["a"]


async def test_submission_and_cancellation_that_are_read_together_find_a_lot_that_is_full(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1, grace=0) as pool:
        await pool.submit("a", task_id="a")
        await stage.on("a")
    async with client_of(lot) as client:
        await client.submit("b", "b")
        await client.cancel("b")
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, client_of(lot) as client:
        assert await client.outcome("b") is OutcomeStatus.CANCELLED
        await client.all_answered()
        stage.end("a")
        await pool.join()
        assert pool.stats().waiting_for_room == 0
    assert stage.started == ["a", "a"]


async def test_the_same_task_twice_runs_once(lot: Lot) -> None:
    work = Tally()
    async with client_of(lot) as client:
        for _ in range(3):
            await client.submit("x", "a")
    async with pool_on(lot, work) as pool, client_of(lot) as client:
        await client.all_answered()
        await pool.join()
        await client.submit("x", "a")
        await client.all_answered()
    assert len(work.runs) == 1


async def test_a_key_is_shared_with_other_processes(lot: Lot) -> None:
    stage = Stage()
    task_id = task_id_of("pool", None, "k")
    async with pool_on(lot, stage) as pool, client_of(lot) as client:
        await client.submit("theirs", task_id)
        await stage.on("theirs")
        handle = await pool.submit("ours", idempotency_key="k")
        stage.end("theirs", say="one answer")
        assert await handle.result() == "one answer"
        await client.submit("theirs", task_id)
        await client.all_answered()
    assert stage.started == ["theirs"]


@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_a_key_is_shared_while_both_wait_for_room(lot: Lot, first: str) -> None:
    stage = Stage()
    task_id = task_id_of("pool", None, "k")
    results: list[TaskResult] = []
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, client_of(lot) as client:
        await pool.submit("a")

        async def submit() -> None:
            handle = await pool.submit("ours", idempotency_key="k", wait=True)
            results.append(await handle.outcome())

        async with anyio.create_task_group() as group:
            for number, who in enumerate([first, "theirs" if first == "ours" else "ours"]):
                if who == "ours":
                    group.start_soon(submit)
                else:
                    await client.submit("theirs", task_id)
                await until(lambda count=number: pool.stats().waiting_for_room == count + 1)
            stage.end("a")
            await stage.on(first)
            stage.end(first, say=first)
            await until(lambda: results)
        await client.all_answered()
        await pool.join()
    assert results[0].value == first
    assert stage.started == ["a", first]


async def test_more_requests_wait_than_are_read_at_a_time(lot: Lot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind them are seen all the same, and nobody reads the same ones over and over."""
    monkeypatch.setattr(_requests, "PAGE", 4)
    stage = Stage()
    async with client_of(lot) as client:
        for number in range(21):
            await client.submit("crowd", f"crowd-{number}")
    looks = 0
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1, grace=0) as pool, client_of(lot) as client:
        await until(lambda: pool.stats().waiting_for_room == 20)
        read = pool._queue.requests

        async def counted(**about: int) -> list[Request]:
            nonlocal looks
            looks += 1
            return await read(**about)

        pool._queue.requests = counted  # type: ignore[method-assign, assignment]
        await client.cancel("crowd-0")
        assert await client.outcome("crowd-0") is OutcomeStatus.CANCELLED
        await a_while(0.3)
        assert looks < 10
    assert (await look_at(lot)).lot.requests in (19, 20)
