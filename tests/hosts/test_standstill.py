"""A host that stands still in the midst of a commit must not keep the others waiting for what it has locked."""

from __future__ import annotations

import threading

import anyio
import pytest
from sqlalchemy import Connection

from parking_lot_drivers.errors import StoreUnavailable
from tests.hosts.cluster import PATIENCE, Cluster
from tests.hosts.stores import policy_of

pytestmark = pytest.mark.anyio


async def test_locks_of_a_host_that_stands_still_come_free(cluster: Cluster) -> None:
    policy = policy_of({"name": "gpu-box-7", "devices": {"0": 8}})
    still, other = (cluster.store.queue(cluster.url, policy=policy, lease=1.0, poll=0.1) for _ in range(2))
    await still.open()
    await other.open()
    locked, go_on = threading.Event(), threading.Event()

    def stand_still(connection: Connection) -> None:
        """Lock what a start locks, and then do nothing, as after SIGSTOP."""
        cursor = connection.connection.cursor()
        cursor.execute(f"SELECT FROM parking_lot_hosts WHERE id = '{still.host}' FOR KEY SHARE")
        cursor.execute("SELECT FROM parking_lot_budgets WHERE name = 'gpu-box-7' FOR UPDATE")
        locked.set()
        assert go_on.wait(PATIENCE)
        cursor.execute("SELECT 1")

    def take_locks(connection: Connection) -> None:
        cursor = connection.connection.cursor()
        cursor.execute("SELECT FROM parking_lot_budgets WHERE name = 'gpu-box-7' FOR UPDATE")
        cursor.execute(f"DELETE FROM parking_lot_hosts WHERE id = '{still.host}'")

    async def write() -> None:
        with pytest.raises(StoreUnavailable):
            await still._writer.write(stand_still)  # type: ignore[attr-defined]

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            await anyio.to_thread.run_sync(locked.wait)
            try:
                with anyio.fail_after(PATIENCE / 2):
                    await other._writer.write(take_locks)  # type: ignore[attr-defined]
            finally:
                go_on.set()
    finally:
        await still.aclose()
        await other.aclose()
