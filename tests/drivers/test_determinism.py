"""The same inputs give the same batches, byte for byte: on asyncio and trio, under every seed of the hash.

A script drives the pool's loop with a clock of its own. What is compared is what a store is asked to keep.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    MailboxKey,
    PoolConfig,
    Priority,
    ResourceCost,
    TaskMetadata,
    Tick,
)
from parking_lot_drivers import PermanentFailure
from parking_lot_drivers._loop import Loop
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask, Word
from parking_lot_drivers.clock import Clock
from parking_lot_drivers.codec import encode
from parking_lot_drivers.executors import CoroutineExecutor
from parking_lot_drivers.ports import Batch
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from tests.drivers.tools import Stage

_ROOT = Path(__file__).parents[2]
CONFIG = PoolConfig(
    devices={"gpu-0": 8, "gpu-1": 4},
    max_queue_depth=40,
    backfill_window=20.0,
    aging=50.0,
    timeout=500.0,
    retry_backoff=4.0,
    tenants={"acme": 2.0, "umbrella": 1.0},
)


class ScriptedClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0

    def now(self) -> float:
        return self.time


class RecordingQueue(MemoryQueue):
    """A queue that writes down all that it is asked to keep."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[str] = []

    async def save(self, batch: Batch) -> None:
        self.batches.append(repr(batch))
        await super().save(batch)


class Script:
    """A loop of its own, and a seeded hand that drives it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.clock = ScriptedClock()
        self.queue = RecordingQueue()
        self.stage = Stage()
        self.loop = Loop(CONFIG, CoroutineExecutor(self.stage), self.queue, MemoryMailbox(), self.clock)
        self.tickets: dict[str, Ticket] = {}

    async def play(self, steps: int) -> list[str]:
        """Run the script; the batches as text."""
        await self.queue.open()
        async with anyio.create_task_group() as group:
            await self.loop.open(group)
            group.start_soon(self.loop.run, group)
            for number in range(steps):
                await self._step(number)
            self.loop.stop_starting()
            await self._settle()
            for name in sorted(self.stage.running):
                self.stage.end(name)
                await self._settle()
            self.loop.leave()
            await self.loop.ended.wait()
        return self.queue.batches

    async def _step(self, number: int) -> None:
        """What arrives together: time passes, a few tasks come, one is cancelled, one ends, a device changes."""
        self.clock.time += self.chance.choice([0.0, 0.25, 1.0, 7.5])
        for part in range(self.chance.randint(0, 3)):
            self._ask(f"task-{number}-{part}")
        if self.tickets and self.chance.random() < 0.1:
            self.loop.put(Word(Cancelled(self.chance.choice(sorted(self.tickets)), self.clock.time)))
        if self.chance.random() < 0.05:
            self.loop.put(Word(CapacityChanged("gpu-1", self.chance.randint(0, 6), self.clock.time)))
        self.loop.put(Word(Tick(self.clock.time)))
        await self._settle()
        if self.stage.running and self.chance.random() < 0.7:
            name = self.chance.choice(sorted(self.stage.running))
            self.stage.end(name, say=self.chance.choice([1, "ok", OSError("no"), PermanentFailure("never")]))
            await self._settle()

    def _ask(self, name: str) -> None:
        chance = self.chance
        metadata = TaskMetadata(
            name,
            ResourceCost(chance.randint(1, 9)),
            chance.choice(list(Priority)),
            chance.choice(["acme", "umbrella", "else"]),
            run_timeout=chance.choice([None, 30.0]),
            not_before=chance.choice([None, self.clock.time + 10]),
        )
        ticket = self.tickets[name] = Ticket(name)
        self.loop.put(
            Ask(metadata, encode(name), MailboxKey(metadata.tenant), ticket, waits_for_room=chance.random() < 0.5)
        )

    async def _settle(self) -> None:
        """Wait until everything that follows has happened."""
        before = -1
        while before != len(self.queue.batches):
            before = len(self.queue.batches)
            for _ in range(20):  # nothing here waits for a thread or a clock, so that is plenty
                await anyio.lowlevel.checkpoint()


async def record(seed: int) -> str:
    """All batches of one script."""
    return "\n".join(await Script(seed).play(150))


@pytest.mark.parametrize("seed", range(3))
def test_asyncio_and_trio_decide_alike(seed: int) -> None:
    on_asyncio, on_trio = (anyio.run(record, seed, backend=backend) for backend in ("asyncio", "trio"))
    assert on_asyncio.count("\n") > 150
    for kind in ("RUNNING", "STOPPING", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"):
        assert kind in on_asyncio
    assert on_asyncio == on_trio


def test_the_seed_of_the_hash_does_not_matter() -> None:
    program = "import anyio; from tests.drivers.test_determinism import record; print(anyio.run(record, 0))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=_ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "77")
    }
    assert len(texts) == 1
    assert texts == {anyio.run(record, 0).encode() + b"\n"}
