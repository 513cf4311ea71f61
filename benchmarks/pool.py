"""The in-memory pool beside ``anyio.CapacityLimiter`` with a task group: 50,000 trivial coroutines, 8 at a time.

The limiter does less: it cannot weigh, order, expire, retry, cancel by name or keep a result. It is the floor of what
an event loop charges for running that many coroutines under a bound.
"""

from __future__ import annotations

import gc
import statistics
import time

import anyio

from parking_lot_core import PoolConfig
from parking_lot_drivers.executors.coroutine import CoroutineExecutor
from parking_lot_drivers.pool import ResourcePool

GOALS = {"limiter_ratio": (">=", 0.5)}
_RUNS = 3
_TASKS = 50_000
_UNITS = 8
_SUBMITTERS = 64


async def _echo(payload: object) -> object:
    return payload


async def _with_pool() -> float:
    async with ResourcePool(PoolConfig(max_units=_UNITS), CoroutineExecutor(_echo)) as pool:

        async def share() -> None:
            for number in range(_TASKS // _SUBMITTERS):
                await (await pool.submit(number)).result()

        start = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(_SUBMITTERS):
                group.start_soon(share)
        return _TASKS // _SUBMITTERS * _SUBMITTERS / (time.perf_counter() - start)


async def _with_limiter() -> float:
    limiter = anyio.CapacityLimiter(_UNITS)
    results: dict[int, object] = {}

    async def one(number: int) -> None:
        async with limiter:
            results[number] = await _echo(number)

    start = time.perf_counter()
    async with anyio.create_task_group() as group:
        for number in range(_TASKS):
            group.start_soon(one, number)
    return _TASKS / (time.perf_counter() - start)


def run() -> dict[str, float]:
    """Medians of several runs on each event loop; the keys without a suffix are the worse of the two."""
    found: dict[str, float] = {}
    for backend in ("asyncio", "trio"):
        ours, theirs = [], []
        for _ in range(_RUNS):
            gc.collect()
            ours.append(anyio.run(_with_pool, backend=backend))
            gc.collect()
            theirs.append(anyio.run(_with_limiter, backend=backend))
        found[f"tasks_per_s_{backend}"] = statistics.median(ours)
        found[f"limiter_per_s_{backend}"] = statistics.median(theirs)
        found[f"limiter_ratio_{backend}"] = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    found["tasks_per_s"] = min(found["tasks_per_s_asyncio"], found["tasks_per_s_trio"])
    found["limiter_ratio"] = min(found["limiter_ratio_asyncio"], found["limiter_ratio_trio"])
    return found
