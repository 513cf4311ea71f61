"""What the simulator has found, each as small as it could be made; and the worlds that showed it first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from parking_lot_core import (
    Checkpoint,
    MailboxKey,
    OutcomeStatus,
    PoolConfig,
    ResourceCost,
    ScheduledTask,
    Scheduler,
    Submitted,
    TaskMetadata,
)
from parking_lot_drivers import ResourcePool
from parking_lot_drivers._submission import task_id_of
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask
from parking_lot_drivers.codec import encode
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Delivery, StoredTask
from parking_lot_drivers.shared_ports import Loss
from parking_lot_drivers.stores.memory import MemoryQueue
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from tests.drivers.tools import SOON, Stage, echo, until
from tests.simulator import simulate


@pytest.mark.parametrize(
    ("seed", "backend", "store"),
    [
        (405, "asyncio", "shared|sqlite"),
        (5, "trio", "shared|sqlite"),
        (108, "trio", "sqlite"),
        (156, "trio", "shared"),
        (287, "trio", "shared"),
        (36, "asyncio", "shared|sqlite"),
    ],
)
def test_worlds_like_those_that_have_shown_faults_show_none(seed: int, backend: str, store: str) -> None:
    run = simulate(seed, backend=backend, store=store)
    assert not run.violations


class Overtaken(SharedSqliteQueue):
    """A shared queue where another submission of a key comes and goes just before a turn is decided."""

    mailbox: SharedSqliteMailbox
    overtaken: str = ""

    async def reserve(self, count: int) -> Checkpoint:
        overtaken, self.overtaken = self.overtaken, ""
        if overtaken:
            await self.mailbox.deliver(_ended([overtaken]))
        return await super().reserve(count)


@pytest.mark.anyio
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("timeout", [None, 1e-9])
async def test_of_two_submissions_of_a_key_both_hear_the_outcome_that_is_kept(
    tmp_path: Path, together: bool, timeout: float | None
) -> None:
    queue = Overtaken(tmp_path / "lot", "pool")
    mailbox = queue.mailbox = SharedSqliteMailbox(tmp_path / ("lot" if together else "mailbox"), "pool")
    async with ResourcePool(PoolConfig(max_units=4), echo, queue=queue, mailbox=mailbox, name="pool") as pool:
        queue.overtaken = task_id_of("pool", None, "key")
        handle = await pool.submit("second", idempotency_key="key", timeout=timeout)
        with anyio.fail_after(SOON):
            outcome = await handle.outcome()
        assert (outcome.status, outcome.value) == (OutcomeStatus.SUCCEEDED, "first")


def an_ask(task_id: str) -> Ask:
    return Ask(TaskMetadata(task_id, ResourceCost(1)), encode(task_id), MailboxKey(), Ticket(task_id))


class OutOfNumbers(SharedSqliteQueue):
    """A shared queue that fails once before a turn is decided."""

    fails = 0

    async def reserve(self, count: int) -> Checkpoint:
        if self.fails:
            self.fails -= 1
            raise StoreUnavailable("no numbers")
        return await super().reserve(count)


@pytest.mark.anyio
async def test_a_capacity_is_not_forgotten_with_the_turn_that_was_never_decided(tmp_path: Path) -> None:
    queue = OutOfNumbers(tmp_path / "lot", "pool")
    mailbox = SharedSqliteMailbox(tmp_path / "lot", "pool")
    async with ResourcePool(PoolConfig(max_units=4), echo, queue=queue, mailbox=mailbox, name="pool") as pool:
        queue.fails = 1
        ask = an_ask("a")
        pool._loop.put(ask)
        pool.set_capacity("0", 1)
        with pytest.raises(StoreUnavailable):
            await ask.ticket.answered()
        await until(lambda: pool.stats().degraded is None)
        assert [device.capacity for device in pool.stats().devices] == [1]


@pytest.mark.anyio
async def test_a_host_that_is_stopping_leaves_the_event_loop_to_others(tmp_path: Path) -> None:
    stage = Stage()
    queue = SharedSqliteQueue(tmp_path / "lot", "pool")
    mailbox = SharedSqliteMailbox(tmp_path / "lot", "pool")
    async with ResourcePool(PoolConfig(max_units=4), stage, queue=queue, mailbox=mailbox, name="pool") as pool:
        await pool.submit("a")
        await stage.on("a")
        pool._loop.stop_starting()
        assert pool._loop.sharing is not None
        pool._loop.sharing.look_soon()
        begun = anyio.current_time()
        for _ in range(10):
            await anyio.sleep(0.01)
        assert anyio.current_time() - begun < 0.9  # it was one second for each, and no news was heard of
        stage.end("a")


class Slow(MemoryQueue):
    """A queue whose next save waits for the test, and then fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.held = False
        self.here = anyio.Event()
        self.go = anyio.Event()
        self.fails = False

    async def save(self, batch: Batch) -> None:
        if self.held and batch.added:
            self.held = False
            self.here.set()
            await self.go.wait()
            if self.fails:
                raise StoreUnavailable("the disk is full")
        await super().save(batch)


@pytest.mark.anyio
@pytest.mark.parametrize("fails", [True, False])
async def test_a_task_that_is_being_saved_is_known_once_it_is_saved(fails: bool) -> None:
    """A request whose key it has was answered before that, and lost if the save failed."""
    queue = Slow()
    stage = Stage()
    async with ResourcePool(PoolConfig(max_units=4), stage, queue=queue, name="pool") as pool:
        queue.held, queue.fails = True, fails
        pool._loop.put(an_ask("a"))
        await queue.here.wait()
        answers: list[bool | str] = []

        async def look() -> None:
            try:
                answers.append(await pool._loop.knows("a"))
            except StoreUnavailable as error:
                answers.append(str(error))

        async with anyio.create_task_group() as group:
            group.start_soon(look)
            await anyio.sleep(0.05)
            assert answers == []
            queue.go.set()
        assert answers == (["the disk is full"] if fails else [True])
        if not fails:
            await stage.on("a")
            stage.end("a")


def parked(*task_ids: str, first: int = 1) -> list[StoredTask]:
    scheduler = Scheduler.restore(PoolConfig(max_units=1), (), Checkpoint(next_sequence=first))
    scheduler.step(Submitted(TaskMetadata("first", cost=ResourceCost(units=1)), 0.0))
    found: list[ScheduledTask] = []
    for task_id in task_ids:
        scheduler.step(Submitted(TaskMetadata(task_id, ResourceCost(1)), 0.0))
        task = scheduler.get(task_id)
        assert task is not None
        found.append(task)
    return [StoredTask(task, b"1", MailboxKey()) for task in found]


def _ended(tasks: Sequence[str]) -> list[Delivery]:
    return [
        Delivery(
            task_id=task_id,
            epoch=1,
            mailbox=MailboxKey(),
            status=OutcomeStatus.SUCCEEDED,
            result=encode("first"),
            submitted_at=0.0,
            finished_at=1.0,
        )
        for task_id in tasks
    ]


@pytest.mark.anyio
async def test_a_host_does_not_add_a_task_that_has_ended_since_it_looked(tmp_path: Path) -> None:
    queue, mailbox = SharedSqliteQueue(tmp_path / "lot", "pool"), SharedSqliteMailbox(tmp_path / "lot", "pool")
    assert queue.adopt(mailbox)
    await queue.open()
    await mailbox.open()
    with anyio.fail_after(SOON):
        assert not (await queue.commit(Batch(added=parked("a")))).lost
        assert not (await queue.commit(Batch(removed=["a"], delivered=_ended("a")))).lost
        saved = await queue.commit(Batch(added=parked("a", "b", first=10)))
        assert saved.lost == {"a": Loss.DUPLICATE}
        assert await queue.get("a") is None
        assert await queue.get("b") is not None
    await queue.aclose()
    await mailbox.aclose()
