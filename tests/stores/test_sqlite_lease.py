"""One process at a time schedules a lot; a dead one stands in nobody's way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from parking_lot_drivers.errors import StoreInUse
from parking_lot_drivers.stores import sqlite as sqlite_store
from parking_lot_drivers.stores._lease import FileLease
from parking_lot_drivers.stores.sqlite import SqliteQueue
from parking_lot_drivers.testing.samples import batch, cancellation, parked

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def holder(file: Path, also: str = "") -> Iterator[subprocess.Popen[str]]:
    """A live process that schedules ``file``; killed at the end, with its child."""
    command = [sys.executable, "-m", "tests.stores.holder", str(file), also]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, child = process.stdout.readline().split()
        try:
            assert word == "ready"
            yield process
        finally:
            process.kill()
            if int(child):
                os.kill(int(child), signal.SIGKILL)


async def test_a_lot_that_a_live_process_schedules(tmp_path: Path) -> None:
    file = tmp_path / "pool.sqlite"
    with holder(file) as other:
        queue = SqliteQueue(file, "pool")
        words = rf"pool\.sqlite is scheduled by process {other.pid} on {socket.gethostname()} \(lease renewed 2"
        with pytest.raises(StoreInUse, match=words):
            await queue.open()

        await queue.open(schedule=False)
        seen = await queue.overview()
        assert [task.id for task in seen.waiting] == ["from the holder"]
        assert seen.host is not None
        assert seen.host.pid == other.pid
        await queue.post(cancellation("from the holder"))
        assert (await queue.overview()).requests == 1
        await queue.aclose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("also", ["", "fork", "child"])
async def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path: Path, also: str) -> None:
    file = tmp_path / "pool.sqlite"
    with holder(file, also) as other:
        other.kill()
        other.wait()
        queue = SqliteQueue(file, "pool")
        await queue.open(schedule=False)
        assert (await queue.overview()).host is None
        await queue.aclose()

        with anyio.fail_after(5):
            await queue.open()
        assert [task.id for task, _ in (await queue.load()).tasks] == ["from the holder"]
        host = (await queue.overview()).host
        assert host is not None
        assert host.pid == os.getpid()
        await queue.aclose()


async def test_two_queues_of_one_process_clash_too(tmp_path: Path) -> None:
    first, second = SqliteQueue(tmp_path / "a.sqlite", "one"), SqliteQueue(tmp_path / "a.sqlite", "two")
    await first.open()
    with pytest.raises(StoreInUse):
        await second.open()
    await first.save(batch(added=[parked("a")]))
    await first.aclose()
    await second.open()
    await second.aclose()


async def test_looking_whether_a_lease_is_held_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    prober, taker = FileLease(file), FileLease(file)
    async with anyio.create_task_group() as group:

        def probe() -> None:
            for _ in range(2000):
                prober.held()

        group.start_soon(anyio.to_thread.run_sync, probe)
        for _ in range(20):
            assert await anyio.to_thread.run_sync(taker.take)
            taker.give_back()
            await anyio.lowlevel.checkpoint()
    assert not prober.held()
    assert taker.take()
    assert prober.held()
    assert not prober.take()
    taker.give_back()


async def test_the_lease_is_renewed_while_the_scheduler_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "RENEWAL_PERIOD", 0.0)
    monkeypatch.setattr(sqlite_store, "POLL_PERIOD", 0.01)
    queue = SqliteQueue(tmp_path / "a.sqlite", "pool")
    await queue.open()
    before = (await queue.overview()).host
    with anyio.move_on_after(0.5):
        await queue.wait_for_requests()
    after = (await queue.overview()).host
    assert before is not None
    assert after is not None
    assert after.renewed_at > before.renewed_at
    await queue.aclose()
