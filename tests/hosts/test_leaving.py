"""A host stops in order while others go on."""

from __future__ import annotations

import time

import pytest

from tests.hosts import proof
from tests.hosts.cluster import UNITS
from tests.hosts.conftest import MakeCluster
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio

#: Far longer than the test: whoever has to wait for a lease fails it.
_LONG_LEASE = 300.0


@pytest.mark.parametrize("threads", [False, True], ids=["coroutines", "threads"])
async def test_a_host_that_leaves_lets_its_tasks_finish_in_time(make_cluster: MakeCluster, threads: bool) -> None:
    cluster = make_cluster(lease=_LONG_LEASE, threads=threads)
    leaving, _ = cluster.start(2)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 60, work=0.2)
        await cluster.until(lambda: cluster.running(leaving.pid), lambda: "nothing runs")
        counts = leaving.leave()
        begun = {line["task"] for line in cluster.starts(leaving.pid)}
        await cluster.wait_for_end(ids)
    cluster.leave()
    moves = proof.check(cluster, ids, units=UNITS)
    assert counts["outcomes"] == {"succeeded": len(begun)}
    assert {move.epoch for move in moves if move.move == "Start"} == {1}
    assert "Lapse" not in {move.move for move in moves}


async def test_what_does_not_finish_in_time_is_handed_back_at_once(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(lease=_LONG_LEASE, grace=0.5)
    (leaving,) = cluster.start(1)
    async with cluster.gateway() as pool:
        ids = await submit(pool, UNITS, work=4.0)
        await cluster.until(lambda: len(cluster.running(leaving.pid)) == UNITS, lambda: "not all tasks run")
        (other,) = cluster.start(1)
        asked = time.monotonic()
        leaving.leave()
        assert time.monotonic() - asked < _LONG_LEASE / 10
        await cluster.wait_for_end(ids)
    cluster.leave()
    moves = proof.check(cluster, ids, units=UNITS)
    assert "Lapse" not in {move.move for move in moves}
    assert {(line["pid"], line["epoch"]) for line in cluster.starts()} == {(leaving.pid, 1), (other.pid, 2)}
    attempts = cluster.rows("SELECT status FROM parking_lot_results")
    assert attempts == [("succeeded",)] * UNITS
