"""A process that shares a lot file: ``python -m tests.stores.sharer FOLDER BACKEND``.

It notes ``ready`` in the log, and schedules until there is a file ``stop`` in the folder. Its tasks note their starts
and ends in the same log, to which all processes append.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import anyio

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool, current_task
from parking_lot_drivers.shared_ports import SharedBudget
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sql.shared_sql import Policy

UNITS = 8
LEASE = 1.0
POLICY = Policy(budget=SharedBudget(name="gpu", devices={"0": UNITS}))
CONFIG = PoolConfig(max_units=UNITS, max_attempts=1000, retry_backoff=0.01, retry_backoff_max=0.01)


def file_of(folder: Path) -> Path:
    """The lot file."""
    return folder / "lot"


def pool_on(folder: Path, work: Any, name: str = "pool") -> ResourcePool:
    """A pool that shares the file and the budget."""
    queue = SharedSqliteQueue(file_of(folder), name, policy=POLICY, lease=LEASE, poll=0.1)
    return ResourcePool(CONFIG, work, queue=queue, mailbox=SharedSqliteMailbox(file_of(folder), name), name=name)


def note(folder: Path, what: str, **more: Any) -> None:
    """Append one line to the log, in one write, with the time of the machine's monotonic clock in nanoseconds."""
    line = json.dumps({"what": what, "at": time.monotonic_ns(), "pid": os.getpid(), **more}) + "\n"
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line.encode())
    os.close(log)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Everything noted so far."""
    log = folder / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


async def work(payload: dict[str, Any]) -> int:
    """A task: it notes its start and its end, whatever ends it, and returns its epoch."""
    task = current_task()
    folder, run = Path(payload["folder"]), {"task": task.task_id, "epoch": task.epoch, "units": task.units}
    note(folder, "start", **run)
    try:
        await anyio.sleep(payload["seconds"])
    finally:
        note(folder, "end", **run)
    return task.epoch


async def share(folder: Path) -> None:
    """Schedule until told to stop."""
    async with pool_on(folder, work) as pool:
        note(folder, "ready")
        while not (folder / "stop").exists():  # noqa: ASYNC110
            await anyio.sleep(0.02)
    sharing = pool._loop.sharing
    assert sharing is not None
    note(folder, "stopped", stale_finishes=sharing.stale_finishes, lost_starts=sharing.lost_starts)


if __name__ == "__main__":
    anyio.run(share, Path(sys.argv[1]), backend=sys.argv[2])
