"""One key is one task: at every moment of its life, for callers at the same time, and after a restart."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import anyio
import pytest

from parking_lot_core import OutcomeStatus, PoolConfig, TaskState
from parking_lot_drivers import ResourcePool
from parking_lot_drivers._ending import Ending
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.errors import DuplicateTask, TaskFailed
from parking_lot_drivers.ports import Batch, Message
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from tests.contracts.registry import Lot
from tests.drivers.tools import Stage, Tally, a_while, echo, look_at, pool_on, until

pytestmark = pytest.mark.anyio


async def test_the_same_key_is_the_same_task(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage) as pool:
        first = await pool.submit("a", idempotency_key="k")
        await stage.on("a")
        again = await pool.submit("something else", idempotency_key="k")
        assert again.task_id == first.task_id
        stage.end("a", say="the answer")
        assert await again.result() == await first.result() == "the answer"
        after = await pool.submit("a", idempotency_key="k")
        assert await after.result() == "the answer"
        other = await pool.submit("a", idempotency_key="other")
        assert other.task_id != first.task_id
        stage.end("a")
    assert stage.started == ["a", "a"]


async def test_a_failure_is_an_answer_too(lot: Lot) -> None:
    async def fail(payload: object) -> None:
        raise ValueError("no")

    work = Tally(fail)
    async with pool_on(lot, work, max_attempts=1) as pool:
        for _ in range(2):
            with pytest.raises(TaskFailed, match="ValueError: no"):
                await (await pool.submit(1, idempotency_key="k")).result()
    assert len(work.runs) == 1


async def test_callers_at_the_same_time_share_the_task(lot: Lot) -> None:
    work = Tally()
    results = []
    async with pool_on(lot, work) as pool:

        async def call(number: int) -> None:
            results.append(await (await pool.submit(number, idempotency_key="k")).result())

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(call, number)
    assert len(work.runs) == 1
    assert len(set(results)) == 1
    assert len(results) == 20


async def test_only_one_of_those_who_choose_the_same_id_gets_it(lot: Lot) -> None:
    work = Tally()
    refused = []
    async with pool_on(lot, work) as pool:

        async def call(number: int) -> None:
            try:
                await pool.submit(number, task_id="mine")
            except DuplicateTask as error:
                refused.append(error)

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(call, number)
        await pool.join()
    assert (len(work.runs), len(refused)) == (1, 9)


async def test_a_caller_who_gives_up_leaves_the_key_to_the_next(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, anyio.create_task_group() as group:
        await pool.submit("a")
        scope = anyio.CancelScope()

        async def give_up() -> None:
            with scope:
                await pool.submit("b", idempotency_key="k", wait=True)

        group.start_soon(give_up)
        await until(lambda: pool.stats().waiting_for_room)
        handles = []

        async def next_one() -> None:
            handles.append(await pool.submit("c", idempotency_key="k", wait=True))

        group.start_soon(next_one)
        scope.cancel()
        stage.end("a")
        await stage.on("c")
        stage.end("c", say=3)
        await until(lambda: handles)
        assert await handles[0].result() == 3


async def test_a_key_outlives_the_pool(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, grace=0) as pool:
        ended = await pool.submit("ended", idempotency_key="ended")
        stage.end("ended", say=1)
        await ended.result()
        await pool.submit("runs", idempotency_key="runs")
        await pool.submit("waits", idempotency_key="waits")
        await stage.on("runs")
    work = Tally()
    async with pool_on(lot, work) as pool:
        assert await (await pool.submit("x", idempotency_key="ended")).result() == 1
        assert await (await pool.submit("x", idempotency_key="runs")).result() == "runs"
        assert await (await pool.submit("x", idempotency_key="waits")).result() == "waits"
    assert len(work.runs) == 2


async def test_an_id_outlives_the_pool(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        await (await pool.submit("x", task_id="a")).result()
    async with pool_on(lot, echo) as pool:
        with pytest.raises(DuplicateTask):
            await pool.submit("y", task_id="a")


class SlowQueue(MemoryQueue):
    """A queue whose saves wait, once told to, until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate: anyio.Event | None = None
        self.waiting = False

    async def save(self, batch: Batch) -> None:
        if self.gate is not None:
            self.waiting = True
            await self.gate.wait()
            self.waiting = False
        await super().save(batch)


@pytest.mark.parametrize("again", ["key", "id"])
async def test_a_key_holds_while_the_end_of_its_task_is_being_saved(again: str) -> None:
    """Then the scheduler has forgotten the task already, and the mailbox does not have it yet."""
    queue, stage = SlowQueue(), Stage()
    async with ResourcePool(PoolConfig(max_units=4), stage, queue=queue) as pool, anyio.create_task_group() as group:
        first = await pool.submit("a", **_named(again))  # type: ignore[arg-type]
        await stage.on("a")
        queue.gate = anyio.Event()
        stage.end("a", say="once")
        await until(lambda: queue.waiting)
        answers: list[object] = []

        async def submit_again() -> None:
            try:
                answers.append(await (await pool.submit("a", **_named(again))).result())  # type: ignore[arg-type]
            except DuplicateTask:
                answers.append("duplicate")

        async def ask() -> None:
            answers.append(await pool.status(first.task_id))

        async def cancel() -> None:
            await first.cancel()
            answers.append(await pool.handle(first.task_id).result())

        group.start_soon(submit_again)
        group.start_soon(ask)
        group.start_soon(cancel)
        await a_while()
        queue.gate.set()
        queue.gate = None
        await until(lambda: len(answers) == 3)
        await pool.join()
        expected: Sequence[object] = ["once" if again == "key" else "duplicate", OutcomeStatus.SUCCEEDED, "once"]
        assert sorted(map(str, answers)) == sorted(map(str, expected))
    assert stage.started == ["a"]


class SlowMailbox(MemoryMailbox):
    """A mailbox whose looks return what was there when they began, and take until the test lets them go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate: anyio.Event | None = None
        self.looking = 0

    async def get(self, task_id: str) -> Message | None:
        found = await super().get(task_id)
        if self.gate is not None:
            self.looking += 1
            await self.gate.wait()
        return found


async def test_a_slow_look_into_the_mailbox_does_not_miss_a_whole_life() -> None:
    """A task of the same key is submitted by another process, runs and ends while a caller looks for it."""
    from parking_lot_drivers._submission import metadata_of, task_id_of
    from parking_lot_drivers.ports import Request

    queue, mailbox, work = MemoryQueue(), SlowMailbox(), Tally()
    async with ResourcePool(PoolConfig(max_units=4), work, queue=queue, mailbox=mailbox) as pool:
        handles = []

        async def submit() -> None:
            handles.append(await pool.submit("mine", idempotency_key="k"))

        async with anyio.create_task_group() as group:
            mailbox.gate = gate = anyio.Event()
            group.start_soon(submit)
            await until(lambda: mailbox.looking == 1)
            mailbox.gate = None
            task_id = task_id_of("default", None, "k")
            await queue.post(
                Request(number=0, task_id=task_id, at=0.0, task=metadata_of(task_id, 0.0), payload=b'"theirs"')
            )
            await until(lambda: len(mailbox))
            await pool.join()
            gate.set()
        assert await handles[0].result() == "theirs"
        assert await pool.status(task_id) is OutcomeStatus.SUCCEEDED
    assert len(work.runs) == 1


async def test_a_handle_means_that_the_task_is_saved() -> None:
    """Also the handle of a second caller, who finds the task of the first while that is being saved."""
    queue, stage = SlowQueue(), Stage()
    async with ResourcePool(PoolConfig(max_units=4), stage, queue=queue) as pool, anyio.create_task_group() as group:
        handles = []

        async def submit() -> None:
            handles.append(await pool.submit("a", idempotency_key="k"))

        queue.gate = anyio.Event()
        group.start_soon(submit)
        group.start_soon(submit)
        await until(lambda: queue.waiting)
        await anyio.sleep(0.02)
        assert handles == []
        queue.gate.set()
        queue.gate = None
        await until(lambda: len(handles) == 2)
        assert (await queue.overview()).parked + len((await queue.overview()).running) == 1
        stage.end("a")


async def test_an_unsaved_task_has_no_outcome_yet(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage) as pool:
        handle = await pool.submit("a")
        await stage.on("a")
        assert await handle.status() is TaskState.RUNNING
        assert (await look_at(lot)).outcomes == {}
        stage.end("a")


def _named(how: str) -> dict[str, str]:
    return {"idempotency_key": "k"} if how == "key" else {"task_id": "k"}


async def test_what_has_ended_is_forgotten_though_somebody_looks_at_every_moment() -> None:
    ending, look = Ending(), ExitStack()
    for number in range(1000):
        name = f"{number}"
        ending.saving = True
        ending.add(name, Ticket(name))
        next_look = ExitStack()
        next_look.enter_context(ending.looking())
        ending.saved()
        assert name in ending, "a look that began before the save is under way"
        look.close()
        assert name in ending
        look = next_look
        assert len(ending) <= 3
    look.close()
    ending.saved()
    assert len(ending) == 0
