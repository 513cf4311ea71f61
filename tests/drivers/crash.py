"""The processes that ``test_crash.py`` kills, and the log that they write.

``python -m tests.drivers.crash host FOLDER BACKEND WORKERS`` schedules a lot until there is nothing left to do;
``python -m tests.drivers.crash post FOLDER BACKEND -`` submits to it from outside. Both go on where they were killed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anyio

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool, current_task
from parking_lot_drivers._submission import metadata_of
from parking_lot_drivers.codec import encode
from parking_lot_drivers.executors import CoroutineExecutor, ProcessExecutor
from parking_lot_drivers.ports import MailboxKey, Request, TaskExecutor
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue

UNITS = 8
DEPTH = 40
SUBMITTED, POSTED = 160, 80
_PARENT = os.getppid()  # of a worker: the scheduling process, while it lives
FLAWED = 7  # every seventh task fails at its first attempt


def files(folder: Path, *, apart: bool) -> tuple[SqliteQueue, SqliteMailbox]:
    """Queue and mailbox of the lot, in one file or two."""
    return SqliteQueue(folder / "lot", "pool"), SqliteMailbox(folder / ("mailbox" if apart else "lot"), "pool")


def note(folder: str | Path, **what: Any) -> None:
    """Append one line to the log, in one write, with the time of the machine's monotonic clock."""
    line = json.dumps({"at": time.monotonic(), "pid": os.getpid(), **what}) + "\n"
    log = os.open(Path(folder) / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, line.encode())
    os.close(log)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Everything noted so far."""
    log = folder / "log"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def wishes(name: str) -> dict[str, Any]:
    """Units and priority of a task, the same each time."""
    chance = random.Random(name)
    return {"units": chance.randint(1, 5), "priority": chance.choice(["low", "normal", "high"])}


def _begin(payload: dict[str, Any], host: int) -> float:
    task = current_task()
    run = {"task": task.task_id, "epoch": task.epoch, "units": task.units, "host": host}
    note(payload["folder"], what="start", **run)
    return random.Random(f"{task.task_id} {task.epoch}").uniform(0.005, 0.05)


def _end(payload: dict[str, Any], host: int) -> str:
    task = current_task()
    note(payload["folder"], what="stop", task=task.task_id, epoch=task.epoch, units=task.units, host=host)
    if payload["number"] % FLAWED == 0 and task.attempt == 1:
        raise OSError("the first attempt fails")
    return f"result of {task.task_id}"


async def in_coroutine(payload: dict[str, Any]) -> str:
    """A task that runs in the scheduling process."""
    await anyio.sleep(_begin(payload, os.getpid()))
    return _end(payload, os.getpid())


def in_worker(payload: dict[str, Any]) -> str:
    """A task that runs in a worker process."""
    time.sleep(_begin(payload, _PARENT))
    return _end(payload, _PARENT)


def _left(folder: Path, kind: str, count: int) -> Iterable[tuple[str, dict[str, Any]]]:
    """The tasks whose submission nobody has heard to be accepted, with their payloads."""
    accepted = {line["task"] for line in read_log(folder) if line["what"] == "accepted"}
    for number in range(count):
        name = f"{kind}-{number}"
        if name not in accepted:
            yield name, {"folder": str(folder), "number": number}


async def host(folder: Path, workers: str) -> None:
    """Schedule the lot, and submit to it, until all is done."""
    executor: TaskExecutor = CoroutineExecutor(in_coroutine)
    if workers == "processes":
        executor = ProcessExecutor("tests.drivers.crash:in_worker")
    queue, mailbox = files(folder, apart=workers == "processes")
    config = PoolConfig(
        max_units=UNITS, max_queue_depth=DEPTH, max_attempts=1000, retry_backoff=0.01, retry_backoff_max=0.01
    )
    async with ResourcePool(config, executor, queue=queue, mailbox=mailbox, name="pool") as pool:
        note(folder, what="ready")
        left = iter(list(_left(folder, "own", SUBMITTED)))

        async def submit() -> None:
            for name, payload in left:
                accepted = await pool.submit(payload, idempotency_key=name, wait=True, **wishes(name))
                note(folder, what="accepted", task=name, id=accepted.task_id)

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(submit)
        while not (folder / "posted").exists() or (await queue.overview()).requests:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        await pool.join()


async def post(folder: Path) -> None:
    """Submit from outside."""
    queue, _ = files(folder, apart=False)
    await queue.open(schedule=False)
    note(folder, what="ready")
    for name, payload in list(_left(folder, "posted", POSTED)):
        task = metadata_of(name, time.time(), **wishes(name))
        await queue.post(Request(number=0, task_id=name, at=time.time(), task=task, payload=encode(payload)))
        note(folder, what="accepted", task=name, id=name)
        await anyio.sleep(0.01)
    await queue.aclose()
    (folder / "posted").touch()


async def outcomes(folder: Path, *, apart: bool) -> list[Any]:
    """Every message in the mailbox, and a proof that the lot is empty."""
    queue, mailbox = files(folder, apart=apart)
    await queue.open(schedule=False)
    await mailbox.open()
    seen = await queue.overview()
    assert (seen.parked, seen.running, seen.requests, seen.set_aside) == (0, [], 0, 0)
    messages = await mailbox.fetch(MailboxKey(), limit=10_000)
    await queue.aclose()
    await mailbox.aclose()
    return messages


if __name__ == "__main__":
    command, where, backend, how = sys.argv[1:]
    if command == "host":
        anyio.run(host, Path(where), how, backend=backend)
    else:
        anyio.run(post, Path(where), backend=backend)
