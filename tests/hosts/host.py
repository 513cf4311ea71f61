"""A host process: ``python -m tests.hosts.host SETTINGS``, where SETTINGS is a JSON object (see ``Cluster.start``).

It prints ``READY`` once it schedules, serves until SIGTERM, stops in order, and then prints its counters as JSON. What
its tasks do is noted in the log, which all hosts append to.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from typing import Any

import anyio

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool, current_task
from parking_lot_drivers.executors import CoroutineExecutor, ThreadExecutor
from parking_lot_drivers.ports import TaskExecutor
from tests.hosts.stores import STORES, policy_of

_LOOK_S = 0.02


class Log:
    """Lines that all hosts append to one file, each in one write."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **more: Any) -> None:
        """Append one line, with the time of the machine's monotonic clock in nanoseconds."""
        line = {"what": what, "at": time.monotonic_ns(), "pid": os.getpid(), **more}
        os.write(self._file, (json.dumps(line) + "\n").encode())


class Work:
    """What a task does: it sleeps for ``work`` seconds, and then, by ``do``, it fails at first, or kills its host."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def _begin(self, payload: dict[str, Any]) -> None:
        task = current_task()
        run = {"task": task.task_id, "epoch": task.epoch, "units": task.units, "device": task.device}
        self._log.note("start", **run)
        if payload.get("do") == "kill":
            os.kill(os.getpid(), signal.SIGKILL)

    def _end(self, payload: dict[str, Any]) -> dict[str, Any]:
        task = current_task()
        self._log.note("end", task=task.task_id, epoch=task.epoch)
        if payload.get("do") == "fail once" and task.attempt == 1:
            raise OSError("the first attempt fails")
        return {"epoch": task.epoch, "pid": os.getpid()}

    async def in_coroutine(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The task in the event loop."""
        self._begin(payload)
        try:
            await anyio.sleep(payload["work"])
        except anyio.get_cancelled_exc_class():
            self._log.note("end", task=current_task().task_id, epoch=current_task().epoch, cancelled=True)
            raise
        return self._end(payload)

    def in_thread(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The task in a thread, which cannot be stopped from outside."""
        self._begin(payload)
        time.sleep(payload["work"])
        return self._end(payload)


async def _note_state(pool: ResourcePool, log: Log) -> None:
    """Note when the pool says that it is degraded, and when it is well again."""
    degraded = None
    while True:
        now = pool.stats().degraded
        if (now is None) != (degraded is None):
            log.note("well" if now is None else "degraded", why=now)
        degraded = now
        await anyio.sleep(_LOOK_S)


def counters(pool: ResourcePool) -> dict[str, Any]:
    """What the pool has counted."""
    sharing = pool._loop.sharing
    assert sharing is not None
    stats = pool.stats()
    return {
        "stale_finishes": sharing.stale_finishes,
        "lost_starts": sharing.lost_starts,
        "outcomes": {status.value: count for status, count in stats.outcomes.items()},
        "set_aside": [row.task_id for row in stats.set_aside],
    }


async def serve(settings: dict[str, Any]) -> None:
    """Be a host until SIGTERM."""
    store = STORES[settings["store"]]
    log = Log(settings["log"])
    work = Work(log)
    executor: TaskExecutor = CoroutineExecutor(work.in_coroutine)
    if settings["threads"]:
        executor = ThreadExecutor(work.in_thread)
    queue = store.queue(
        settings["url"],
        policy=policy_of(settings["budget"]),
        lease=settings["lease"],
        poll=settings["poll"],
        wait_for_server=settings["wait_for_server"],
    )
    mailbox = store.mailbox(settings["url"], wait_for_server=settings["wait_for_server"])
    pool = ResourcePool(
        PoolConfig(**settings["policy"]), executor, queue=queue, mailbox=mailbox, grace=settings["grace"]
    )
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with pool, anyio.create_task_group() as group:
            group.start_soon(_note_state, pool, log)
            print("READY", flush=True)
            async for _ in signals:
                break
            group.cancel_scope.cancel()
    print(json.dumps(counters(pool)), flush=True)


def _end_with_the_test() -> None:
    """Do not outlive whoever started this process: the other end of its standard input."""
    os.read(0, 1)  # not sys.stdin, whose lock would get in the way of an end in order
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_test, daemon=True).start()
    logging.basicConfig(format=f"{os.getpid()} %(asctime)s %(message)s", level=logging.WARNING)
    given = json.loads(sys.argv[1])
    anyio.run(serve, given, backend=given["backend"])
