"""Executors that are wrong in one respect each. ``fails``: tests that must notice."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, ClassVar

import anyio
import attrs
from anyio.abc import TaskGroup

from parking_lot_drivers import TaskContext, TaskExecutor, WorkerLost, codec
from parking_lot_drivers.context import running
from parking_lot_drivers.executors import CoroutineExecutor, ThreadExecutor
from parking_lot_drivers.ports import Interruption, PermanentFailure
from parking_lot_drivers.testing import ExecutorContract, behaviours


class OnTheLoop(CoroutineExecutor):
    """A correct one, to begin with."""

    def __init__(self, behaviour: str) -> None:
        super().__init__(behaviours.coroutine(behaviour))


class OnTheLoopContract(ExecutorContract):
    without: ClassVar[dict[str, str]] = {"interrupt": "it ends the pool", "die": "its tasks run in this process"}
    stop_within = 0.3
    executor_type: ClassVar[type[OnTheLoop]]

    def executor(self, behaviour: str) -> TaskExecutor:
        return self.executor_type(behaviour)


class SwallowsCancellation(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except anyio.get_cancelled_exc_class():
            return None


class TestSwallowsCancellation(OnTheLoopContract):
    executor_type = SwallowsCancellation
    fails = (
        "test_cancelling_stops_the_task_and_the_executor_goes_on",
        "test_a_deadline_is_a_cancellation",
        "test_a_scope_that_is_cancelled_already_runs_nothing_to_its_end",
    )


class IgnoresCancellation(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        with anyio.CancelScope(shield=True):
            return await super().execute(payload, context)


class TestIgnoresCancellation(OnTheLoopContract):
    executor_type = IgnoresCancellation
    fails = ("test_cancelling_stops_the_task_and_the_executor_goes_on", "test_a_deadline_is_a_cancellation")


class LeavesTheTaskRunning(OnTheLoop):
    """The task's units are given to another while it is at work."""

    async def execute(self, payload: object, context: TaskContext) -> object:
        return await asyncio.shield(asyncio.ensure_future(super().execute(payload, context)))


class TestLeavesTheTaskRunning(OnTheLoopContract):
    executor_type = LeavesTheTaskRunning
    fails = ("test_cancelling_stops_the_task_and_the_executor_goes_on",)


class ReportsSuccess(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except Exception as error:
            return {"error": str(error)}


class TestReportsSuccess(OnTheLoopContract):
    executor_type = ReportsSuccess
    fails = (
        "test_a_failure_says_what_the_task_said",
        "test_a_permanent_failure_stays_one",
        "test_sys_exit_ends_the_task_and_nothing_else",
    )


class SaysNothingOfTheFailure(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except PermanentFailure:
            raise
        except Exception:
            raise RuntimeError("the task failed") from None


class TestSaysNothingOfTheFailure(OnTheLoopContract):
    executor_type = SaysNothingOfTheFailure
    fails = ("test_a_failure_says_what_the_task_said", "test_a_failure_is_no_other_tasks_failure")


class TriesEverythingAgain(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except PermanentFailure as error:
            raise RuntimeError(str(error)) from error


class TestTriesEverythingAgain(OnTheLoopContract):
    executor_type = TriesEverythingAgain
    fails = (
        "test_a_permanent_failure_stays_one",
        "test_a_permanent_failure_of_a_class_of_its_own_stays_one",
    )


class GivesUpAtOnce(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except Exception as error:
            raise PermanentFailure(f"{type(error).__name__}: {error}") from error


class TestGivesUpAtOnce(OnTheLoopContract):
    executor_type = GivesUpAtOnce
    fails = ("test_a_failure_says_what_the_task_said",)


class TripsOverOddExceptions(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except Exception as error:
            text = str(error)
            raise type(error)(text) from error


class TestTripsOverOddExceptions(OnTheLoopContract):
    executor_type = TripsOverOddExceptions
    fails = ("test_odd_exceptions_are_ordinary_failures",)


class LetsEverythingThrough(OnTheLoop):
    def __init__(self, behaviour: str) -> None:
        super().__init__(behaviour)
        self.run = behaviours.coroutine(behaviour)

    async def execute(self, payload: object, context: TaskContext) -> object:
        with running(context):
            return await self.run(payload)


class TestLetsEverythingThrough(OnTheLoopContract):
    executor_type = LetsEverythingThrough
    without: ClassVar[dict[str, str]] = {"die": "its tasks run in this process"}
    fails = (
        "test_sys_exit_ends_the_task_and_nothing_else",
        "test_ctrl_c_inside_a_task_ends_the_task_and_nothing_else",
    )


class CountsEpochsItself(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        return await super().execute(payload, attrs.evolve(context, epoch=1))


class TestCountsEpochsItself(OnTheLoopContract):
    executor_type = CountsEpochsItself
    fails = ("test_a_task_knows_itself",)


class RemembersTheFirstTask(OnTheLoop):
    first: TaskContext | None = None

    async def execute(self, payload: object, context: TaskContext) -> object:
        self.first = self.first or context
        return await super().execute(payload, self.first)


class TestRemembersTheFirstTask(OnTheLoopContract):
    executor_type = RemembersTheFirstTask
    fails = ("test_tasks_side_by_side_each_know_themselves",)


class MixesUpResults(OnTheLoop):
    result: object = None

    async def execute(self, payload: object, context: TaskContext) -> object:
        self.result = await super().execute(payload, context)
        await anyio.sleep(0.002)
        return self.result


class TestMixesUpResults(OnTheLoopContract):
    executor_type = MixesUpResults
    fails = ("test_two_hundred_tasks_each_get_their_own_result",)


class SpeaksPlainJson(OnTheLoop):
    async def execute(self, payload: object, context: TaskContext) -> object:
        return json.loads(json.dumps(await super().execute(payload, context), default=repr))


class TestSpeaksPlainJson(OnTheLoopContract):
    executor_type = SpeaksPlainJson
    fails = ("test_the_result_comes_back",)


class CutsLongTexts(OnTheLoop):
    async def execute(self, payload: Any, context: TaskContext) -> object:
        result = await super().execute(payload, context)
        if isinstance(result, dict) and "text" in result:
            return {**result, "text": result["text"][:65536]}
        return result


class TestCutsLongTexts(OnTheLoopContract):
    executor_type = CutsLongTexts
    fails = ("test_ten_mebibytes_pass_both_ways",)


class LetsOneFailForAll(OnTheLoop):
    """Runs every task in one task group, where a failure cancels the others."""

    group: TaskGroup

    async def __aenter__(self) -> LetsOneFailForAll:
        self.group = anyio.create_task_group()
        await self.group.__aenter__()
        return self

    async def __aexit__(self, *about: Any) -> None:
        try:
            await self.group.__aexit__(None, None, None)
        except BaseExceptionGroup:
            return

    async def execute(self, payload: object, context: TaskContext) -> object:
        ended = anyio.Event()
        ends: list[object] = []

        async def run() -> None:
            try:
                ends.append(await super(LetsOneFailForAll, self).execute(payload, context))
            except BaseException as error:
                ends.append(error)
                raise
            finally:
                ended.set()

        self.group.start_soon(run)
        await ended.wait()
        if isinstance(ends[0], Exception):
            raise ends[0]
        return ends[0]


class TestLetsOneFailForAll(OnTheLoopContract):
    executor_type = LetsOneFailForAll
    fails = ("test_a_failure_is_no_other_tasks_failure",)


class NeverTellsTheTask(ThreadExecutor):
    async def execute(self, payload: object, context: TaskContext) -> object:
        return await super().execute(payload, attrs.evolve(context, interrupted=Interruption()))


class OnThreadsContract(ExecutorContract):
    without: ClassVar[dict[str, str]] = {"die": "its tasks run in this process"}
    stop_within = 0.3
    executor_type: ClassVar[type[ThreadExecutor]]

    def executor(self, behaviour: str) -> TaskExecutor:
        return self.executor_type(getattr(behaviours, behaviour))


class TestNeverTellsTheTask(OnThreadsContract):
    executor_type = NeverTellsTheTask
    fails = ("test_a_task_that_cannot_be_cancelled_is_told_to_stop",)


class ReturnsBeforeTheTask(ThreadExecutor):
    async def execute(self, payload: object, context: TaskContext) -> object:
        with anyio.move_on_after(0.03):
            return await super().execute(payload, context)
        return True


class TestReturnsBeforeTheTask(OnThreadsContract):
    executor_type = ReturnsBeforeTheTask
    fails = ("test_a_task_that_cannot_be_cancelled_is_told_to_stop",)


class InAProcess(TaskExecutor):
    """A program for every task."""

    def __init__(self, behaviour: str) -> None:
        self.command = [sys.executable, "-m", "parking_lot_drivers.testing.behaviours", behaviour]

    async def execute(self, payload: object, context: TaskContext) -> object:
        done = await anyio.run_process(self.command, input=codec.encode(payload) + b"\n", check=False)
        if done.returncode < 0:
            raise WorkerLost(f"killed by signal {-done.returncode}")
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return codec.decode(done.stdout)


class InAProcessContract(ExecutorContract):
    """Only what concerns crashes, since a process for every task takes its time."""

    without: ClassVar[dict[str, str]] = {name: "too slow" for name in behaviours.BEHAVIOURS if name != "die"}
    executor_type: ClassVar[type[InAProcess]]

    def executor(self, behaviour: str) -> TaskExecutor:
        return self.executor_type(behaviour)


class TestInAProcess(InAProcessContract):
    """What the broken ones are made of is sound."""

    executor_type = InAProcess
    fails = ()
    passes = ("test_a_worker_that_dies_is_told_and_the_executor_goes_on",)


class TakesACrashForAFailure(InAProcess):
    async def execute(self, payload: object, context: TaskContext) -> object:
        try:
            return await super().execute(payload, context)
        except WorkerLost as error:
            raise RuntimeError(str(error)) from error


class TestTakesACrashForAFailure(InAProcessContract):
    executor_type = TakesACrashForAFailure
    fails = ("test_a_worker_that_dies_is_told_and_the_executor_goes_on",)


class EndsWithTheFirstCrash(InAProcess):
    """As a pool of processes that is broken for good."""

    broken = False

    async def execute(self, payload: object, context: TaskContext) -> object:
        if self.broken:
            raise RuntimeError("the pool of processes is broken")
        try:
            return await super().execute(payload, context)
        except WorkerLost:
            self.broken = True
            raise


class TestEndsWithTheFirstCrash(InAProcessContract):
    executor_type = EndsWithTheFirstCrash
    fails = ("test_a_worker_that_dies_is_told_and_the_executor_goes_on",)


class TestWouldKillTheTests(OnTheLoopContract):
    """Its author forgot to say that its tasks cannot die."""

    executor_type = OnTheLoop
    without: ClassVar[dict[str, str]] = {"interrupt": "it ends the pool"}
    fails = ("test_a_worker_that_dies_is_told_and_the_executor_goes_on",)
