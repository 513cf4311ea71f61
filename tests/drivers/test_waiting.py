"""Submitting with ``wait=True``: callers wait for room, in the order in which they came."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup

from parking_lot_drivers import ResourcePool
from parking_lot_drivers.errors import PoolClosed, QueueFull
from tests.contracts.registry import Lot
from tests.drivers.tools import Stage, Tally, a_while, look_at, pool_on, until

pytestmark = pytest.mark.anyio


class Callers:
    """Callers that wait for room, and the order in which they got it."""

    def __init__(self, pool: ResourcePool, group: TaskGroup) -> None:
        self.pool = pool
        self.admitted: list[str] = []
        self.refused: dict[str, Exception] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self._group = group

    async def call(self, *names: str) -> None:
        """Each submits a task of its name, one after the other, and all wait."""
        for name in names:
            before = self.pool.stats().waiting_for_room
            self._group.start_soon(self._submit, name)
            await until(lambda least=before: self.pool.stats().waiting_for_room > least)

    async def _submit(self, name: str) -> None:
        with anyio.CancelScope() as self.scopes[name]:
            try:
                await self.pool.submit(name, task_id=name, wait=True)
            except PoolClosed as error:
                self.refused[name] = error
            else:
                self.admitted.append(name)


async def test_callers_wait_for_room_in_order(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=2) as pool, anyio.create_task_group() as group:
        callers = Callers(pool, group)
        await pool.submit("a")
        await pool.submit("b")
        await callers.call("c", "d", "e")
        assert pool.stats().waiting_for_room == 3
        for name in ("a", "b", "c", "d", "e"):
            await stage.on(name)
            stage.end(name)
        await pool.join()
        assert callers.admitted == ["c", "d", "e"]
        assert pool.stats().waiting_for_room == 0
    assert stage.started == ["a", "b", "c", "d", "e"]


async def test_nobody_overtakes_those_who_wait(lot: Lot) -> None:
    """Also not in the very turn in which room is made: the end of a run and a new submission arrive together."""
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, anyio.create_task_group() as group:
        callers = Callers(pool, group)
        await pool.submit("a")
        await callers.call("b")
        await stage.on("a")
        pool._loop.put(_end_of(pool, stage, "a"))
        with pytest.raises(QueueFull):
            await pool.submit("rude")
        await until(lambda: callers.admitted == ["b"])
        stage.end("a", "b")
    assert stage.started == ["a", "b"]


async def test_those_who_give_up_lose_their_place(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, anyio.create_task_group() as group:
        callers = Callers(pool, group)
        await pool.submit("a")
        await callers.call("b", "c", "d")
        callers.scopes["b"].cancel()
        callers.scopes["d"].cancel()
        await until(lambda: pool.stats().waiting_for_room == 1)
        stage.end("a", "c")
        await until(lambda: callers.admitted == ["c"])
        await pool.join()
    assert stage.started == ["a", "c"]
    assert "b" not in (await look_at(lot)).outcomes


async def test_a_retry_keeps_its_place(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=1) as pool, anyio.create_task_group() as group:
        callers = Callers(pool, group)
        await pool.submit("a")
        await callers.call("b")
        stage.end("a", say=OSError("once more"))
        await until(lambda: stage.started == ["a", "a"])
        await a_while()
        assert callers.admitted == []
        stage.end("a", "b")
        await until(lambda: callers.admitted == ["b"])


async def test_a_pool_that_stops_lets_nobody_wait(lot: Lot) -> None:
    stage = Stage()
    async with anyio.create_task_group() as group:
        async with pool_on(lot, stage, max_units=1, max_queue_depth=1, grace=0) as pool:
            callers = Callers(pool, group)
            await pool.submit("a", task_id="a")
            await callers.call("b", "c")
        await until(lambda: len(callers.refused) == 2)
        assert str(callers.refused["b"]) == "the pool stopped before there was room for the task"
    seen = await look_at(lot)
    assert (seen.lot.parked, seen.outcomes) == (1, {})


async def test_many_callers_and_little_room(lot: Lot) -> None:
    work = Tally()
    async with pool_on(lot, work, max_units=2, max_queue_depth=3) as pool:
        results: list[object] = []

        async def call(number: int) -> None:
            results.append(await (await pool.submit(number, wait=True, units=1 + number % 2)).result())

        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(call, number)
        assert sorted(results) == list(range(100))  # type: ignore[type-var]
    assert work.most["0"] <= 2


def _end_of(pool: ResourcePool, stage: Stage, name: str):  # type: ignore[no-untyped-def]
    """What the loop hears when the run of a task has ended well."""
    from parking_lot_core import Finished, Outcome, OutcomeStatus
    from parking_lot_drivers._turn import Word

    task = stage.running[name]
    return Word(Finished(task.task_id, task.epoch, Outcome(OutcomeStatus.SUCCEEDED, value=b"null"), 0.0))
