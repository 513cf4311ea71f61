"""What is asked of hosts, by clients and by other hosts; and what the clock does to tasks that wait."""

from __future__ import annotations

import time

import pytest

from parking_lot_drivers import OutcomeStatus
from tests.hosts import proof
from tests.hosts.cluster import UNITS, Cluster
from tests.hosts.conftest import MakeCluster
from tests.hosts.tools import submit

pytestmark = pytest.mark.anyio

_FOREVER = 300.0


@pytest.mark.parametrize("by", ["client", "host"])
async def test_a_task_that_runs_elsewhere_is_cancelled(cluster: Cluster, by: str) -> None:
    hosts = cluster.start(2)
    async with cluster.gateway() as pool, cluster.client() as client:
        ids = await submit(pool, 2 * UNITS, work=_FOREVER)
        await cluster.until(lambda: len(cluster.starts()) == len(ids), lambda: "not all tasks run")
        for task_id in ids:
            await (pool if by == "host" else client).cancel(task_id)
        await cluster.wait_for_end(ids)
        assert {(await pool.outcome(task_id)).status for task_id in ids} == {OutcomeStatus.CANCELLED}
        await cluster.until(lambda: not _requests(cluster), lambda: "requests are left")
    assert not any(cluster.running(host.pid) for host in hosts)
    cluster.leave()
    proof.check(cluster, ids, units=UNITS)


@pytest.mark.parametrize("by", ["client", "host"])
async def test_a_task_that_waits_is_cancelled(cluster: Cluster, by: str) -> None:
    cluster.start(2)
    async with cluster.gateway() as pool, cluster.client() as client:
        running = await submit(pool, 2 * UNITS, work=2.0)
        await cluster.until(lambda: len(cluster.starts()) == len(running), lambda: "not all tasks run")
        # More than a window shows, so that most of them are known to no host.
        waiting = await submit(pool, 600, work=0.0)
        for task_id in (waiting[0], waiting[-1]):
            await (pool if by == "host" else client).cancel(task_id)
            assert (await pool.outcome(task_id)).status is OutcomeStatus.CANCELLED
        await cluster.wait_for_end([*running, *waiting])
        await cluster.until(lambda: not _requests(cluster), lambda: "requests are left")
    cluster.leave()
    proof.check(cluster, [*running, *waiting], units=UNITS)
    assert not {waiting[0], waiting[-1]} & {line["task"] for line in cluster.starts()}


async def test_a_task_of_a_dead_host_is_cancelled(cluster: Cluster) -> None:
    (victim,) = cluster.start(1)
    async with cluster.gateway() as pool, cluster.client() as client:
        (task_id,) = await submit(pool, 1, work=_FOREVER)
        await cluster.until(lambda: cluster.running(victim.pid), lambda: "nothing runs")
        victim.kill()
        await client.cancel(task_id)
        result = await pool.outcome(task_id)
        await cluster.until(lambda: not _requests(cluster), lambda: "requests are left")
    assert result.status is OutcomeStatus.CANCELLED
    proof.check(cluster, [task_id], units=UNITS)


async def test_tasks_expire_that_no_host_has_in_its_window(cluster: Cluster) -> None:
    cluster.start(2)
    async with cluster.gateway() as pool:
        running = await submit(pool, 2 * UNITS, work=3.0)
        await cluster.until(lambda: len(cluster.starts()) == len(running), lambda: "not all tasks run")
        waiting = await submit(pool, 600, work=0.0)
        late = await submit(pool, 5, work=0.0, timeout=0.5, priority="low")
        await cluster.wait_for_end(late)
        assert {(await pool.outcome(task_id)).status for task_id in late} == {OutcomeStatus.EXPIRED}
        await cluster.wait_for_end([*running, *waiting])
    cluster.leave()
    moves = proof.check(cluster, [*running, *waiting, *late], units=UNITS)
    assert {move.task_id for move in moves if move.move == "Expire"} == {*late}


async def test_delayed_tasks_start_when_they_are_due_and_not_before(cluster: Cluster) -> None:
    cluster.start(2)
    async with cluster.gateway() as pool:
        asked = time.time()
        ids = await submit(pool, 20, work=0.0, delay=1.0)
        results = [await pool.outcome(task_id) for task_id in ids]
    cluster.leave()
    proof.check(cluster, ids, units=UNITS)
    assert all(result.started_at is not None and result.started_at >= asked + 1.0 for result in results)


async def test_priorities_hold_over_all_hosts(cluster: Cluster) -> None:
    async with cluster.gateway() as pool:
        low = await submit(pool, 300, work=0.01, priority="low")
        high = await submit(pool, 100, work=0.01, priority="high")
    cluster.start(2)
    await cluster.wait_for_end([*low, *high])
    cluster.leave()
    moves = proof.check(cluster, [*low, *high], units=UNITS)
    order = [move.task_id for move in moves if move.move == "Start"]
    # Each host may have filled what it has with lower ones as the last of the higher ones were taken by the other; on a
    # busy machine once more, before it has looked again.
    overtaking = set(order[: len(high)]) - set(high)
    assert len(overtaking) <= 4 * UNITS, f"{len(overtaking)} of low priority went first"


async def test_a_task_that_fails_is_tried_again_after_its_backoff(make_cluster: MakeCluster) -> None:
    backoff = 0.5
    cluster = make_cluster(policy={"max_units": 1, "max_attempts": 3, "retry_backoff": backoff})
    cluster.start(3)
    async with cluster.gateway() as pool:
        ids = await submit(pool, 12, work=0.1, do="fail once")
        await cluster.wait_for_end(ids)
    cluster.leave()
    moves = proof.check(cluster, ids, units=1)
    lives = {task_id: [move.move for move in moves if move.task_id == task_id] for task_id in ids}
    assert set(map(tuple, lives.values())) == {("Enqueue", "Start", "Enqueue", "Start", "Deliver")}
    ends = {line["task"]: line["at"] for line in cluster.log() if line["what"] == "end" and line["epoch"] == 1}
    pauses = [line["at"] - ends[line["task"]] for line in cluster.starts() if line["epoch"] == 2]
    assert min(pauses) >= backoff * 1e9
    hosts = {(line["task"], line["epoch"]): line["pid"] for line in cluster.starts()}
    assert any(hosts[task_id, 1] != hosts[task_id, 2] for task_id in ids), "no task was tried again on another host"


def _requests(cluster: Cluster) -> list[tuple[object, ...]]:
    return cluster.rows("SELECT * FROM parking_lot_requests")
