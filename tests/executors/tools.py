"""Tools for the executor tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from parking_lot_drivers.testing.samples import context

__all__ = ["context", "is_gone", "open_files", "own_children", "told", "wait_until"]

# ``FOLDER`` of ``tests/postgres/server.py``, which needs psycopg.
SERVER_FOLDER = "lot-test-"

# Python's own, which stays once a test has used several processes.
TRACKER = "multiprocessing.resource_tracker"


def is_gone(pid: int) -> bool:
    """Whether no process of this id runs. One that only waits for its parent to look (a zombie) does not run."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] in "ZX"


def own_children() -> list[int]:
    """Process ids of this process's children, zombies included, but for Postgres and what Python left running."""
    tasks = Path("/proc/self/task")
    found = [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in found}
    return [pid for pid, command in commands.items() if SERVER_FOLDER not in command and TRACKER not in command]


def open_files() -> int:
    """How many file descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for ``condition``, and fail if it does not come true."""
    with anyio.move_on_after(seconds):
        while not condition():  # noqa: ASYNC110 (what is waited for happens in another process)
            await anyio.sleep(0.01)
        return
    pytest.fail(f"still not true after {seconds} s")


async def told(path: Path) -> int:
    """The process id that a target tells through the file ``path``."""
    await wait_until(path.exists)
    return int(path.read_text())  # noqa: ASYNC240
