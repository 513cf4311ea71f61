"""Leaving a pool: what runs may finish, what does not is handed back, what waits stays, errors come out as they are."""

from __future__ import annotations

import contextlib
import time

import anyio
import pytest

from parking_lot_core import OutcomeStatus, TaskState
from parking_lot_drivers import ResourcePool, TaskExecutor, current_task
from parking_lot_drivers.errors import PoolClosed
from parking_lot_drivers.ports import TaskContext
from tests.contracts.registry import Lot
from tests.drivers.tools import Stage, Tally, echo, look_at, pool_on, until

pytestmark = pytest.mark.anyio


async def test_what_runs_may_finish(lot: Lot) -> None:
    async def nap(payload: object) -> str:
        await anyio.sleep(0.05)
        return "finished"

    async with pool_on(lot, nap, max_units=1, grace=30) as pool:
        running = await pool.submit(1)
        parked = await pool.submit(2)
        await until(lambda: pool.stats().running)
    assert await running.result() == "finished"
    with pytest.raises(PoolClosed, match="the pool stopped before the task ended; a durable queue still has it"):
        await parked.result()
    seen = await look_at(lot)
    assert (seen.lot.parked, len(seen.lot.running), len(seen.outcomes)) == (1, 0, 1)


async def test_what_does_not_finish_is_handed_back_and_the_attempt_does_not_count(lot: Lot) -> None:
    stage = Stage()
    for _ in range(3):
        async with pool_on(lot, stage, grace=0.02, max_attempts=1) as pool:
            if not pool.stats().running:
                await pool.submit("a", task_id="a")
            await stage.on("a")
        seen = await look_at(lot)
        assert (seen.lot.parked, seen.outcomes) == (1, {})
        (task,) = seen.lot.waiting
        assert (task.state, task.attempts, task.ready_at) == (TaskState.PARKED, 0, None)
    assert stage.cancelled == ["a", "a", "a"]
    async with pool_on(lot, echo, max_attempts=1) as pool:
        assert await pool.handle("a").result() == "a"


async def test_failed_attempts_still_count_after_a_restart(lot: Lot) -> None:
    attempts = []

    async def fail(payload: object) -> None:
        attempts.append(current_task().attempt)
        raise OSError("no")

    async with pool_on(lot, fail, retry_backoff=3600, retry_backoff_max=3600, max_attempts=3) as pool:
        await pool.submit("a", task_id="a")
        await until(lambda: attempts == [1] and not pool.stats().running)
    async with pool_on(lot, fail, retry_backoff=3600, retry_backoff_max=3600, max_attempts=3) as pool:
        why = pool.explain("a")
        if lot.exclusive:  # where hosts share a lot, this one need not know yet of a task that is delayed for long
            assert why is not None
            assert why.delayed_until is not None
            assert why.delayed_until > time.time() + 3000
    (task,) = (await look_at(lot)).lot.waiting
    assert (task.attempts, task.epoch) == (1, 1)


async def test_a_run_that_was_cancelled_ends_as_cancelled_at_the_stop(lot: Lot) -> None:
    async def reluctant(payload: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.1)

    async with pool_on(lot, reluctant, grace=0) as pool:
        handle = await pool.submit(None)
        await until(lambda: pool.stats().running)
        await handle.cancel()
        await until(lambda: pool.stats().running == 1)
    assert (await handle.outcome()).status is OutcomeStatus.CANCELLED


async def test_nothing_new_starts_once_the_pool_stops(lot: Lot) -> None:
    stage = Stage()
    async with anyio.create_task_group() as group, pool_on(lot, stage, max_units=1, grace=5) as pool:
        await pool.submit("a")
        await pool.submit("b")
        await stage.on("a")

        async def end_in_the_grace_period() -> None:
            await anyio.sleep(0.05)
            with pytest.raises(PoolClosed):
                await pool.submit("c")
            stage.end("a")

        group.start_soon(end_in_the_grace_period)
    assert stage.started == ["a"]
    assert (await look_at(lot)).lot.parked == 1


@pytest.mark.parametrize("pause", [0, 0.0005, 0.002, 0.005])
async def test_a_stop_may_come_while_starts_are_being_saved(lot: Lot, pause: float) -> None:
    """A run that starts after the pool has handed everything back would otherwise keep it for as long as it likes."""
    stage = Stage()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group, pool_on(lot, stage, max_units=50, grace=0) as pool:
            for number in range(50):
                group.start_soon(_submit_or_not, pool, f"{number}")
            await anyio.sleep(pause)
    assert not stage.running
    seen = await look_at(lot)
    assert not seen.lot.running
    assert all(task.attempts == 0 for task in seen.lot.waiting)


async def _submit_or_not(pool: ResourcePool, name: str) -> None:
    with contextlib.suppress(PoolClosed):
        await pool.submit(name)


@pytest.mark.parametrize(
    "error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3), ExceptionGroup("g", [OSError()])]
)
async def test_the_callers_own_error_comes_out_as_it_is(lot: Lot, error: BaseException) -> None:
    stage = Stage()
    with pytest.raises(type(error)) as caught:  # noqa: PT012
        async with pool_on(lot, stage, grace=0.01) as pool:
            await pool.submit("a", task_id="a")
            await stage.on("a")
            raise error
    # Trio takes groups apart, and makes new ones, in every scope that they pass through.
    assert caught.value is error or getattr(caught.value, "exceptions", 0) == getattr(error, "exceptions", 1)
    assert (await look_at(lot)).lot.parked == 1


async def test_cancelling_the_scope_around_a_pool_stops_it_in_order(lot: Lot) -> None:
    stage = Stage()
    with anyio.CancelScope() as scope:
        async with pool_on(lot, stage, grace=0.01) as pool:
            await pool.submit("a", task_id="a")
            await stage.on("a")
            scope.cancel()
            await anyio.sleep(5)
            pytest.fail("not cancelled")
    assert scope.cancelled_caught
    assert stage.cancelled == ["a"]
    (task,) = (await look_at(lot)).lot.waiting
    assert task.attempts == 0


async def test_a_run_goes_on_through_the_grace_period_when_the_scope_is_cancelled(lot: Lot) -> None:
    async def nap(payload: object) -> str:
        await anyio.sleep(0.1)
        return "rested"

    with anyio.CancelScope() as scope:
        async with pool_on(lot, nap, grace=30) as pool:
            await pool.submit("a", task_id="a")
            await until(lambda: pool.stats().running)
            scope.cancel()
    assert (await look_at(lot)).outcomes["a"].value == "rested"


@pytest.mark.parametrize("when", ["before entering", "just after entering"])
async def test_a_scope_that_is_cancelled_already(lot: Lot, when: str) -> None:
    with anyio.CancelScope() as scope:
        if when == "before entering":
            scope.cancel()
        async with pool_on(lot, echo):
            scope.cancel()
    async with pool_on(lot, echo) as pool:
        assert await (await pool.submit(1)).result() == 1


class CtrlC(TaskExecutor):
    """An executor in which Ctrl-C strikes, as it may in any code that trio runs."""

    async def execute(self, payload: object, context: TaskContext) -> object:
        await anyio.sleep(0.01)
        if payload == "strike":
            raise Ctrl("c")
        await anyio.sleep_forever()
        return None


class Ctrl(BaseException):
    """Like KeyboardInterrupt, but asyncio lets it through to where it belongs."""


async def test_ctrl_c_in_a_task_ends_the_pool_and_loses_nothing(lot: Lot) -> None:
    with anyio.fail_after(10), pytest.raises(Ctrl):  # noqa: PT012
        async with pool_on(lot, CtrlC(), grace=0.05, max_attempts=1) as pool:
            await pool.submit("other", task_id="other")
            await pool.submit("strike", task_id="strike")
            await anyio.sleep(5)
            pytest.fail("not interrupted")
    seen = await look_at(lot)
    assert sorted(task.id for task in seen.lot.waiting) == ["other", "strike"]
    assert [task.attempts for task in seen.lot.waiting] == [0, 0]


async def test_an_abandoned_thread_does_not_hold_up_the_stop(lot: Lot) -> None:
    stop = []

    def hangs(payload: object) -> None:
        while not stop:
            time.sleep(0.01)

    try:
        with anyio.fail_after(10):
            async with pool_on(lot, hangs, grace=0.05) as pool:
                await pool.submit("a", task_id="a")
                await until(lambda: pool.stats().running)
    finally:
        stop.append(True)
    (task,) = (await look_at(lot)).lot.waiting
    assert (task.id, task.attempts) == ("a", 0)


async def test_parked_tasks_go_on_where_they_stood(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, grace=0) as pool:
        await pool.submit("first")
        await stage.on("first")
        for name, priority in (("low", "low"), ("normal", "normal"), ("high", "high"), ("normal too", "normal")):
            await pool.submit(name, priority=priority, task_id=name)
    work = Tally()
    async with pool_on(lot, work, max_units=1) as pool:
        assert pool.stats().parked + pool.stats().running == 5
        await pool.join()
        results = await pool.mailbox.fetch()
    assert [result.value for result in results] == ["high", "first", "normal", "normal too", "low"]


async def test_a_stop_forgets_no_capacity_of_the_configuration(lot: Lot) -> None:
    async with pool_on(lot, echo, devices={"a": 4, "b": 2}):
        pass
    async with pool_on(lot, echo, devices={"a": 4, "b": 2}) as pool:
        assert [(device.name, device.capacity) for device in pool.stats().devices] == [("a", 4), ("b", 2)]
        assert await (await pool.submit("x", units=4)).result() == "x"
    async with pool_on(lot, echo, devices={"b": 8}) as pool:
        assert [(device.name, device.capacity) for device in pool.stats().devices] == [("b", 8)]
