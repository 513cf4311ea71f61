"""Stores that fail while a pool is entered or left, unreadable payloads, and what a crash leaves between stores."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import anyio
import pytest

from parking_lot_core import MailboxKey, OutcomeStatus, PoolConfig
from parking_lot_drivers import ResourcePool, _loop
from parking_lot_drivers.errors import PoolClosed, StoreUnavailable, TaskLost
from parking_lot_drivers.ports import Delivery
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from tests.drivers.stores import KINDS, FaultyLot
from tests.drivers.tools import Stage, Tally, echo, look, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool looks again after some milliseconds."""
    monkeypatch.setattr(_loop, "_REREAD_DELAY_S", 0.005)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["down", "full"])
async def test_a_pool_whose_store_fails_is_not_entered(kind: str, how: str, tmp_path: Path) -> None:
    lot = FaultyLot(kind, tmp_path)
    queue, mailbox = lot.queue(), lot.mailbox()
    setattr(queue.faults, "down" if how == "down" else "read_only", True)
    with anyio.fail_after(10), pytest.raises(StoreUnavailable, match=r"the store is down|the disk is full"):
        async with ResourcePool(PoolConfig(max_units=1), echo, queue=queue, mailbox=mailbox):
            pytest.fail("entered")
    queue, mailbox = lot.queue(), lot.mailbox()
    async with ResourcePool(PoolConfig(max_units=1), echo, queue=queue, mailbox=mailbox) as pool:
        assert await (await pool.submit(1)).result() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["down", "full"])
async def test_a_pool_whose_store_fails_is_left_all_the_same(kind: str, how: str, tmp_path: Path) -> None:
    lot, stage = FaultyLot(kind, tmp_path), Stage()
    queue, mailbox = lot.queue(), lot.mailbox()
    pool = ResourcePool(PoolConfig(max_units=2), stage, queue=queue, mailbox=mailbox, grace=0.05)
    answers: list[Exception] = []

    async def wait(task_id: str) -> None:
        try:
            await pool.handle(task_id).outcome()
        except (PoolClosed, StoreUnavailable) as error:
            answers.append(error)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            with pytest.raises(StoreUnavailable, match=r"the store is down|the disk is full"):  # noqa: PT012
                async with pool:
                    for name in ("a", "b", "c"):
                        await pool.submit(name, task_id=name)
                        group.start_soon(wait, name)
                    await stage.on("a", "b")
                    for faults in (queue.faults, mailbox.faults):
                        setattr(faults, "down" if how == "down" else "read_only", True)
                    stage.end("b")
    assert len(answers) == 3
    assert stage.running == {}
    # Nothing was saved, so the next pool takes both runs for lost, and does them again.
    queue, mailbox = lot.queue(), lot.mailbox()
    config = PoolConfig(max_units=2, retry_backoff=0)
    async with ResourcePool(config, echo, queue=queue, mailbox=mailbox) as pool:
        await pool.join()
        seen = await look(queue, mailbox)
    assert {task_id: result.value for task_id, result in seen.outcomes.items()} == {"a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_callers_error_and_that_of_the_store(kind: str, tmp_path: Path) -> None:
    lot, stage = FaultyLot(kind, tmp_path), Stage()
    queue = lot.queue()
    pool = ResourcePool(PoolConfig(max_units=2), stage, queue=queue, mailbox=lot.mailbox(), grace=0)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with pool:
            await pool.submit("a")
            await stage.on("a")
            queue.faults.down = True
            raise ValueError("mine")
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["StoreUnavailable", "ValueError"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_payload_that_cannot_be_read_at_once(kind: str, tmp_path: Path) -> None:
    """A second look is enough, and no attempt is spent."""
    lot, work = FaultyLot(kind, tmp_path), Tally()
    await _leave_parked(lot, "a", "b", "c")
    queue, mailbox = lot.queue(), lot.mailbox()
    queue.payload_faults = 1
    async with ResourcePool(PoolConfig(max_units=4, max_attempts=1), work, queue=queue, mailbox=mailbox) as pool:
        await pool.join()
        seen = await look(queue, mailbox)
    assert {task_id: result.value for task_id, result in seen.outcomes.items()} == {"a": "a", "b": "b", "c": "c"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_payload_that_cannot_be_read_takes_no_other_with_it(kind: str, tmp_path: Path) -> None:
    lot, work = FaultyLot(kind, tmp_path), Tally()
    await _leave_parked(lot, "a", "bad", "c")
    queue, mailbox = lot.queue(), lot.mailbox()
    queue.unreadable.add("bad")
    config = PoolConfig(max_units=4, max_attempts=2, retry_backoff=0)
    async with ResourcePool(config, work, queue=queue, mailbox=mailbox) as pool:
        with pytest.raises(TaskLost, match="its payload could not be read: the disk failed to read"):
            await pool.handle("bad").result()
        assert await pool.handle("a").result() == "a"
        assert await pool.handle("c").result() == "c"
    assert len(work.runs) == 2


async def test_a_payload_that_is_gone(tmp_path: Path) -> None:
    lot = FaultyLot("sqlite", tmp_path)
    await _leave_parked(lot, "a", "b")
    with sqlite3.connect(tmp_path / "queue.sqlite") as file:
        file.execute("DELETE FROM payloads WHERE body = ?", (b'"a"',))
    file.close()
    queue, mailbox = lot.queue(), lot.mailbox()
    async with ResourcePool(PoolConfig(max_units=4), echo, queue=queue, mailbox=mailbox) as pool:
        outcome = await pool.handle("a").outcome()
        assert (outcome.status, outcome.error) == (OutcomeStatus.FAILED, "its payload is missing from the queue")
        assert await pool.handle("b").result() == "b"


@pytest.mark.parametrize("status", [OutcomeStatus.SUCCEEDED, OutcomeStatus.CANCELLED, OutcomeStatus.EXPIRED])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "," in kind])
async def test_what_was_delivered_but_not_removed_does_not_run_again(
    kind: str, status: OutcomeStatus, tmp_path: Path
) -> None:
    """Where queue and mailbox share no transaction, a crash may fall between the two. Cancelled tasks never ran."""
    lot, work = FaultyLot(kind, tmp_path), Tally()
    await _leave_parked(lot, "a", "b", timeout=3600 if status is OutcomeStatus.EXPIRED else None)
    mailbox = lot.mailbox()
    await mailbox.open()
    delivery = Delivery(
        task_id="a", epoch=0, mailbox=MailboxKey(), status=status, result=b"1", submitted_at=1.0, finished_at=2.0
    )
    await mailbox.deliver([delivery])
    await mailbox.aclose()
    queue, mailbox = lot.queue(), lot.mailbox()
    async with ResourcePool(PoolConfig(max_units=4), work, queue=queue, mailbox=mailbox) as pool:
        await pool.join()
        seen = await look(queue, mailbox)
    assert {task_id: result.status for task_id, result in seen.outcomes.items()} == {
        "a": status,
        "b": OutcomeStatus.SUCCEEDED,
    }
    assert [task_id for task_id, _ in work.runs] == ["b"]
    assert seen.lot.parked == 0


@pytest.mark.parametrize("damage", ["DELETE FROM checkpoints", "UPDATE checkpoints SET body = '{'"])
async def test_tasks_outlive_a_damaged_checkpoint(damage: str, tmp_path: Path) -> None:
    lot, work = FaultyLot("sqlite", tmp_path), Tally()
    await _leave_parked(lot, "a", "b", "c")
    with sqlite3.connect(tmp_path / "queue.sqlite") as file:
        file.execute(damage)
    file.close()
    queue, mailbox = lot.queue(), lot.mailbox()
    async with ResourcePool(PoolConfig(max_units=1), work, queue=queue, mailbox=mailbox) as pool:
        await pool.submit("later", task_id="later")
        await pool.join()
    assert [task_id for task_id, _ in work.runs] == ["a", "b", "c", "later"]


async def test_rows_that_cannot_be_read_are_set_aside_and_reported(tmp_path: Path) -> None:
    lot, work = FaultyLot("sqlite", tmp_path), Tally()
    await _leave_parked(lot, "a", "b")
    with sqlite3.connect(tmp_path / "queue.sqlite") as file:
        file.execute("UPDATE tasks SET units = -1 WHERE task_id = 'a'")
    file.close()
    queue, mailbox = SqliteQueue(tmp_path / "queue.sqlite", "pool"), SqliteMailbox(tmp_path / "queue.sqlite", "pool")
    async with ResourcePool(PoolConfig(max_units=1), work, queue=queue, mailbox=mailbox) as pool:
        await pool.join()
        (row,) = pool.stats().set_aside
        assert row.task_id == "a"
        assert "units" in row.reason
    assert [task_id for task_id, _ in work.runs] == ["b"]


async def _leave_parked(lot: FaultyLot, *names: str, timeout: float | None = None) -> None:
    """Park tasks in the lot, in a pool that had no room for them."""
    queue, mailbox = lot.queue(), lot.mailbox()
    async with ResourcePool(PoolConfig(max_units=4), Stage(), queue=queue, mailbox=mailbox, grace=0) as pool:
        pool.set_capacity("0", 0)
        for name in names:
            await pool.submit(name, task_id=name, timeout=timeout)
        await until(lambda: pool.stats().parked == len(names))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_that_failed_often_before_the_stop_may_fail_again_at_the_stop(kind: str, tmp_path: Path) -> None:
    lot, stage = FaultyLot(kind, tmp_path), Stage()
    queue = lot.queue()

    async def mend() -> None:
        failures = queue.faults.raised
        await until(lambda: queue.faults.raised >= failures + 2)
        queue.faults.read_only = False

    pool = ResourcePool(PoolConfig(max_units=1), stage, queue=queue, mailbox=lot.mailbox(), grace=0)
    async with anyio.create_task_group() as group, pool:
        await pool.submit("a")
        await stage.on("a")
        queue.faults.read_only = True
        stage.end("a")
        await until(lambda: queue.faults.raised > _loop._FAILURES_AT_STOP_MAX + 2)
        group.start_soon(mend)
