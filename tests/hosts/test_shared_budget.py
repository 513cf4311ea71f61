"""Four processes that share one budget through the database, while they are hurt."""

from __future__ import annotations

import anyio
import pytest

from tests.hosts import proof
from tests.hosts.cluster import Cluster, HostProcess
from tests.hosts.conftest import MakeCluster
from tests.hosts.tools import submit
from tests.postgres.server import OwnServer

pytestmark = pytest.mark.anyio

_SHARED = 8


@pytest.fixture
def sharing(make_cluster: MakeCluster) -> Cluster:
    """Hosts that share eight units."""
    policy = {"max_units": _SHARED, "max_attempts": 20, "retry_backoff": 0.05, "retry_backoff_max": 0.1}
    return make_cluster(budget={"name": "gpu-box-7", "devices": {"0": _SHARED}}, policy=policy)


async def _busy(cluster: Cluster) -> HostProcess:
    """A host that runs something now; who gets units is a matter of chance."""
    found: list[HostProcess] = []

    def look() -> list[HostProcess]:
        found[:] = [host for host in cluster.hosts if host.alive and cluster.running(host.pid)]
        return found

    await cluster.until(look, lambda: "nothing runs")
    return found[0]


async def _mixed(cluster: Cluster, count: int, work: float) -> list[str]:
    """Tasks of different sizes."""
    ids: list[str] = []
    async with cluster.gateway() as pool:
        for units in (1, 3, 5):
            ids += await submit(pool, count // 3, work=work, units=units)
    return ids


async def test_processes_share_units_and_use_them_all(sharing: Cluster) -> None:
    sharing.start(4)
    ids = await _mixed(sharing, 150, 0.02)
    await sharing.wait_for_end(ids)
    sharing.leave()
    moves = proof.check(sharing, ids, units=_SHARED, shared=_SHARED)
    assert proof.most_in_use(moves) == _SHARED
    assert len({line["pid"] for line in sharing.starts()}) > 1


async def test_units_of_a_killed_process_come_back(sharing: Cluster) -> None:
    sharing.start(4)
    async with sharing.gateway() as pool:
        ids = await submit(pool, 40, work=0.1, units=3)
        for _ in range(2):
            (await _busy(sharing)).kill()
        # It needs all of the units, so those that the dead held must have come free.
        ids += await submit(pool, 1, work=0.0, units=_SHARED, priority="critical")
        await sharing.wait_for_end(ids)
    sharing.leave()
    moves = proof.check(sharing, ids, units=_SHARED, shared=_SHARED)
    assert any(move.move == "Lapse" for move in moves)


async def test_a_process_that_stands_still_loses_its_units_to_others(sharing: Cluster) -> None:
    sharing.start(4)
    async with sharing.gateway() as pool:
        ids = await submit(pool, 60, work=0.1, units=2)
        stopped = await _busy(sharing)
        stopped.pause()
        # Not before the last of the others are done does it go on: with what it held, no such task could start.
        ids += await submit(pool, 1, work=0.0, units=_SHARED)
        await sharing.wait_for_end(ids)
        before = dict(sharing.rows("SELECT task_id, epoch FROM parking_lot_results"))
        stopped.go_on()
        more = await submit(pool, 20, work=0.05, units=2)
        await sharing.wait_for_end(more)
    stopped.leave()
    sharing.leave()
    moves = proof.check(sharing, [*ids, *more], units=_SHARED, shared=_SHARED)
    assert {move.host for move in moves if move.move == "Lapse"}
    assert before.items() <= dict(sharing.rows("SELECT task_id, epoch FROM parking_lot_results")).items()


async def test_the_budget_holds_while_the_server_crashes_and_connections_are_cut(
    sharing: Cluster, own_server: OwnServer
) -> None:
    sharing.start(4)
    ids = await _mixed(sharing, 120, 0.05)
    for _ in range(2):
        await _busy(sharing)
        await anyio.to_thread.run_sync(own_server.kill)
        await anyio.to_thread.run_sync(own_server.launch)
        await anyio.sleep(0.3)
        sharing.cut_connections()
        await anyio.sleep(0.2)
    await sharing.wait_for_end(ids)
    sharing.leave()
    moves = proof.check(sharing, ids, units=_SHARED, shared=_SHARED)
    assert "Lapse" not in {move.move for move in moves}
