"""What happens to a task that is told to stop."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from parking_lot_drivers.ports import TaskExecutor
from parking_lot_drivers.testing._executors import WithAnExecutor, size, wait_until
from parking_lot_drivers.testing.samples import context


async def results_of(executor: TaskExecutor, payload: object, file: Path) -> tuple[list[object], float]:
    """Cancel a task once it has begun to write to ``file``: what it returned, and how long it took to end."""
    returned: list[object] = []

    async def run() -> None:
        try:
            result = await executor.execute(payload, context())
        except Exception:
            return  # a task that was told to stop may say what it pleases, but not that it succeeded
        returned.append(result)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await wait_until(lambda: size(file) > 0, f"the task writes to {file.name}")
        began = time.monotonic()
        group.cancel_scope.cancel()
    return returned, time.monotonic() - began


class StoppingContract(WithAnExecutor):
    """What happens to a task that is told to stop."""

    async def test_cancelling_stops_the_task_and_the_executor_goes_on(self, tmp_path: Path) -> None:
        made = self.make("tick")
        if not made.cancellable:
            pytest.skip("not tried: the executor says that it is not cancellable")
        async with made as executor:
            for attempt in range(2):
                file = tmp_path / f"ticks-{attempt}"
                payload = {"file": str(file), "seconds": 2 * self.stop_within}
                returned, took = await results_of(executor, payload, file)
                written = size(file)
                assert took < self.stop_within
                assert returned == [], "a cancelled task would count as a success"
                await anyio.sleep(0.3)
                assert size(file) == written, "the task goes on, and its units are given to another"

    async def test_a_task_that_cannot_be_cancelled_is_told_to_stop(self, tmp_path: Path) -> None:
        made = self.make("listen")
        if made.cancellable:
            pytest.skip("not tried: the executor says that it is cancellable")
        file = tmp_path / "begun"
        task = context()
        results: list[object] = []
        async with made as executor:

            async def run() -> None:
                results.append(await executor.execute({"file": str(file), "seconds": 2 * self.stop_within}, task))

            async with anyio.create_task_group() as group:
                group.start_soon(run)
                await wait_until(lambda: size(file) > 0, "the task has begun")
                await anyio.sleep(0.05)
                early = list(results)
                began = time.monotonic()
                task.interrupted.set()
            took = time.monotonic() - began
            assert early == [], "its units are given back while it is at work"
            assert took < self.stop_within
            assert results == [True], "it was not told"

    async def test_a_scope_that_is_cancelled_already_runs_nothing_to_its_end(self) -> None:
        finished = False
        async with self.make("echo_later") as executor:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await executor.execute({"seconds": 0.2}, context())
                finished = True
        assert scope.cancelled_caught
        assert not finished

    async def test_a_deadline_is_a_cancellation(self) -> None:
        async with self.make("echo_later") as executor:
            # A thread that cannot be stopped runs on to its end, and should not keep the tests from theirs.
            length = 4 * self.stop_within if executor.cancellable else 1
            began = time.monotonic()
            with anyio.move_on_after(0.2) as scope:
                await executor.execute({"seconds": length}, context())
            assert scope.cancelled_caught
            assert time.monotonic() - began < 0.2 + self.stop_within
            assert await executor.execute({"seconds": 0}, context()) == {"seconds": 0}
