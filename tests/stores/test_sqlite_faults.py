"""A disk that is full or fails, a file that someone else keeps locked: saves fail whole, and work again afterwards."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import anyio
import pytest

from parking_lot_core import TaskMetadata
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import StoredTask
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import BOX, batch, delivery, parked, submission

pytestmark = pytest.mark.anyio

LARGE = bytes(1_000_000)


@asynccontextmanager
async def opened(folder: Path, **options: float) -> AsyncIterator[tuple[SqliteQueue, SqliteMailbox]]:
    queue = SqliteQueue(folder / "pool.sqlite", "pool", **options)
    mailbox = SqliteMailbox(folder / "pool.sqlite", "pool", **options)
    await queue.open()
    await mailbox.open()
    assert queue.adopt(mailbox)
    try:
        yield queue, mailbox
    finally:
        await mailbox.aclose()
        await queue.aclose()


async def ids_of(queue: SqliteQueue) -> list[str]:
    return [task.id for task, _ in (await queue.load()).tasks]


async def pages(queue: SqliteQueue, count: int) -> None:
    """From now on the file may grow to so many pages only, as if the disk ended there."""
    await queue._writer.read(
        lambda connection: connection.connection.cursor().execute(f"PRAGMA max_page_count = {count}")
    )


async def fill(queue: SqliteQueue, size: int) -> int:
    """Save tasks until the disk is full; how many were acknowledged."""
    saved = 0

    async def save_all() -> None:
        nonlocal saved
        for saved in range(1000):
            added = [StoredTask(parked(f"t{saved:03}", saved + 1), bytes(size), BOX)]
            await queue.save(batch(added=added, delivered=[delivery(f"o{saved:03}")], next_sequence=saved + 2))

    with pytest.raises(StoreUnavailable, match="the disk is full; make room"):
        await save_all()
    return saved


async def nothing_lost(queue: SqliteQueue, mailbox: SqliteMailbox, saved: int) -> None:
    """Exactly the acknowledged batches are there."""
    loaded = await queue.load()
    assert [task.id for task, _ in loaded.tasks] == [f"t{number:03}" for number in range(saved)]
    assert loaded.checkpoint is not None
    assert loaded.checkpoint.next_sequence == saved + 1
    assert await mailbox.get(f"o{saved - 1:03}") is not None
    assert await mailbox.get(f"o{saved:03}") is None
    assert len(await queue.payloads([f"t{number:03}" for number in range(saved)])) == saved


async def test_a_full_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as (queue, mailbox):
        await pages(queue, 60)
        saved = await fill(queue, 20_000)
        assert saved > 3
        await nothing_lost(queue, mailbox, saved)
        with pytest.raises(StoreUnavailable, match="full"):
            await queue.save(batch(added=[StoredTask(parked("x", 900), LARGE, BOX)]))
        with pytest.raises(StoreUnavailable, match="full"):
            await queue.post(submission("x", payload=LARGE))
        await nothing_lost(queue, mailbox, saved)

        await pages(queue, 100_000)
        await queue.save(batch(added=[StoredTask(parked("x", 900), LARGE, BOX)], next_sequence=901))
        assert (await ids_of(queue))[-1] == "x"


async def test_what_ends_on_a_full_disk_makes_room(tmp_path: Path) -> None:
    async with opened(tmp_path) as (queue, mailbox):
        await pages(queue, 60)
        saved = await fill(queue, 20_000)
        await queue.save(batch(removed=["t000", "t001"], delivered=[delivery("t000"), delivery("t001")]))
        assert await mailbox.get("t001") is not None
        assert len(await ids_of(queue)) == saved - 2


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of two megabytes, if this user may mount one."""
    disk = folder / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    try:
        done = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        done = False
    if not done:
        pytest.skip("this user may not mount a small disk")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_a_really_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        ballast = disk / "ballast"
        async with opened(disk) as (queue, mailbox):
            ballast.write_bytes(bytes(1_000_000))
            saved = await fill(queue, 10_000)
            assert saved > 3
            await nothing_lost(queue, mailbox, saved)
            ballast.unlink()
            await queue.save(batch(added=[parked("after", 900)], next_sequence=901))
            assert len(await ids_of(queue)) == saved + 1
        async with opened(disk) as (queue, _):
            assert (await ids_of(queue))[-1] == "after"


@contextmanager
def failing_writes() -> Iterator[None]:
    """The system refuses to write any file past four megabytes, with an error that is not "disk full"."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_disk_that_fails(tmp_path: Path) -> None:
    async with opened(tmp_path) as (queue, mailbox):
        await queue.save(batch(added=[parked("before")], delivered=[delivery("early")]))
        with failing_writes(), pytest.raises(StoreUnavailable, match="the disk failed to read or write"):
            await queue.save(batch(added=[StoredTask(parked("big", 2), 8 * LARGE, BOX)], removed=["before"]))
        assert await ids_of(queue) == ["before"]
        await queue.save(batch(added=[StoredTask(parked("big", 2), 8 * LARGE, BOX)], delivered=[delivery("late")]))
        assert await ids_of(queue) == ["before", "big"]
        assert [message.delivery.task_id for message in await mailbox.fetch(BOX)] == ["early", "late"]


async def test_a_file_that_someone_keeps_locked(tmp_path: Path) -> None:
    async with opened(tmp_path, busy_timeout=0.05) as (queue, mailbox):
        await queue.save(batch(added=[parked("before")]))
        with closing(sqlite3.connect(tmp_path / "pool.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="kept it locked for too long; try again"):
                await queue.save(batch(added=[parked("x", 2)], removed=["before"], delivered=[delivery("x")]))
            with pytest.raises(StoreUnavailable, match="locked"):
                await mailbox.deliver([delivery("x")])
            assert await ids_of(queue) == ["before"]  # Reading goes on.
            assert await mailbox.get("x") is None
            other.execute("ROLLBACK")
        await queue.save(batch(added=[parked("x", 2)], removed=["before"], delivered=[delivery("x")]))
        assert await ids_of(queue) == ["x"]
        assert await mailbox.get("x") is not None


async def test_a_writer_waits_while_another_writes(tmp_path: Path) -> None:
    async with opened(tmp_path) as (queue, mailbox):
        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(mailbox.deliver, [delivery(f"o{number}")])
                group.start_soon(queue.save, batch(added=[parked(f"t{number}", number + 1)]))
        assert len(await ids_of(queue)) == 50
        assert len(await mailbox.fetch(BOX)) == 50


@pytest.mark.parametrize("fault", ["half a pair: \ud83d", "attempts"])
async def test_a_value_that_cannot_be_kept(tmp_path: Path, fault: str) -> None:
    cost = parked("x").metadata.cost
    attempts = 2**63 if fault == "attempts" else 0
    bad = parked("good", 2)
    bad.metadata = TaskMetadata(fault, cost, max_attempts=attempts)  # type: ignore[misc]
    async with opened(tmp_path) as (queue, _):
        await queue.save(batch(added=[parked("before")]))
        with pytest.raises(StoreUnavailable, match="a value cannot be kept"):
            await queue.save(batch(added=[parked("also", 3), bad], removed=["before"]))
        assert await ids_of(queue) == ["before"]
        await queue.save(batch(added=[parked("also", 3)]))
        assert await ids_of(queue) == ["before", "also"]
