"""The server restarts, stays away, or cuts connections, while hosts are at work."""

from __future__ import annotations

import anyio
import pytest

from parking_lot_drivers.errors import StoreUnavailable
from tests.hosts import proof
from tests.hosts.cluster import LEASE, UNITS, Cluster
from tests.hosts.tools import submit, submit_somehow
from tests.postgres.server import OwnServer

pytestmark = pytest.mark.anyio


def _at_work(cluster: Cluster) -> bool:
    """Whether some host runs something; on a busy machine the others may be late."""
    return any(cluster.running(host.pid) for host in cluster.hosts)


async def test_the_server_crashes_and_comes_back_in_mid_run(cluster: Cluster, own_server: OwnServer) -> None:
    hosts = cluster.start(3)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 120, work=0.3)
        async with anyio.create_task_group() as group:
            more: list[str] = []
            group.start_soon(submit_somehow, pool, 60, more)  # while it crashes
            for _ in range(2):
                await cluster.until(lambda: _at_work(cluster), lambda: "nothing runs")
                await anyio.to_thread.run_sync(own_server.kill)
                await anyio.to_thread.run_sync(own_server.launch)
                await anyio.sleep(0.3)
        await cluster.wait_for_end([*ids, *more])
        await cluster.until(lambda: pool.stats().degraded is None, lambda: "the pool stays degraded")
    cluster.leave()
    moves = proof.check(cluster, [*ids, *more], units=UNITS)
    assert {move.move for move in moves} == {"Enqueue", "Start", "Deliver"}, "a host has lost its tasks"
    degraded = {line["pid"] for line in cluster.log() if line["what"] == "degraded"}
    assert degraded == {host.pid for host in hosts}
    last = {line["pid"]: line["what"] for line in cluster.log() if line["what"] in ("degraded", "well")}
    assert set(last.values()) == {"well"}


async def test_an_outage_longer_than_the_lease_takes_no_tasks_from_living_hosts(
    cluster: Cluster, own_server: OwnServer
) -> None:
    hosts = cluster.start(3)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 3 * UNITS, work=3 * LEASE)
        await cluster.until(lambda: len(cluster.starts()) == len(ids), lambda: "not all tasks run")
        await anyio.to_thread.run_sync(own_server.kill)
        try:
            await anyio.sleep(1.5 * LEASE)
            with pytest.raises(StoreUnavailable):
                await pool.submit({"work": 0.0})
            assert pool.stats().degraded
        finally:
            await anyio.to_thread.run_sync(own_server.launch)
        await cluster.wait_for_end(ids)
    counts = cluster.leave()
    moves = proof.check(cluster, ids, units=UNITS)
    assert {move.epoch for move in moves if move.move == "Start"} == {1}
    assert "Lapse" not in {move.move for move in moves}
    assert [count["stale_finishes"] for count in counts] == [0] * len(hosts)


async def test_a_host_that_dies_while_the_server_is_down_loses_its_tasks_to_others(
    cluster: Cluster, own_server: OwnServer
) -> None:
    victim, other = cluster.start(2)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 2 * UNITS, work=1.0)
        await cluster.until(lambda: len(cluster.starts()) == len(ids), lambda: "not all tasks run")
        await anyio.to_thread.run_sync(own_server.kill)
        victim.kill()
        await anyio.to_thread.run_sync(own_server.launch)
        await cluster.wait_for_end(ids)
    cluster.leave()
    moves = proof.check(cluster, ids, units=UNITS)
    assert sum(move.move == "Lapse" for move in moves) == UNITS
    assert {line["pid"] for line in cluster.starts() if line["epoch"] == 2} == {other.pid}


async def test_connections_are_cut_again_and_again(cluster: Cluster) -> None:
    cluster.start(3)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 200, work=0.05)
        more: list[str] = []
        cut = 0
        async with anyio.create_task_group() as group:
            group.start_soon(submit_somehow, pool, 60, more)
            for _ in range(8):
                await anyio.sleep(0.2)
                cut += cluster.cut_connections()
        await cluster.wait_for_end([*ids, *more])
    cluster.leave()
    proof.check(cluster, [*ids, *more], units=UNITS)
    assert cut >= 8 * 4
    assert {row[0] for row in cluster.rows("SELECT status FROM parking_lot_results")} == {"succeeded"}
