"""A process that schedules a lot: ``python -m tests.stores.holder FILE [fork|child]``. Says when it has the lease.

``fork``: it also has a forked child that outlives it. ``child``: it also starts a program that inherits descriptors.
The child's id is printed too.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import anyio

from parking_lot_drivers.stores.sqlite import SqliteQueue
from parking_lot_drivers.testing.samples import batch, parked


async def main(file: Path, also: str) -> None:
    queue = SqliteQueue(file, "pool")
    await queue.open()
    await queue.save(batch(added=[parked("from the holder")]))
    print("ready", start(also), flush=True)
    await anyio.sleep(60)


def start(also: str) -> int:
    """The id of a child of the kind asked for, or 0."""
    if also == "child":
        return subprocess.Popen(["sleep", "60"], close_fds=False).pid
    if also != "fork":
        return 0
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    return child


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
