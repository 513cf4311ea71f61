"""Hosts that stand still for longer than their lease, and then go on as if nothing had happened."""

from __future__ import annotations

import pytest

from tests.hosts import proof
from tests.hosts.cluster import UNITS, Cluster
from tests.hosts.conftest import MakeCluster
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("threads", [False, True], ids=["coroutines", "threads"])
async def test_what_a_host_says_after_its_lease_has_lapsed_is_fenced(make_cluster: MakeCluster, threads: bool) -> None:
    cluster = make_cluster(threads=threads)
    (stopped,) = cluster.start(1)
    async with cluster.gateway() as pool:
        ids = await submit(pool, UNITS, work=1.0)
        await cluster.until(lambda: len(cluster.running(stopped.pid)) == UNITS, lambda: "not all tasks run")
        stopped.pause()
        held = {line["task"] for line in cluster.starts(stopped.pid)}
        cluster.start(1)
        await cluster.wait_for_end(ids)  # on the other host
        before = dict(cluster.rows("SELECT task_id, epoch FROM parking_lot_results"))
        stopped.go_on()
        # It goes on working, under a new id.
        more = await submit(pool, 40, work=0.1)
        await cluster.until(lambda: {line["task"] for line in cluster.starts(stopped.pid)} & {*more}, lambda: "idle")
        await cluster.wait_for_end(more)
    counts = stopped.leave()
    cluster.leave()
    moves = proof.check(cluster, [*ids, *more], units=UNITS)
    after = dict(cluster.rows("SELECT task_id, epoch FROM parking_lot_results"))
    assert before.items() <= after.items()
    assert {after[task_id] for task_id in held} == {2}
    assert counts["stale_finishes"] == UNITS
    lapsed = {move.host for move in moves if move.move == "Lapse"}
    hosts = {move.host for move in moves if move.move == "Start" and move.task_id in more}
    assert len(lapsed) == 1
    assert not lapsed & hosts


async def test_a_run_that_others_have_is_stopped_and_holds_its_units_until_it_has_ended(cluster: Cluster) -> None:
    (stopped,) = cluster.start(1, policy={"max_units": UNITS, "max_attempts": 5})
    async with cluster.gateway() as pool:
        (long,) = await submit(pool, 1, work=5.0, units=UNITS)
        await cluster.until(lambda: cluster.running(stopped.pid), lambda: "nothing runs")
        stopped.pause()
        cluster.start(1)
        await cluster.until(lambda: len(cluster.starts()) == 2, lambda: "nobody took it over")
        stopped.go_on()
        await cluster.until(lambda: not cluster.running(stopped.pid), lambda: "the stray was not stopped")
        short = await submit(pool, 1, work=0.0, units=UNITS)
        await cluster.wait_for_end(short)
        assert cluster.starts()[-1]["pid"] == stopped.pid, "the other host is full"
        await cluster.wait_for_end([long])
    counts = stopped.leave()
    cluster.leave()
    proof.check(cluster, [long, *short], units=UNITS)
    (stray,) = [line for line in cluster.log() if line.get("cancelled")]
    assert (stray["pid"], stray["epoch"]) == (stopped.pid, 1)
    assert counts["stale_finishes"] == 1
