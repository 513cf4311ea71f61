"""The queue that processes share in one SQLite file: claims, fencing, the shared budget, numbers, news, pruning."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from parking_lot_core import ScheduledTask, TaskState
from parking_lot_drivers.errors import NotALot, StoreTooNew, StoreUnavailable
from parking_lot_drivers.ports import Batch, StoredTask
from parking_lot_drivers.shared_ports import Loss, News, Saved
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sql.shared_sql import Policy
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import BOX, batch, cancellation, delivery, parked, running
from tests.stores import sharer

pytestmark = pytest.mark.anyio


def queue_on(folder: Path, name: str = "pool", **options: Any) -> SharedSqliteQueue:
    return SharedSqliteQueue(sharer.file_of(folder), name, **{"lease": 30.0, "poll": 30.0} | options)


@asynccontextmanager
async def two_hosts(folder: Path, **options: Any) -> AsyncIterator[tuple[SharedSqliteQueue, SharedSqliteQueue]]:
    one, other = queue_on(folder, **options), queue_on(folder, **options)
    await one.open()
    await other.open()
    try:
        yield one, other
    finally:
        await one.aclose()
        await other.aclose()


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(sharer.file_of(folder))) as connection:
        return connection.execute(statement).fetchall()


def started(task: ScheduledTask) -> ScheduledTask:
    return attrs.evolve(running(task), device="0")


def end_lease(folder: Path, host: str) -> None:
    """What any host does with a lease that has lapsed."""
    with closing(sqlite3.connect(sharer.file_of(folder))) as connection, connection:
        assert connection.execute("DELETE FROM parking_lot_hosts WHERE id = ?", (host,)).rowcount == 1


async def test_a_task_is_started_once(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (one, other):
        await one.save(batch(added=[StoredTask(parked("a"), b"what to do", BOX)]))
        begun = started(parked("a"))
        won = await one.commit(Batch(claimed=[begun]), fetch=["a"])
        assert (won.lost, won.payloads) == ({}, {"a": b"what to do"})
        assert await other.commit(Batch(claimed=[begun]), fetch=["a"]) == Saved(lost={"a": Loss.TAKEN})
        assert await other.commit(Batch(removed=["a"])) == Saved(lost={"a": Loss.TAKEN})
        assert await one.get("a") == begun
        assert await other.commit(Batch(added=[StoredTask(parked("a", 9), b"", BOX)])) == Saved(
            lost={"a": Loss.DUPLICATE}
        )


async def test_what_a_host_without_a_lease_says_changes_nothing(tmp_path: Path) -> None:
    mailbox = SharedSqliteMailbox(sharer.file_of(tmp_path), "pool")
    async with two_hosts(tmp_path) as (stale, other):
        await mailbox.open()
        assert stale.adopt(mailbox)
        await stale.save(batch(added=[parked("a")]))
        await stale.commit(Batch(claimed=[started(parked("a"))]))
        end_lease(tmp_path, stale.host)
        [(orphan, _)] = await other.adopt_orphans()
        again = started(attrs.evolve(started(parked("a")), state=TaskState.PARKED, device=None, started_at=None))
        assert orphan == started(parked("a"))
        await other.commit(Batch(changed=[again]))
        late = Batch(removed=["a"], delivered=[delivery("a")])
        with pytest.raises(StoreUnavailable, match="lease of this host"):
            await stale.commit(late)
        assert (await stale.mine()).tasks == []  # it takes a lease anew
        assert await stale.commit(late) == Saved(lost={"a": Loss.TAKEN})
        assert await other.get("a") == again
        assert await mailbox.get("a") is None
    await mailbox.aclose()


async def test_what_came_and_went_in_one_turn_says_nothing_of_a_task_that_another_host_has(tmp_path: Path) -> None:
    """Two submissions of one key, of which one has expired at once (simulator, trio, seed 43)."""
    mailbox = SharedSqliteMailbox(sharer.file_of(tmp_path), "pool")
    await mailbox.open()
    async with two_hosts(tmp_path) as (one, other):
        assert one.adopt(mailbox)
        assert (await other.commit(batch(added=[parked("key")]))).lost == {}
        assert await one.commit(Batch(delivered=[delivery("key")])) == Saved(lost={"key": Loss.DUPLICATE})
        assert await mailbox.get("key") is None
        assert await other.get("key") == parked("key")
    await mailbox.aclose()


async def test_units_of_the_budget_are_granted_once(tmp_path: Path) -> None:
    async with two_hosts(tmp_path, policy=sharer.POLICY) as (one, other):
        tasks = [parked("five", 1, units=5), parked("four", 2, units=4), parked("three", 3, units=3)]
        await one.save(batch(added=tasks))
        five, four, three = map(started, tasks)
        assert (await one.commit(Batch(claimed=[five]))).lost == {}
        assert (await other.commit(Batch(claimed=[four, three]))).lost == {"four": Loss.NO_UNITS}
        window = await one.window(10)
        assert window.held_elsewhere == {"0": 3}
        assert await other.get("four") == tasks[1]
        assert (await one.commit(Batch(removed=["five"]))).lost == {}
        assert (await other.commit(Batch(claimed=[four]))).lost == {}
        new = StoredTask(started(parked("new", 4, units=2)), b"", BOX)
        assert (await one.commit(Batch(added=[new]))).lost == {"new": Loss.NO_UNITS}
        assert await one.get("new") == parked("new", 4, units=2)


async def test_units_come_back_also_from_pools_that_nobody_opens_again(tmp_path: Path) -> None:
    dead, alive = queue_on(tmp_path, "dead", policy=sharer.POLICY), queue_on(tmp_path, "alive", policy=sharer.POLICY)
    await dead.open()
    await alive.open()
    await dead.save(batch(added=[parked("a", 1, units=8)]))
    await alive.save(batch(added=[parked("b", 2, units=8)]))
    await dead.commit(Batch(claimed=[started(parked("a", 1, units=8))]))
    begin = Batch(claimed=[started(parked("b", 2, units=8))])
    assert (await alive.commit(begin)).lost == {"b": Loss.NO_UNITS}
    end_lease(tmp_path, dead.host)
    assert await alive.adopt_orphans() == []  # the task is not this pool's
    assert (await alive.commit(begin)).lost == {}
    await alive.commit(Batch(removed=["b"]))
    assert len((await dead.mine()).tasks) == 0
    assert [task.id for task, _ in await dead.adopt_orphans()] == ["a"]
    await dead.commit(Batch(removed=["a"]))
    moves = rows(tmp_path, "SELECT task_id, move FROM parking_lot_audit WHERE move <> 'Enqueue' ORDER BY number")
    assert moves[:4] == [("a", "Start"), ("a", "Lapse"), ("b", "Start"), ("b", "Deliver")]
    await dead.aclose()
    await alive.aclose()


async def test_numbers_are_drawn_once(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (one, other):
        drawn = []
        for queue in (one, other, one, one, other):
            first = (await queue.reserve(7)).next_sequence
            drawn += range(first, first + 7)
    again = queue_on(tmp_path)
    await again.open()
    drawn.append((await again.reserve(1)).next_sequence)
    await again.aclose()
    assert sorted(set(drawn)) == drawn


async def test_others_hear_of_what_is_new(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as (one, other):
        client = queue_on(tmp_path)
        await client.open(schedule=False)
        for queue in (one, other):
            await queue.wait_for_news()  # of the opening
        for what, kind in (
            (Batch(added=[StoredTask(parked("a"), b"", BOX)]), News.WORK),
            (Batch(removed=["a"], delivered=[delivery("a")]), News.OUTCOMES),
        ):
            await one.commit(what)
            with anyio.fail_after(20):
                assert await other.wait_for_news() == kind
        await client.post(cancellation("a"))
        with anyio.fail_after(20):
            # The last one is the first thing that this one hears: nothing of what it did itself.
            assert await one.wait_for_news() == News.REQUESTS
        await client.aclose()


async def test_ended_tasks_are_archived_and_pruned(tmp_path: Path) -> None:
    queue = queue_on(tmp_path, policy=Policy(archive=True))
    await queue.open()
    await queue.save(batch(added=[StoredTask(parked("a"), b"payload", BOX), parked("b", 2)]))
    await queue.commit(Batch(removed=["a"], delivered=[delivery("a")]))
    archived = rows(tmp_path, "SELECT task_id, payload FROM parking_lot_tasks_archive")
    assert archived == [("a", b"payload")]
    assert await queue.prune(older_than=3600) == {"archived tasks": 0, "audit records": 0}
    pruned = await queue.prune(older_than=-3600)
    assert pruned == {"archived tasks": 1, "audit records": 2}
    # The last number must not come back.
    assert rows(tmp_path, "SELECT task_id, move FROM parking_lot_audit") == [("a", "Deliver")]
    await queue.aclose()


async def test_files_of_the_two_kinds_are_not_mixed_up(tmp_path: Path) -> None:
    plain, shared = tmp_path / "plain", tmp_path / "shared"
    for queue in (SqliteQueue(plain, "pool"), SharedSqliteQueue(shared, "pool")):
        await queue.open()
        await queue.aclose()
    for stranger in (
        SharedSqliteQueue(plain, "pool"),
        SharedSqliteMailbox(plain, "pool"),
        SqliteQueue(shared, "pool"),
        SqliteMailbox(shared, "pool"),
    ):
        with pytest.raises(NotALot, match="application_id"):
            await stranger.open()
    with closing(sqlite3.connect(shared)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="file version 99"):
        await SharedSqliteQueue(shared, "pool").open()
