"""Worker processes: what is theirs alone."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_drivers.errors import ConfigError, PayloadNotEncodable
from parking_lot_drivers.executors import ProcessExecutor
from parking_lot_drivers.ports import PermanentFailure, TaskRaised, WorkerLost, failure_text
from tests.executors.targets import Point
from tests.executors.tools import context, is_gone, open_files, own_children, told, wait_until

pytestmark = pytest.mark.anyio


def _executor(name: str, **options: Any) -> ProcessExecutor:
    return ProcessExecutor(f"tests.executors.targets:{name}", **options)


async def _pid(executor: ProcessExecutor, *, device: str = "0") -> int:
    result: Any = await executor.execute(None, context(device=device))
    return int(result["pid"])


async def test_a_worker_is_used_again() -> None:
    async with _executor("who") as executor:
        pids = {await _pid(executor) for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert own_children() == []


async def test_as_many_workers_as_tasks_at_one_time() -> None:
    async with _executor("echo_later") as executor:
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(executor.execute, {"seconds": 0.2}, context())
            assert len(own_children()) == 3


async def test_a_worker_serves_one_device() -> None:
    async with _executor("who") as executor:
        first = await _pid(executor, device="cuda:0")
        second = await _pid(executor, device="cuda:1")
        assert first != second
        assert await _pid(executor, device="cuda:0") == first
        assert await _pid(executor, device="cuda:1") == second


async def test_a_worker_is_replaced_after_its_number_of_tasks() -> None:
    async with _executor("who", max_tasks_per_worker=2) as executor:
        pids = [await _pid(executor) for _ in range(4)]
        assert all(is_gone(pid) for pid in pids)
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_idle_workers_past_the_bound_leave() -> None:
    async with _executor("who", idle_workers_max=1) as executor:
        first = await _pid(executor, device="a")
        second = await _pid(executor, device="b")
        assert is_gone(first)
        assert not is_gone(second)
    async with _executor("who", idle_workers_max=0) as executor:
        assert is_gone(await _pid(executor))


async def test_async_targets_keep_one_event_loop() -> None:
    async with _executor("who_async") as executor:
        first: Any = await executor.execute(None, context("one"))
        second: Any = await executor.execute(None, context("two"))
    assert (first["task"][0], second["task"][0]) == ("one", "two")
    assert first["loop"] == second["loop"]
    assert first["pid"] == second["pid"]


async def test_what_the_function_prints_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    async with _executor("chatter", env={"EXTRA": "more"}) as executor:
        assert await executor.execute(1, context()) == [1, "", "more"]
        assert await executor.execute(2, context()) == [2, "", "more"]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("printed é \\udcff") == 2
    assert captured.err.count("right through the file descriptor") == 2
    assert captured.err.count("from a child") == 2


async def test_the_traceback_of_a_failure_is_attached() -> None:
    async with _executor("fail") as executor:
        with pytest.raises(TaskRaised) as caught:
            await executor.execute("x", context())
    (note,) = caught.value.__notes__
    assert "behaviours.py" in note
    assert "in fail" in note


async def test_a_result_that_cannot_be_encoded() -> None:
    async with _executor("unencodable") as executor:
        for _ in range(2):
            with pytest.raises(PermanentFailure) as caught:
                await executor.execute(None, context())
            text = "the result cannot be stored: result.where[0]: cannot encode Point; allowed are"
            assert failure_text(caught.value).startswith(text)


async def test_a_payload_that_cannot_be_encoded_costs_no_worker() -> None:
    async with _executor("who") as executor:
        pid = await _pid(executor)
        with pytest.raises(PayloadNotEncodable, match=r"payload\.at: cannot encode Point"):
            await executor.execute({"at": Point()}, context())
        assert await _pid(executor) == pid


@pytest.mark.parametrize(
    ("how", "text"),
    [("SIGKILL", "SIGKILL"), ("exit", "exit code 7"), ("segfault", "SIGSEGV"), ("with a fork left behind", "code 8")],
)
async def test_a_crash_is_told_and_the_worker_replaced(how: str, text: str) -> None:
    async with _executor("die") as executor:
        for _ in range(2):
            started = time.monotonic()
            with pytest.raises(WorkerLost, match=text) as caught:
                await executor.execute(how, context())
            assert "last words" in str(caught.value)
            if how == "segfault":
                assert "Fatal Python error: Segmentation fault" in str(caught.value)
            assert time.monotonic() - started < 5
            assert await executor.execute("alive", context()) == "alive"
    assert own_children() == []


async def test_an_idle_worker_that_died_is_not_used() -> None:
    async with _executor("who") as executor:
        pid = await _pid(executor)
        os.kill(pid, 9)
        await wait_until(lambda: pid not in own_children())
        await anyio.sleep(0.05)  # the event loop is told
        assert await _pid(executor) != pid


@pytest.mark.parametrize("name", ["sleep", "spin", "spin_in_c", "sleep_with_children"])
async def test_cancelling_kills_whatever_the_worker_does(name: str, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    async with _executor(name) as executor:
        async with anyio.create_task_group() as group:
            group.start_soon(executor.execute, {"pid_file": str(pid_file)}, context())
            pid = await told(pid_file)
            started = time.monotonic()
            group.cancel_scope.cancel()
        assert time.monotonic() - started < 2
        assert pid not in own_children()
        assert is_gone(pid)
        child_file = Path(f"{pid_file}.child")
        if name == "sleep_with_children":
            child = int(child_file.read_text())  # noqa: ASYNC240
            await wait_until(lambda: is_gone(child), 2)


async def test_cancelling_while_a_worker_starts(tmp_path: Path) -> None:
    async with _executor("who") as executor:
        first = await _pid(executor, device="a")
        for delay in (0.0, 0.001, 0.01, 0.03):
            with anyio.move_on_after(delay):
                await executor.execute(None, context(device="b"))
        assert [pid for pid in own_children() if pid != first] == []
        assert await _pid(executor, device="a") == first


async def test_a_hundred_cancelled_tasks_leave_nothing_behind() -> None:
    async with _executor("echo_later") as executor:
        await executor.execute({"seconds": 0}, context())
        before = open_files()
        for round_ in range(25):
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(executor.execute, {"seconds": 100}, context())
                await anyio.sleep(0.01 * (round_ % 8))
                group.cancel_scope.cancel()
            assert own_children() == []
        await executor.execute({"seconds": 0}, context())
        assert open_files() <= before
        assert len(own_children()) == 1
    assert own_children() == []


async def test_leaving_stops_the_workers(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    async def application() -> None:
        async with _executor("sleep") as executor, anyio.create_task_group() as group:
            group.start_soon(executor.execute, {"pid_file": str(pid_file)}, context())
            await told(pid_file)
            raise KeyError("the application failed")

    with pytest.raises(ExceptionGroup) as caught:
        await application()
    assert caught.group_contains(KeyError)
    assert own_children() == []


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere", r'expected "package\.module:function", got \'nowhere\''),
        ("", r'expected "package\.module:function"'),
        ("a:b:c", r"got 'a:b:c'"),
        ("tests.executors.targets:", "expected"),
        ("no_such_module:f", "target no_such_module:f: cannot import no_such_module: ModuleNotFoundError"),
        ("tests.executors.targets:ecko", r"has no 'ecko'; did you mean echo\?"),
        ("tests.executors.targets:NOT_A_FUNCTION", "expected a function of one payload, got str"),
        ("tests.executors.targets:numbers", "is a generator"),
        ("tests.executors.broken:f", "cannot import tests.executors.broken: ZeroDivisionError"),
        ("tests.executors.leaves:f", "cannot import tests.executors.leaves: SystemExit: 4"),
        (
            "tests.executors.dies:f",
            r"its worker process died|worker process of tests\.executors\.dies:f died \(exit code 9\)",
        ),
    ],
)
async def test_a_target_that_cannot_be_used_is_found_at_once(
    target: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=message):
        async with ProcessExecutor(target):
            pass
    assert own_children() == []


async def test_an_interpreter_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="python: cannot start '/no/such/python'"):
        async with _executor("echo", python="/no/such/python"):
            pass
    with pytest.raises(ConfigError, match=r"target tests.executors.targets:echo: cannot be imported.*exit code 1"):
        async with _executor("echo", python="/bin/false"):
            pass


async def test_the_same_interpreter_by_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    async with _executor("who", python=str(other)) as executor:
        assert await _pid(executor) != os.getpid()


@pytest.mark.parametrize("option", ["max_tasks_per_worker", "idle_workers_max"])
@pytest.mark.parametrize("given", [-1, 1.5, "2", True])
def test_bad_options(option: str, given: object) -> None:
    with pytest.raises(ConfigError, match=f"{option}: expected an integer"):
        _executor("echo", **{option: given})


async def test_executing_without_entering() -> None:
    with pytest.raises(RuntimeError, match="enter the executor first"):
        await _executor("echo").execute(None, context())
