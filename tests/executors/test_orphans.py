"""Nothing that an executor started outlives this process, even when it is killed with SIGKILL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parking_lot_drivers.executors import _lifeline
from tests.executors.orphans_parent import TARGETS
from tests.executors.tools import is_gone

DEATH_SECONDS = 3.0

SPIN_ON_A_WATCHED_PIPE = """
import sys
from parking_lot_drivers.executors._lifeline import watch_in_thread
watch_in_thread(int(sys.argv[1]))
print("ready", flush=True)
while True:
    pass
"""


def _survivors(pids: list[int]) -> list[int]:
    """Which of the processes still run after ``DEATH_SECONDS``. They are killed, so that a failure leaves none."""
    deadline = time.monotonic() + DEATH_SECONDS
    while (running := [pid for pid in pids if not is_gone(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return running


def _start_parent(backend: str, folder: Path) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "tests.executors.orphans_parent", backend, str(folder)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


def test_killed_at_work(anyio_backend: str, tmp_path: Path) -> None:
    with _start_parent(anyio_backend, tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        names = [*TARGETS, "command", "sleep_with_children.child", "command.child"]
        pids = [int((tmp_path / name).read_text()) for name in names]
        assert not any(is_gone(pid) for pid in pids)
        parent.kill()
    assert _survivors(pids) == []


def _descendants(folder: Path) -> list[int]:
    """Processes, of whatever parent, that were started to write into ``folder``."""
    mark = str(folder).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes() and not is_gone(int(entry.name)):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_killed_at_any_moment(anyio_backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORPHAN_TEST", str(tmp_path))  # every descendant carries it
    moments = random.Random(7)
    for _ in range(10):
        with _start_parent(anyio_backend, tmp_path) as parent:
            time.sleep(moments.uniform(0.2, 1.4))
            pids = _descendants(tmp_path)
            parent.kill()
        assert _survivors(sorted({*pids, *_descendants(tmp_path)})) == []


def test_where_the_kernel_does_not_do_it_a_thread_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lifeline, "BY_KERNEL", False)
    lifeline = _lifeline.Lifeline()
    program = [sys.executable, "-c", SPIN_ON_A_WATCHED_PIPE, str(lifeline.number)]
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, text=True, pass_fds=[lifeline.number], start_new_session=True
    ) as child:
        lifeline.tie(child.pid)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        assert child.poll() is None
        lifeline.close()
        assert child.wait(DEATH_SECONDS) == -signal.SIGKILL


def test_tying_a_process_that_is_gone_already() -> None:
    lifeline = _lifeline.Lifeline()
    child = subprocess.Popen(["true"], pass_fds=[lifeline.number], start_new_session=True)
    child.wait()
    lifeline.tie(child.pid)
    lifeline.close()
    lifeline.close()
