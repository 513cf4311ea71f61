"""What every executor does, whatever it runs a task in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_drivers.context import current_task
from parking_lot_drivers.executors import (
    CommandExecutor,
    CommandFailed,
    CoroutineExecutor,
    ProcessExecutor,
    ThreadExecutor,
)
from parking_lot_drivers.ports import PermanentFailure, TaskExecutor, failure_text
from tests.executors import targets
from tests.executors.tools import context, told

pytestmark = pytest.mark.anyio

Make = Callable[[str], TaskExecutor]


def _coroutine(name: str) -> TaskExecutor:
    async def function(payload: Any) -> Any:
        if name == "echo_later":
            await anyio.sleep(payload["seconds"])
            return payload
        if name == "sleep":
            targets.tell(payload["pid_file"])
            await anyio.sleep(1000)
        return getattr(targets, name)(payload)

    return CoroutineExecutor(function)


def _thread(name: str) -> TaskExecutor:
    return ThreadExecutor(getattr(targets, name))


def _process(name: str) -> TaskExecutor:
    return ProcessExecutor(f"tests.executors.targets:{name}")


def _command(name: str) -> TaskExecutor:
    quick = {
        "echo": "cat",
        "echo_later": "sleep {seconds}; cat",
        "sleep": 'echo $$ > "$1.draft"; mv "$1.draft" "$1"; sleep 1000',
    }
    if name not in quick:
        return CommandExecutor([sys.executable, "-m", "tests.executors.targets", name])
    pid_file = ["{pid_file}"] if name == "sleep" else []
    return CommandExecutor(["/bin/sh", "-c", quick[name], "sh", *pid_file])


MAKERS: dict[str, Make] = {"coroutine": _coroutine, "thread": _thread, "process": _process, "command": _command}


@pytest.fixture(params=list(MAKERS))
def kind(request: pytest.FixtureRequest) -> str:
    """Which executor."""
    return str(request.param)


@pytest.fixture
def make(kind: str) -> Make:
    """Makes the executor for one of the functions in ``targets``, or a command that does the same."""
    return MAKERS[kind]


@pytest.mark.parametrize(
    "payload",
    [
        {"path": "/data/ü/画像.png", "sizes": [1, 2.5, -3], "deep": {"yes": True, "no": None}},
        {"emoji": "🅿️ \u2028 \x00", "not unicode": "\udcff"},
        {"raw": b"\x00\xff", "$bytes": "not bytes"},
        [],
        None,
        "text",
    ],
    ids=["ordinary", "unicode", "bytes", "empty", "none", "text"],
)
async def test_the_result_comes_back(make: Make, payload: object) -> None:
    async with make("echo") as executor:
        assert await executor.execute(payload, context()) == payload


async def test_ten_mebibytes_pass_both_ways(make: Make) -> None:
    payload = {"text": "é" * (5 * 2**20), "n": 1}
    async with make("echo") as executor:
        assert await executor.execute(payload, context()) == payload
        assert await executor.execute({"n": 2}, context()) == {"n": 2}


async def test_a_failure_says_its_type_and_message(make: Make, kind: str) -> None:
    async with make("fail") as executor:
        with pytest.raises(Exception, match=r"no such picture: a\.png") as caught:
            await executor.execute("a.png", context())
    assert not isinstance(caught.value, PermanentFailure)
    if kind == "command":
        assert isinstance(caught.value, CommandFailed)
        assert caught.value.code == 1
        assert "exit code 1" in str(caught.value)
    else:
        assert failure_text(caught.value) == "ValueError: no such picture: a.png"


@pytest.mark.parametrize("kind", ["coroutine", "thread", "process"])
async def test_a_permanent_failure_stays_one(make: Make) -> None:
    async with make("fail_for_good") as executor:
        with pytest.raises(PermanentFailure) as caught:
            await executor.execute("a.png", context())
        assert failure_text(caught.value) == "not a picture: a.png"
    async with make("fail_in_its_own_way") as executor:
        with pytest.raises(PermanentFailure) as caught:
            await executor.execute("BadImage", context())
    assert failure_text(caught.value) == "BadImage: torn"


@pytest.mark.parametrize("kind", ["coroutine", "thread", "process"])
@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("Unprintable", "Unprintable: (its message cannot be printed)"),
        ("CancelledError", "CancelledError"),
        ("empty", "ValueError"),
        ("long", "ValueError: " + "x" * 9988 + " (cut)"),
    ],
)
async def test_odd_exceptions_are_ordinary_failures(make: Make, payload: str, text: str) -> None:
    async with make("fail_in_its_own_way") as executor:
        with pytest.raises(Exception) as caught:  # noqa: PT011 (one of them cannot be matched)
            await executor.execute(payload, context())
        assert failure_text(caught.value) == text


@pytest.mark.parametrize("kind", ["coroutine", "thread", "process"])
async def test_sys_exit_ends_the_task_and_nothing_else(make: Make) -> None:
    async with make("leave") as executor:
        for _ in range(2):
            with pytest.raises(Exception, match="SystemExit: bye now") as caught:
                await executor.execute("now", context())
            assert failure_text(caught.value) == "SystemExit: bye now"


@pytest.mark.parametrize("kind", ["thread", "process"])
@pytest.mark.parametrize("payload", ["KeyboardInterrupt", "StopIteration"])
async def test_exceptions_that_mean_something_to_an_event_loop(make: Make, payload: str) -> None:
    async with make("fail_in_its_own_way") as executor:
        with pytest.raises(Exception, match=payload):
            await executor.execute(payload, context())


@pytest.mark.parametrize("kind", ["coroutine", "thread", "process"])
async def test_a_task_knows_itself(make: Make) -> None:
    async with make("who") as executor:
        result: Any = await executor.execute(None, context("ß/1", device="cuda:1"))
    assert result["task"] == ["ß/1", 4, 2, "cuda:1", 3, False]
    with pytest.raises(LookupError, match="outside a task"):
        current_task()


async def test_two_hundred_tasks_each_get_their_own_result(make: Make, kind: str) -> None:
    results: dict[int, object] = {}
    at_once = anyio.CapacityLimiter(4 if kind in ("process", "command") else 200)
    async with make("echo_later") as executor:

        async def one(number: int) -> None:
            async with at_once:
                payload = {"seconds": (number * 7919 % 5) / 1000, "number": number}
                results[number] = await executor.execute(payload, context(f"t-{number}"))

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(one, number)
    assert {number: result["number"] for number, result in results.items()} == {n: n for n in range(200)}  # type: ignore[index]


@pytest.mark.parametrize("kind", ["coroutine", "process", "command"])
async def test_cancelling_stops_the_task_at_once_and_the_executor_goes_on(make: Make, tmp_path: Path) -> None:
    async with make("sleep") as executor:
        assert executor.cancellable
        for attempt in range(2):
            pid_file = tmp_path / f"pid-{attempt}"
            async with anyio.create_task_group() as group:
                group.start_soon(executor.execute, {"pid_file": str(pid_file)}, context())
                await told(pid_file)
                started = time.monotonic()
                group.cancel_scope.cancel()
            assert time.monotonic() - started < 5


async def test_a_scope_that_is_cancelled_already_runs_nothing_to_its_end(make: Make) -> None:
    finished = False
    async with make("echo_later") as executor:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await executor.execute({"seconds": 0.2}, context())
            finished = True
    assert scope.cancelled_caught
    assert not finished


async def test_a_deadline_is_a_cancellation(make: Make) -> None:
    async with make("echo_later") as executor:
        started = time.monotonic()
        with anyio.move_on_after(0.2) as scope:
            await executor.execute({"seconds": 30 if make is not _thread else 1}, context())
        assert scope.cancelled_caught
        assert time.monotonic() - started < 10
        assert await executor.execute({"seconds": 0}, context()) == {"seconds": 0}
