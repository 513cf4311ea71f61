"""The durable pool beside embedded queues and a bare SQLite loop, on one disk, in one run.

Submissions are acknowledged after their commit; results are stored. Where a key exists for asyncio and trio, the key
without a suffix is the worse of the two.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio

from benchmarks._peers import PAYLOAD, floor_rows, huey_rates, litequeue_rates
from parking_lot_core import PoolConfig
from parking_lot_drivers.executors.coroutine import CoroutineExecutor
from parking_lot_drivers.pool import ResourcePool
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue

GOALS = {
    "raw_ratio": (">=", 6.0),
    "peer_ratio_submit_1": (">=", 0.8),
    "peer_ratio_submit_64": (">=", 5.0),
    "peer_ratio_lives": (">=", 3.0),
}
_RUNS = 3
_COUNT_1 = 2_000
_COUNT_64 = 12_800
_COUNT_PEER = 2_048


async def _echo(payload: object) -> object:
    return payload


async def _hold(payload: object) -> object:
    await anyio.sleep_forever()
    return payload


def _pool(folder: Path, run: Callable[[Any], Awaitable[object]], units: int) -> ResourcePool:
    lot = folder / "bench.lot"
    return ResourcePool(
        PoolConfig(max_units=units, max_queue_depth=1_000_000),
        CoroutineExecutor(run),
        queue=SqliteQueue(lot, "bench"),
        mailbox=SqliteMailbox(lot, "bench"),
        grace=0.0,
    )


async def _spread(submitters: int, count: int, one: Callable[[], Awaitable[None]]) -> float:
    """Operations per second of ``count`` calls by so many tasks at once."""

    async def share() -> None:
        for _ in range(count // submitters):
            await one()

    start = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(submitters):
            group.start_soon(share)
    return count / (time.perf_counter() - start)


async def _measure(folder: Path) -> dict[str, float]:
    latencies: list[float] = []
    async with _pool(folder, _hold, 1) as pool:
        await pool.submit(PAYLOAD)  # takes the only unit: everything after it is parked

        async def submit() -> None:
            start = time.perf_counter()
            await pool.submit(PAYLOAD)
            latencies.append(time.perf_counter() - start)

        alone = await _spread(1, _COUNT_1, submit)
        latencies.clear()
        together = await _spread(64, _COUNT_64, submit)
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        async with _pool(Path(fresh), _echo, 64) as pool:

            async def live() -> None:
                await (await pool.submit(PAYLOAD)).result()

            lives = await _spread(64, _COUNT_64, live)
    cuts = statistics.quantiles(latencies, n=100)
    return {
        "submits_per_s_1": alone,
        "submits_per_s_64": together,
        "lives_per_s": lives,
        "p50_ms": cuts[49] * 1e3,
        "p99_ms": cuts[98] * 1e3,
    }


def _once() -> dict[str, float]:
    """One run of everything, each in a folder of its own on the same disk."""
    row: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        row["floor_rows_per_s"] = floor_rows(folder, _COUNT_PEER)
        for peer, rates in (("huey", huey_rates), ("litequeue", litequeue_rates)):
            row.update({f"{peer}_{key}": figure for key, figure in rates(folder, _COUNT_PEER).items()})
        for backend in ("asyncio", "trio"):
            gc.collect()
            with tempfile.TemporaryDirectory(dir=folder) as own:
                ours = anyio.run(_measure, Path(own), backend=backend)
            row.update({f"{key}_{backend}": figure for key, figure in ours.items()})
    return row


def run() -> dict[str, float]:
    """Medians of several runs, and the ratios that have goals."""
    rows = [_once() for _ in range(_RUNS)]
    found = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    for key in ("submits_per_s_1", "submits_per_s_64", "lives_per_s"):
        found[key] = min(found[f"{key}_asyncio"], found[f"{key}_trio"])
    for key in ("p50_ms", "p99_ms"):
        found[key] = max(found[f"{key}_asyncio"], found[f"{key}_trio"])
    found["raw_ratio"] = found["submits_per_s_64"] / found["floor_rows_per_s"]
    for key, name in (("submits_per_s_1", "submit_1"), ("submits_per_s_64", "submit_64"), ("lives_per_s", "lives")):
        best = max(found[f"huey_{key}"], found[f"litequeue_{key}"])
        found[f"peer_ratio_{name}"] = found[key] / best
    return found
