"""Hosts that are killed in mid-run."""

from __future__ import annotations

import pytest

from tests.hosts import proof
from tests.hosts.cluster import UNITS, Cluster
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio


async def test_tasks_of_a_killed_host_run_elsewhere_under_a_larger_epoch(cluster: Cluster) -> None:
    cluster.start(3)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 150, work=0.1)
        for victim in cluster.hosts[:2]:
            await cluster.until(lambda: cluster.running(victim.pid), lambda: "nothing runs on the victim")  # noqa: B023
            victim.kill()
            left = cluster.running(victim.pid)
            assert left
        await cluster.wait_for_end(ids)
    cluster.leave()
    moves = proof.check(cluster, ids, units=UNITS)
    lapsed = {(move.task_id, move.epoch) for move in moves if move.move == "Lapse"}
    assert left <= lapsed
    again = {(line["task"], line["epoch"]) for line in cluster.starts() if line["pid"] != victim.pid}
    assert {(task_id, epoch + 1) for task_id, epoch in left} <= again
    assert {row[0] for row in cluster.rows("SELECT status FROM parking_lot_results")} == {"succeeded"}


async def test_a_task_that_kills_its_host_every_time_is_given_up_and_all_else_is_done(cluster: Cluster) -> None:
    cluster.start(3)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 40, work=0.05)
        (poison,) = await submit(pool, 1, work=0.0, do="kill", max_attempts=2, priority="high")
        await cluster.wait_for_end([*ids, poison])
        assert (await pool.outcome(poison)).status.value == "lost"
    assert sum(not host.alive for host in cluster.hosts) == 2, "it kills a host for each of its attempts"
    cluster.leave()
    moves = proof.check(cluster, [*ids, poison], units=UNITS)
    life = [(move.move, move.epoch) for move in moves if move.task_id == poison]
    lost_once = [("Enqueue", 0), ("Start", 1), ("Lapse", 1), ("Enqueue", 1)]
    assert life == [*lost_once, ("Start", 2), ("Lapse", 2), ("Deliver", 2)]
