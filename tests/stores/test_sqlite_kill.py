"""SIGKILL in the middle of many saves: what was acknowledged is there, and at most the batch in flight besides."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from parking_lot_core import MailboxKey, ScheduledTask
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import BOX, checkpoint, parked, running
from tests.stores.saver import name, payload

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 6


def run_and_kill(file: Path, batches: int) -> int:
    """Start a saver, and kill it while it goes on after so many batches. The last batch that it acknowledged."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.stores.saver", str(file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline() for _ in range(batches)]
        process.kill()
        acknowledged += process.stdout.readlines()
    return int([line for line in acknowledged if line.endswith("\n")][-1])


async def contents(file: Path) -> tuple[int, list[tuple[ScheduledTask, MailboxKey]]]:
    """How many batches the file holds, after checking all that does not follow from the tasks alone."""
    queue, mailbox = SqliteQueue(file, "pool"), SqliteMailbox(file, "pool")
    await queue.open()
    await mailbox.open()
    loaded = await queue.load()
    assert loaded.checkpoint is not None
    last = loaded.checkpoint.next_sequence - 1
    assert loaded.checkpoint == checkpoint(last + 1)
    ids = [task.id for task, _ in loaded.tasks]
    assert await queue.payloads(ids) == {name(number): payload(number) for number in range(max(last - 1, 1), last + 1)}
    done = [message.delivery.task_id for message in await mailbox.fetch(BOX, limit=100_000)]
    assert done == [name(number) for number in range(1, last - 1)]
    await mailbox.aclose()
    await queue.aclose()
    return last, list(loaded.tasks)


async def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    file = tmp_path / "pool.sqlite"
    chance = random.Random(os.urandom(8))
    before = 0
    for _ in range(ROUNDS):
        acknowledged = run_and_kill(file, chance.randint(1, 60))
        last, tasks = await contents(file)
        assert before < acknowledged <= last <= acknowledged + 1
        waiting = (parked(name(last), last), BOX)
        begun = (running(parked(name(last - 1), last - 1)), BOX)
        assert tasks == ([begun, waiting] if last > 1 else [waiting])
        before = last
