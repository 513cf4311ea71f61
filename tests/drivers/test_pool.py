"""What a pool does with tasks: it runs them, parks them, retries them, and says how they ended."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from parking_lot_core import MailboxKey, OutcomeStatus, Priority, TaskState
from parking_lot_core.explain import Reason
from parking_lot_drivers import PermanentFailure, WorkerLost, current_task
from parking_lot_drivers.errors import (
    TaskCancelled,
    TaskError,
    TaskExpired,
    TaskFailed,
    TaskLost,
    TaskTimedOut,
    UnknownTask,
)
from tests.contracts.registry import Lot, MemoryLot
from tests.drivers.tools import Stage, Tally, a_while, echo, pool_on, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("payload", [None, 7, "text", b"\x00bytes", [1, {"a": [b"b", 2.5]}], {"$bytes": "x"}])
async def test_a_result_comes_back_as_it_was_returned(lot: Lot, payload: Any) -> None:
    async with pool_on(lot, echo) as pool:
        handle = await pool.submit(payload)
        assert await handle.result() == payload
        assert await handle.status() is OutcomeStatus.SUCCEEDED
        assert handle.explain() is None


async def test_a_plain_function_runs_in_a_thread(lot: Lot) -> None:
    def double(payload: int) -> int:
        assert current_task().units == 3
        return 2 * payload

    async with pool_on(lot, double) as pool:
        assert await (await pool.submit(21, units=3)).result() == 42


@pytest.mark.parametrize(
    ("raised", "error", "text", "runs"),
    [
        (ValueError("bad picture"), TaskFailed, "ValueError: bad picture", 2),
        (PermanentFailure("not a picture"), TaskFailed, "not a picture", 1),
        (WorkerLost("the worker died"), TaskLost, "the worker died", 2),
    ],
)
async def test_a_failure_says_why(lot: Lot, raised: Exception, error: type[TaskError], text: str, runs: int) -> None:
    async def fail(payload: object) -> None:
        raise raised

    work = Tally(fail)
    async with pool_on(lot, work, max_attempts=2) as pool:
        handle = await pool.submit("x")
        with pytest.raises(error, match=f"^task {handle.task_id} (failed|lost): {text}$") as caught:
            await handle.result()
        assert (caught.value.task_id, caught.value.error) == (handle.task_id, text)
        assert [epoch for _, epoch in work.runs] == list(range(1, runs + 1))


async def test_a_result_that_cannot_be_stored_is_a_failure(lot: Lot) -> None:
    class Odd(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise KeyError("no items today")

    async def odd(payload: str) -> object:
        return Odd(a=1) if payload == "odd" else object()

    async with pool_on(lot, odd) as pool:
        with pytest.raises(TaskFailed, match="the result cannot be stored: result: cannot encode object"):
            await (await pool.submit("plain")).result()
        with pytest.raises(TaskFailed, match="the result cannot be stored: "):
            await (await pool.submit("odd")).result()
        assert pool.stats().outcomes == {OutcomeStatus.FAILED: 2}


async def test_an_exception_that_cannot_be_printed_is_a_failure(lot: Lot) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def fail(payload: object) -> None:
        raise Unprintable

    async with pool_on(lot, fail, max_attempts=1) as pool:
        with pytest.raises(TaskFailed, match="Unprintable"):
            await (await pool.submit(None)).result()


async def test_a_task_is_tried_again_until_it_succeeds(lot: Lot) -> None:
    attempts = []

    async def flaky(payload: object) -> int:
        attempts.append(current_task().attempt)
        if len(attempts) < 3:
            raise OSError("not yet")
        return len(attempts)

    async with pool_on(lot, flaky) as pool:
        assert await (await pool.submit(None, max_attempts=5)).result() == 3
    assert attempts == [1, 2, 3]


async def test_retries_wait_twice_as_long_each_time(lot: Lot) -> None:
    times = []

    async def fail(payload: object) -> None:
        times.append(anyio.current_time())
        raise OSError("never")

    async with pool_on(lot, fail, retry_backoff=0.05) as pool:
        with pytest.raises(TaskFailed):
            await (await pool.submit(None)).result()
    first, second = times[1] - times[0], times[2] - times[1]
    assert first >= 0.05
    assert second >= 0.1


async def test_tasks_park_until_their_units_are_free(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=4) as pool:
        for name, units in (("a", 3), ("b", 2), ("c", 1)):
            await pool.submit(name, units=units, task_id=name)
        await stage.on("a", "c")
        assert await pool.status("b") is TaskState.PARKED
        assert (pool.stats().parked, pool.stats().running) == (1, 2)
        why = pool.explain("b")
        assert why is not None
        assert (why.reason, why.position, why.units_short) == (Reason.FIRST_IN_LINE, 1, 2)
        stage.end("a")
        await stage.on("b", "c")
        (device,) = pool.stats().devices
        assert (device.capacity, device.used, device.free) == (4, 3, 1)
        stage.end("b", "c")
        await pool.join()
        assert pool.stats().outcomes == {OutcomeStatus.SUCCEEDED: 3}


async def test_units_are_never_exceeded(lot: Lot) -> None:
    async def nap(payload: float) -> None:
        await anyio.sleep(payload)

    work = Tally(nap)
    async with pool_on(lot, work, max_units=7) as pool:
        async with anyio.create_task_group() as group:
            for number in range(60):
                units, seconds = 1 + number % 5, number % 3 / 1000
                group.start_soon(lambda u=units, s=seconds: pool.submit(s, units=u))
        await pool.join()
    assert len(work.runs) == 60
    assert work.most["0"] <= 7


async def test_higher_priorities_start_first(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1) as pool:
        await pool.submit("first", task_id="first")
        await stage.on("first")
        for name, priority in (("low", "low"), ("normal", Priority.NORMAL), ("critical", "Critical"), ("high", 2)):
            await pool.submit(name, priority=priority, task_id=name)  # type: ignore[arg-type]
        for name in ("first", "critical", "high", "normal", "low"):
            await stage.on(name)
            stage.end(name)
        await pool.join()
    assert stage.started == ["first", "critical", "high", "normal", "low"]


async def test_a_task_that_waits_too_long_expires(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1) as pool:
        await pool.submit("long", task_id="long")
        handle = await pool.submit("late", timeout=0.05)
        with pytest.raises(TaskExpired):
            await handle.result()
        stage.end("long")
        await pool.join()
    assert stage.started == ["long"]


async def test_the_pools_timeout_is_the_default(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, timeout=0.05) as pool:
        await pool.submit("long")
        await stage.on("long")
        with pytest.raises(TaskExpired):
            await (await pool.submit("late")).result()
        stage.end("long")


@pytest.mark.parametrize("of_the_pool", [False, True])
async def test_a_task_that_runs_too_long_is_stopped(lot: Lot, of_the_pool: bool) -> None:
    stage = Stage()
    async with pool_on(lot, stage, run_timeout=0.05 if of_the_pool else None) as pool:
        handle = await pool.submit("hangs", run_timeout=None if of_the_pool else 0.05)
        with pytest.raises(TaskTimedOut):
            await handle.result()
        assert stage.cancelled == ["hangs"]
        assert pool.stats().devices[0].used == 0


async def test_a_delayed_task_starts_later(lot: Lot) -> None:
    times = []

    async def note(payload: object) -> None:
        times.append(anyio.current_time())

    async with pool_on(lot, note) as pool:
        before = anyio.current_time()
        handle = await pool.submit(None, delay=0.1)
        why = handle.explain()
        assert why is not None
        assert why.reason is Reason.DELAYED
        await handle.result()
    assert times[0] - before >= 0.1


async def test_a_parked_task_is_cancelled_without_running(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1) as pool:
        await pool.submit("a")
        handle = await pool.submit("b")
        await stage.on("a")
        await handle.cancel()
        with pytest.raises(TaskCancelled):
            await handle.result()
        stage.end("a")
    assert stage.started == ["a"]


async def test_a_running_task_is_cancelled_and_keeps_its_units_until_it_has_stopped(lot: Lot) -> None:
    stopping, stop = anyio.Event(), anyio.Event()

    async def slow_to_stop(payload: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                stopping.set()
                await stop.wait()

    async with pool_on(lot, slow_to_stop, max_units=1) as pool:
        handle = await pool.submit("a")
        other = await pool.submit("b", timeout=0.1)
        await handle.cancel()
        await stopping.wait()
        await until(lambda: pool.stats().outcomes[OutcomeStatus.EXPIRED] if pool.stats().outcomes else False)
        assert await handle.status() is TaskState.STOPPING
        assert pool.stats().devices[0].used == 1
        stop.set()
        with pytest.raises(TaskCancelled):
            await handle.result()
        with pytest.raises(TaskExpired):
            await other.result()


async def test_a_success_that_wins_the_race_against_a_cancel_counts(lot: Lot) -> None:
    async def stubborn(payload: str) -> str:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.05)
        return "done"

    async with pool_on(lot, stubborn) as pool:
        handle = await pool.submit("x")
        await until(lambda: pool.stats().running)
        await handle.cancel()
        assert await handle.result() == "done"


async def test_cancelling_what_has_ended_does_nothing(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        handle = await pool.submit("x")
        await handle.result()
        await handle.cancel()
        assert await handle.result() == "x"


async def test_a_thread_is_asked_to_stop(lot: Lot) -> None:
    def listens(payload: object) -> str:
        return "asked" if current_task().interrupted.wait(10) else "not asked"

    async with pool_on(lot, listens) as pool:
        handle = await pool.submit(None, run_timeout=0.05)
        with pytest.raises(TaskTimedOut):
            await handle.result()
        handle = await pool.submit(None)
        await until(lambda: pool.stats().running)
        await handle.cancel()
        assert await handle.result() == "asked"


async def test_a_handle_for_any_task(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage) as pool:
        await pool.submit("a", task_id="a")
        await stage.on("a")
        handle = pool.handle("a")
        assert await handle.status() is TaskState.RUNNING
        stage.end("a", say=5)
        assert await handle.result() == 5
        again = pool.handle("a")
        assert await again.result() == 5
        stranger = pool.handle("nobody")
        for ask in (stranger.status, stranger.outcome, stranger.result, stranger.cancel):
            with pytest.raises(UnknownTask, match="neither queue nor mailbox knows task 'nobody'"):
                await ask()
        assert stranger.explain() is None


async def test_join_returns_when_all_outcomes_can_be_fetched(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        await pool.join()
        for number in range(20):
            await pool.submit(number)
        await pool.join()
        assert sorted(result.value for result in await pool.mailbox.fetch()) == list(range(20))  # type: ignore[type-var]


async def test_outcomes_are_fetched_box_by_box(lot: Lot) -> None:
    box = MailboxKey("acme", "ada", "s1")
    async with pool_on(lot, echo) as pool:
        for number in range(5):
            await (await pool.submit(number, mailbox=box)).result()
        await (await pool.submit("tenant's", tenant="acme")).result()
        await (await pool.submit("nobody's")).result()
        first = await pool.mailbox.fetch(box, limit=2)
        rest = await pool.mailbox.fetch(box, after=first[-1].cursor)
        assert [result.value for result in (*first, *rest)] == [0, 1, 2, 3, 4]
        assert await pool.mailbox.fetch(box, after=rest[-1].cursor) == []
        assert [result.value for result in await pool.mailbox.fetch(MailboxKey("acme"))] == ["tenant's"]
        assert [result.value for result in await pool.mailbox.fetch()] == ["nobody's"]
        with pytest.raises(ValueError, match="limit"):
            await pool.mailbox.fetch(limit=0)


async def test_a_result_says_when(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage) as pool:
        handle = await pool.submit("a", task_id="a")
        assert await pool.mailbox.get("a") is None
        stage.end("a")
        result = await handle.outcome()
        assert result.succeeded
        assert result.started_at is not None
        assert result.submitted_at <= result.started_at <= result.finished_at
        kept = await pool.mailbox.get("a")
        assert kept is not None
        assert (kept.cursor, kept.finished_at) == (1, result.finished_at)


async def test_capacity_can_change(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=2) as pool:
        for name in ("a", "b", "c"):
            await pool.submit(name, task_id=name)
        await stage.on("a", "b")
        pool.set_capacity("0", 1)
        stage.end("a")
        await until(lambda: not pool.explain("a"))
        await a_while()
        assert sorted(stage.running) == ["b"]
        pool.set_capacity("0", 3)
        await stage.on("b", "c")
        pool.set_capacity("gpu-1", 8)
        large = await pool.submit("large", units=8)
        await stage.on("b", "c", "large")
        assert stage.running["large"].device == "gpu-1"
        stage.end("b", "c", "large", say=1)
        assert await large.result() == 1


async def test_several_devices(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, devices={"gpu-0": 8, "gpu-1": 4}) as pool:
        for name, units in (("large", 6), ("small", 4), ("third", 4)):
            await pool.submit(name, units=units, task_id=name)
        await stage.on("large", "small")
        assert {name: task.device for name, task in stage.running.items()} == {"large": "gpu-0", "small": "gpu-1"}
        stage.end("small")
        await stage.on("large", "third")
        assert stage.running["third"].device == "gpu-1"
        stage.end("large", "third")


async def test_a_task_knows_itself(lot: Lot) -> None:
    async def tell(payload: object) -> object:
        task = current_task()
        return [task.task_id, task.epoch, task.attempt, task.device, task.units]

    async with pool_on(lot, tell) as pool:
        handle = await pool.submit(None, units=3, task_id="me")
        assert await handle.result() == ["me", 1, 1, "0", 3]


async def test_a_task_may_submit_to_a_pool_of_its_own_and_wait(lot: Lot) -> None:
    async with pool_on(MemoryLot(lot.folder), echo) as inner:

        async def delegate(payload: int) -> object:
            return await (await inner.submit(payload + 1)).result()

        async with pool_on(lot, delegate) as outer:
            assert [await (await outer.submit(number)).result() for number in range(3)] == [1, 2, 3]
