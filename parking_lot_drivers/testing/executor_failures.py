"""What comes back from a task that fails, and who else hears of it."""

from __future__ import annotations

import os

import anyio
import pytest

from parking_lot_drivers.ports import FAILURE_TEXT_MAX, PermanentFailure, TaskExecutor, WorkerLost, failure_text
from parking_lot_drivers.testing._executors import WithAnExecutor
from parking_lot_drivers.testing.samples import context


async def failure_of(executor: TaskExecutor, payload: object) -> Exception:
    """What ``execute`` raised, which must be an ordinary exception: any other would end the pool."""
    try:
        result = await executor.execute(payload, context())
    except Exception as error:
        return error
    except (SystemExit, KeyboardInterrupt) as error:
        pytest.fail(f"{type(error).__name__} of a task came through: it would end the whole pool")
    pytest.fail(f"the task failed, and execute returned {result!r}")


class FailuresContract(WithAnExecutor):
    """What comes back from a task that fails, and who else hears of it."""

    async def test_a_failure_says_what_the_task_said(self) -> None:
        async with self.make("fail") as executor:
            error = await failure_of(executor, "a.png")
        assert "no such picture: a.png" in failure_text(error)
        assert not isinstance(error, (PermanentFailure, WorkerLost)), "an ordinary failure is tried again"

    async def test_a_permanent_failure_stays_one(self) -> None:
        async with self.make("fail_for_good") as executor:
            error = await failure_of(executor, "a.png")
            assert isinstance(error, PermanentFailure), "another attempt would be made"
            assert failure_text(error) == "not a picture: a.png"

    async def test_a_permanent_failure_of_a_class_of_its_own_stays_one(self) -> None:
        async with self.make("fail_oddly") as executor:
            error = await failure_of(executor, "BadImage")
        assert isinstance(error, PermanentFailure), "another attempt would be made"
        assert failure_text(error) == "BadImage: torn"

    @pytest.mark.parametrize("odd", ["Unprintable", "CancelledError", "empty", "long", "StopIteration"])
    async def test_odd_exceptions_are_ordinary_failures(self, odd: str) -> None:
        async with self.make("fail_oddly") as executor:
            for _ in range(2):
                error = await failure_of(executor, odd)
                text = failure_text(error)
                assert not isinstance(error, (PermanentFailure, WorkerLost)), "an ordinary failure is tried again"
                assert {"empty": "ValueError", "long": "ValueError: xxx"}.get(odd, odd) in text
                assert len(text) <= FAILURE_TEXT_MAX + len(" (cut)")

    async def test_sys_exit_ends_the_task_and_nothing_else(self) -> None:
        async with self.make("leave") as executor:
            for _ in range(2):
                assert "bye now" in failure_text(await failure_of(executor, "now"))

    async def test_ctrl_c_inside_a_task_ends_the_task_and_nothing_else(self) -> None:
        async with self.make("interrupt") as executor:
            for _ in range(2):
                assert "KeyboardInterrupt" in failure_text(await failure_of(executor, None))

    async def test_a_failure_is_no_other_tasks_failure(self) -> None:
        ends: dict[int, object] = {}
        async with self.make("echo_or_fail") as executor:

            async def one(number: int) -> None:
                # The failures come first, while the others are at work.
                error = f"number {number}" if number % 2 else None
                try:
                    ends[number] = await executor.execute(
                        {"seconds": 0.05 if error else 0.4, "error": error}, context(f"t-{number}")
                    )
                except Exception as raised:
                    ends[number] = failure_text(raised)

            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(one, number)
        for number in (0, 2):
            assert ends.get(number) == {"seconds": 0.4, "error": None}
        for number in (1, 3):
            assert f"number {number}" in str(ends.get(number))

    async def test_a_worker_that_dies_is_told_and_the_executor_goes_on(self) -> None:
        async with self.make("die") as executor:
            for _ in range(2):
                error = await failure_of(executor, {"die": True, "tests": os.getpid()})
                assert isinstance(error, WorkerLost), f"expected WorkerLost, got {error!r}"
                alive = {"die": False, "tests": os.getpid()}
                assert await executor.execute(alive, context()) == alive
