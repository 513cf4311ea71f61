"""Units of a budget that several hosts share, on every queue that grants them in its own commits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from parking_lot_core import OutcomeStatus, ScheduledTask, TaskState
from parking_lot_drivers.ports import Batch
from parking_lot_drivers.shared_ports import Loss, SharedQueue
from parking_lot_drivers.testing.samples import batch, parked, running
from tests.hosts.stores import STORES
from tests.stores import sharer
from tests.stores.test_shared_sqlite_queue import queue_on

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["shared_sqlite", *STORES])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SharedQueue]:
    """A queue under a budget of eight units, open."""
    if request.param == "shared_sqlite":
        queue: SharedQueue = queue_on(tmp_path, policy=sharer.POLICY)
    else:
        url = request.getfixturevalue("database_url")
        queue = STORES[request.param].queue(url, policy=sharer.POLICY, lease=30.0, poll=30.0)
    async with _opened(queue):
        yield queue


@asynccontextmanager
async def _opened(queue: SharedQueue) -> AsyncIterator[None]:
    await queue.open()
    try:
        yield
    finally:
        await queue.aclose()


def started(task: ScheduledTask, **changes: Any) -> ScheduledTask:
    return attrs.evolve(running(task), device="0", **changes)


def stopping(task: ScheduledTask) -> ScheduledTask:
    return attrs.evolve(task, state=TaskState.STOPPING, stop_reason=OutcomeStatus.CANCELLED)


async def test_a_run_that_is_told_to_stop_keeps_its_units(queue: SharedQueue) -> None:
    """It does not ask for them again, beside those that start: found by the simulator (shared, seed 20)."""
    small, large = parked("small", 1, units=1), parked("large", 2, units=8)
    await queue.save(batch(added=[small, large]))
    begun = started(small)
    assert (await queue.commit(Batch(claimed=[begun]))).lost == {}
    saved = await queue.commit(Batch(claimed=[started(large)], changed=[stopping(begun)]))
    assert saved.lost == {"large": Loss.NO_UNITS}
    assert await queue.get("small") == stopping(begun)
    assert await queue.get("large") == large


async def test_a_task_that_ends_and_starts_in_one_commit_asks_for_units(queue: SharedQueue) -> None:
    again, other = parked("again", 1, units=5), parked("other", 2, units=4)
    await queue.save(batch(added=[again, other]))
    first = started(again)
    assert (await queue.commit(Batch(claimed=[first]))).lost == {}
    second = attrs.evolve(first, epoch=first.epoch + 1, attempts=first.attempts + 1)
    saved = await queue.commit(Batch(claimed=[started(other)], changed=[second]))
    assert saved.lost == {"again": Loss.NO_UNITS}
    assert await queue.get("other") == started(other)
