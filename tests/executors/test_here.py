"""Functions in this process: threads and coroutines, and which of them a function gets."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from parking_lot_drivers.context import current_task
from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.executors import CoroutineExecutor, ThreadExecutor, executor_for, load_target
from parking_lot_drivers.ports import TaskRaised, failure_text
from tests.executors import targets
from tests.executors.tools import context

pytestmark = pytest.mark.anyio


async def test_a_thread_is_asked_to_stop_and_holds_its_units_until_it_does() -> None:
    def until_told(_: object) -> str:
        assert current_task().interrupted.wait(10)
        return "stopped in order"

    task = context()
    results: list[object] = []
    async with ThreadExecutor(until_told) as executor:
        assert not executor.cancellable

        async def run() -> None:
            results.append(await executor.execute(None, task))

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await anyio.sleep(0.05)
            assert results == []
            task.interrupted.set()
    assert results == ["stopped in order"]


async def test_an_abandoned_thread_is_told_to_stop() -> None:
    seen = threading.Event()

    def until_told(_: object) -> None:
        if current_task().interrupted.wait(10):
            seen.set()

    async with ThreadExecutor(until_told) as executor:
        with anyio.move_on_after(0.05) as scope:
            await executor.execute(None, context())
        assert scope.cancelled_caught
    assert await anyio.to_thread.run_sync(seen.wait, 5)


async def test_context_variables_reach_the_thread() -> None:
    language = contextvars.ContextVar("language", default="none")

    async with ThreadExecutor(lambda _: language.get()) as executor:
        language.set("é")
        assert await executor.execute(None, context()) == "é"


async def test_more_threads_than_any_default_limit() -> None:
    barrier = threading.Barrier(60)
    async with ThreadExecutor(lambda _: barrier.wait(10)) as executor, anyio.create_task_group() as group:
        for _ in range(60):
            group.start_soon(executor.execute, None, context())


async def test_max_threads_bounds_them() -> None:
    at_work: list[int] = []
    most: list[int] = []

    def work(_: object) -> None:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.005)
        at_work.pop()

    async with ThreadExecutor(work, max_threads=2) as executor, anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(executor.execute, None, context())
    assert max(most) == 2


@pytest.mark.parametrize("given", [0, -1, 2.0, "3", True])
def test_bad_max_threads(given: Any) -> None:
    with pytest.raises(ConfigError, match="max_threads: expected an integer ≥ 1"):
        ThreadExecutor(print, max_threads=given)


async def test_a_thread_executor_must_be_entered() -> None:
    with pytest.raises(RuntimeError, match="enter the executor first"):
        await ThreadExecutor(targets.echo).execute(1, context())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_awaiting_something_that_someone_cancelled_is_a_failure() -> None:
    async def wait_for_a_cancelled_task(_: object) -> None:
        task = asyncio.ensure_future(asyncio.sleep(10))
        await asyncio.sleep(0)
        task.cancel()
        await task

    async with CoroutineExecutor(wait_for_a_cancelled_task) as executor:
        with pytest.raises(TaskRaised) as caught:
            await executor.execute(None, context())
    assert failure_text(caught.value) == "CancelledError"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_of_asyncios_own_passes() -> None:
    executor = CoroutineExecutor(lambda _: asyncio.sleep(10))
    running = asyncio.ensure_future(executor.execute(None, context()))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_group_of_fatal_exceptions_is_a_failure_too() -> None:
    async def leave() -> None:
        await anyio.lowlevel.checkpoint()
        raise SystemExit(3)

    async def in_a_group(_: object) -> None:
        raise BaseExceptionGroup("several", [SystemExit(3), ValueError()])

    async with CoroutineExecutor(in_a_group) as executor:
        with pytest.raises(TaskRaised, match="several"):
            await executor.execute(None, context())
    with pytest.raises(TaskRaised, match="SystemExit: 3"):
        await CoroutineExecutor(lambda _: leave()).execute(None, context())


async def test_tasks_side_by_side_each_see_themselves() -> None:
    async def who(_: object) -> str:
        await anyio.sleep(0.01)
        return current_task().task_id

    seen: dict[str, object] = {}
    executor = CoroutineExecutor(who)

    async def run(task_id: str) -> None:
        seen[task_id] = await executor.execute(None, context(task_id))

    async with anyio.create_task_group() as group:
        for number in range(10):
            group.start_soon(run, f"t-{number}")
    assert seen == {f"t-{number}": f"t-{number}" for number in range(10)}


class _Model:
    async def __call__(self, payload: object) -> object:
        return payload

    def plain(self, payload: object) -> object:
        return payload


def test_a_function_gets_the_executor_that_it_needs() -> None:
    for function in (targets.who_async, _Model(), functools.partial(targets.who_async), functools.partial(_Model())):
        assert type(executor_for(function)) is CoroutineExecutor
    for plain in (targets.echo, _Model().plain, len, functools.partial(targets.echo), dict):
        assert type(executor_for(plain)) is ThreadExecutor


@pytest.mark.parametrize("given", [None, "targets:echo", 3, targets.numbers, targets.numbers_async])
def test_what_is_no_function_of_a_payload(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected a function of one payload|is a generator"):
        executor_for(given)


def test_loading_targets() -> None:
    assert load_target("tests.executors.targets:echo") is targets.echo
    assert load_target("tests.executors.targets:Unprintable.mro") == targets.Unprintable.mro
    with pytest.raises(ConfigError, match="expected"):
        load_target(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"target os\.nowhere:f: cannot import os\.nowhere: ModuleNotFoundError"):
        load_target("os.nowhere:f")
    with pytest.raises(ConfigError, match="os has no 'getpidd'; did you mean getpid"):
        load_target("os:getpidd")


def test_importing_the_package_brings_neither_threads_nor_processes() -> None:
    import subprocess
    import sys

    script = (
        "import sys, parking_lot_drivers.executors as e; e.CoroutineExecutor; "
        "print(*[m for m in ('anyio.to_thread', 'subprocess', 'multiprocessing', 'concurrent.futures', 'trio', "
        "'parking_lot_drivers.executors.thread', 'parking_lot_drivers.executors.process') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown.split() == []
