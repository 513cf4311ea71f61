"""The thread that stores work in."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import pytest

from parking_lot_drivers.stores._worker import WorkerThread

pytestmark = pytest.mark.anyio


async def test_calls_run_in_one_other_thread_in_order() -> None:
    worker = WorkerThread("store")
    seen: list[tuple[int, int]] = []
    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(worker.run, lambda number=number: seen.append((number, threading.get_ident())))
    worker.stop()
    assert sorted(number for number, _ in seen) == list(range(20))
    (thread,) = {thread for _, thread in seen}
    assert thread != threading.get_ident()


async def test_answers_and_errors_come_back() -> None:
    worker = WorkerThread("store")
    assert await worker.run(lambda: 42) == 42
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 // 0)
    assert await worker.run(lambda: "still there") == "still there"
    worker.stop()


async def test_a_cancelled_caller_waits_for_the_end_of_its_call() -> None:
    worker = WorkerThread("store")
    ended = False

    def slow() -> None:
        nonlocal ended
        time.sleep(0.1)
        ended = True

    with anyio.CancelScope() as scope:
        scope.cancel()
        await worker.run(slow)
    assert ended
    worker.stop()


async def test_stopping_lets_earlier_calls_end_and_a_later_call_starts_again() -> None:
    worker = WorkerThread("store")
    first = await worker.run(threading.get_ident)
    worker.stop()
    worker.stop()
    assert isinstance(first, int)
    assert await worker.run(lambda: 1) == 1
    worker.stop()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
def test_an_event_loop_that_ends_early_harms_nothing(anyio_backend: str) -> None:
    worker = WorkerThread("store")
    going = threading.Event()

    async def leave() -> None:
        call = asyncio.ensure_future(worker.run(going.wait))
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)

    anyio.run(leave)
    going.set()
    assert anyio.run(worker.run, lambda: 5) == 5
    worker.stop()


async def test_the_thread_ends() -> None:
    worker = WorkerThread("a store of this test")
    await worker.run(lambda: None)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "a store of this test"]
    worker.stop()
    await anyio.to_thread.run_sync(thread.join, 5)
    assert not thread.is_alive()
