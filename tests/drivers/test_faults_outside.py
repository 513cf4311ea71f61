"""Stores that fail while others wait: for room, for the answer to a request, for the pool to be done."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from parking_lot_core import OutcomeStatus, PoolConfig
from parking_lot_drivers import ResourcePool, _loop
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.errors import PoolClosed, StoreUnavailable
from tests.drivers.stores import KINDS, FaultyLot, HeldMailbox, HeldQueue
from tests.drivers.test_requests import Client
from tests.drivers.tools import Stage, Tally, a_while, look, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool looks again after a millisecond."""
    monkeypatch.setattr(_loop, "_REREAD_DELAY_S", 0.001)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
async def test_requests_are_answered_once_whatever_fails(kind: str, moment: str, tmp_path: Path) -> None:
    number, struck = 2, True
    while struck:
        (tmp_path / f"{number}").mkdir()
        struck = await _answer(FaultyLot(kind, tmp_path / f"{number}"), number, moment)
        number += 1 if kind == "memory" else 2
    assert number > 5


async def _answer(lot: FaultyLot, number: int, moment: str) -> bool:
    """Post tasks of every kind to a pool with little room, whose queue fails at a write. Whether it did."""
    queue, mailbox, work = lot.queue(), lot.mailbox(), Tally()
    client = Client(queue if _in_memory(lot) else lot.queue(), mailbox)
    pool = ResourcePool(PoolConfig(max_units=2, max_queue_depth=2), work, queue=queue, mailbox=mailbox, name="pool")
    async with pool:
        if not _in_memory(lot):
            await client.queue.open(schedule=False)
        queue.faults.at[number] = moment
        for task_id in ("a", "b", "c", "d", "a"):
            await client.submit(task_id, task_id)
        await client.submit("large", "large", units=3)
        await client.submit("late", "late", timeout=1)
        await client.cancel("d")
        await client.all_answered()
        await pool.join()
        seen = await look(queue, mailbox)
        if not _in_memory(lot):
            await client.queue.aclose()
    ends = {task_id: result.status for task_id, result in seen.outcomes.items()}
    assert ends.pop("d") in (OutcomeStatus.CANCELLED, OutcomeStatus.SUCCEEDED)
    assert ends == {
        **dict.fromkeys("abc", OutcomeStatus.SUCCEEDED),
        "large": OutcomeStatus.REJECTED,
        "late": OutcomeStatus.EXPIRED,
    }
    runs = [task_id for task_id, _ in work.runs]
    assert len(set(runs)) == len(runs)
    return queue.faults.raised > 0


@pytest.mark.parametrize("kind", KINDS)
async def test_those_who_wait_for_room_go_on_waiting(kind: str, tmp_path: Path) -> None:
    lot, stage = FaultyLot(kind, tmp_path), Stage()
    queue, mailbox = lot.queue(), lot.mailbox()
    admitted: list[str] = []
    config = PoolConfig(max_units=1, max_queue_depth=1)
    async with (
        ResourcePool(config, stage, queue=queue, mailbox=mailbox) as pool,
        anyio.create_task_group() as group,
    ):

        async def submit(name: str) -> None:
            await pool.submit(name, wait=True)
            admitted.append(name)

        await pool.submit("a", task_id="a")
        for name in ("b", "c"):
            group.start_soon(submit, name)
            await until(lambda last=name: pool.stats().waiting_for_room == "abc".index(last))
        queue.faults.down = True
        with pytest.raises(StoreUnavailable):
            await pool.submit("refused")
        assert pool.stats().waiting_for_room == 2
        queue.faults.down = False
        for name in ("a", "b", "c"):
            await stage.on(name)
            stage.end(name)
        await until(lambda: admitted == ["b", "c"])


async def test_a_caller_who_is_called_in_when_the_save_fails_is_told(tmp_path: Path) -> None:
    lot, stage = FaultyLot("memory", tmp_path), Stage()
    queue = lot.queue()
    refused: list[Exception] = []
    config = PoolConfig(max_units=1, max_queue_depth=1)
    async with (
        ResourcePool(config, stage, queue=queue, mailbox=lot.mailbox()) as pool,
        anyio.create_task_group() as group,
    ):

        async def submit() -> None:
            try:
                await pool.submit("b", wait=True)
            except StoreUnavailable as error:
                refused.append(error)

        handle = await pool.submit("a")
        group.start_soon(submit)
        await until(lambda: pool.stats().waiting_for_room)
        queue.faults.at[queue.faults.writes + 1] = "before"
        stage.end("a", say=1)
        assert await handle.result() == 1
        await until(lambda: refused)
        assert pool.stats().waiting_for_room == 0
    assert stage.started == ["a"]


async def test_join_waits_for_the_last_outcome_to_be_saved(tmp_path: Path) -> None:
    queue, stage = HeldQueue(tmp_path / "lot", "pool"), Stage()
    mailbox = HeldMailbox(tmp_path / "lot", "pool")
    joined: list[int] = []
    async with ResourcePool(PoolConfig(max_units=1), stage, queue=queue, mailbox=mailbox) as pool:

        async def join() -> None:
            await pool.join()
            joined.append(len(await pool.mailbox.fetch()))

        await pool.submit("a")
        await stage.on("a")
        queue.stops.hold = True
        stage.end("a")
        async with anyio.create_task_group() as group:
            await queue.stops.at("before the save")
            group.start_soon(join)
            await a_while()
            assert joined == []
            queue.stops.hold = False
            queue.stops.go()
        assert joined == [1]


async def test_a_submission_that_was_acknowledged_stays_so() -> None:
    """Also if the pool has stopped before its caller gets to run."""
    ticket, refused = Ticket("a"), Ticket("b")
    ticket.acknowledge()
    ticket.refuse(PoolClosed("stopped"))
    await ticket.answered()
    with pytest.raises(PoolClosed):
        await ticket.outcome()
    refused.refuse(PoolClosed("stopped"))
    for wait in (refused.answered, refused.outcome):
        with pytest.raises(PoolClosed):
            await wait()


async def test_an_error_that_no_store_should_raise_ends_the_pool_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    """Callers outside of the pool's own scope, too, hear of it."""
    lot, stage = FaultyLot("memory", tmp_path), Stage()
    queue, answers = lot.queue(), []
    pool = ResourcePool(PoolConfig(max_units=1), stage, queue=queue, mailbox=lot.mailbox(), grace=0)
    entered, broken = anyio.Event(), anyio.Event()

    async def serve() -> None:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with pool:
                entered.set()
                await broken.wait()
                queue.faults.strike = lambda _: 1 / 0  # type: ignore[method-assign, assignment, return-value]
                stage.end("a")
                await anyio.sleep(10)

    async def wait_for(name: str) -> None:
        try:
            await (await pool.submit(name)).outcome()
        except PoolClosed as error:
            answers.append(error)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            await entered.wait()
            group.start_soon(wait_for, "a")
            await stage.on("a")
            group.start_soon(wait_for, "b")
            await until(lambda: pool.stats().parked)
            broken.set()
            await until(lambda: len(answers) == 2)
            with pytest.raises(PoolClosed):
                await pool.submit("late")


def _in_memory(lot: FaultyLot) -> bool:
    """Whether the queue is in memory, and so the same object for all."""
    return lot.kind.startswith("memory")
