"""Hosts that race for every task."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.hosts import proof
from tests.hosts.cluster import UNITS, Cluster
from tests.hosts.conftest import MakeCluster
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("units", [UNITS, 64], ids=["few units", "room for all"])
async def test_each_of_many_tasks_is_started_by_exactly_one_of_four_hosts(
    make_cluster: MakeCluster, units: int
) -> None:
    cluster = make_cluster(policy={"max_units": units})
    async with cluster.gateway() as pool:
        ids = await submit(pool, 1000, work=0.0)
    hosts = cluster.start(4)
    await cluster.wait_for_end(ids)
    counts = cluster.leave()
    moves = proof.check(cluster, ids, units=units)
    assert Counter(move.move for move in moves) == {"Enqueue": 1000, "Start": 1000, "Deliver": 1000}
    assert sum(count["outcomes"].get("succeeded", 0) for count in counts) == 1000
    assert sum(count["stale_finishes"] for count in counts) == 0
    if units == UNITS:
        assert len({line["pid"] for line in cluster.starts()}) > 1, f"one of {len(hosts)} hosts did everything"


async def test_tasks_submitted_while_all_hosts_race_for_them(cluster: Cluster) -> None:
    cluster.start(4)
    async with cluster.gateway() as pool, cluster.client() as client:
        ids = await submit(pool, 250, work=0.001, units=2)
        ids += await submit(client, 250, work=0.001)
        await cluster.wait_for_end(ids)
    cluster.leave()
    moves = proof.check(cluster, ids, units=UNITS)
    assert Counter(move.move for move in moves) == {"Enqueue": 500, "Start": 500, "Deliver": 500}
