"""A program that starts work in every kind of process, says so, and waits to be killed.

``python -m tests.executors.orphans_parent BACKEND FOLDER``
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from parking_lot_drivers.executors import CommandExecutor, ProcessExecutor
from parking_lot_drivers.ports import TaskContext
from tests.executors.tools import told

TARGETS = ("sleep", "spin", "spin_in_c", "sleep_with_children")
SCRIPT = 'sleep 1000 & echo $! > "$1.child"; echo $$ > "$1.d"; mv "$1.d" "$1"; sleep 1000'


async def main(folder: Path) -> None:
    """Run every target, and a command, until killed."""
    context = TaskContext("t", 1, 1, "0", 1)
    async with anyio.create_task_group() as group:
        for name in TARGETS:
            executor = await ProcessExecutor(f"tests.executors.targets:{name}").__aenter__()
            group.start_soon(executor.execute, {"pid_file": str(folder / name)}, context)
        command = CommandExecutor(["/bin/sh", "-c", SCRIPT, "sh", "{path}"])
        group.start_soon(command.execute, {"path": str(folder / "command")}, context)
        for name in (*TARGETS, "command"):
            await told(folder / name)
        print("ready", flush=True)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[2]), backend=sys.argv[1])
