"""The lease of a pool in this process is taken away while callers submit to it and wait."""

from __future__ import annotations

import anyio
import pytest

from parking_lot_drivers import ResourcePool, TaskHandle
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch
from tests.hosts import proof
from tests.hosts.cluster import PATIENCE, UNITS, Cluster
from tests.hosts.stores import policy_of
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio


async def test_every_caller_is_answered_when_leases_lapse_again_and_again(cluster: Cluster) -> None:
    cluster.start(1)
    ids: list[str] = []

    async def call(pool: ResourcePool, number: int) -> None:
        """Submit tasks and wait for each."""
        for each in range(8):
            handle = await _persistently(pool, f"{number}-{each}")
            ids.append(handle.task_id)
            assert (await handle.outcome()).succeeded

    async with cluster.gateway() as pool:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                for number in range(20):
                    group.start_soon(call, pool, number)
                for _ in range(10):
                    await anyio.sleep(0.15)
                    cluster.rows("DELETE FROM parking_lot_hosts")
    cluster.leave()
    proof.check(cluster, ids, units=UNITS)


async def _persistently(pool: ResourcePool, key: str) -> TaskHandle:
    while True:
        try:
            return await pool.submit({"work": 0.02}, idempotency_key=key)
        except StoreUnavailable:
            await anyio.sleep(0.02)


async def test_a_commit_without_a_lease_says_so(cluster: Cluster) -> None:
    queue = cluster.store.queue(cluster.url, policy=policy_of(None), lease=30.0, poll=0.1)
    await queue.open()
    try:
        cluster.rows("DELETE FROM parking_lot_hosts")
        with pytest.raises(StoreUnavailable, match="the lease of this host has lapsed"):
            await queue.commit(Batch(removed=["x"]))
    finally:
        await queue.aclose()


async def test_who_waits_for_a_task_that_runs_elsewhere_hears_of_it_after_a_lapse(cluster: Cluster) -> None:
    async with cluster.gateway() as pool:
        ids = await submit(pool, 20, work=0.1)
        async with anyio.create_task_group() as group:
            for task_id in ids:
                group.start_soon(pool.outcome, task_id)
            await anyio.sleep(0.1)
            cluster.rows("DELETE FROM parking_lot_hosts")
            cluster.start(2)
    cluster.leave()
    proof.check(cluster, ids, units=UNITS)
