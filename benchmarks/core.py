"""Nanoseconds per life of a task in the core, with 1,000 to 1,000,000 tasks parked.

A life is submitted, parked, started, finished, delivered. Each lot is kept at its depth: one task is submitted and one
running task finishes, over and over. One device, the default policy, costs drawn from a wide range without
repetition, four priorities at random; between 8 and about 20 tasks run at a time. The clock is the process's own CPU
time, so that a busy machine disturbs less.

The floor is what the bare data structures take for as much: a ``heapq`` push and pop and a dict insert and delete, of
the same keys at the same depth, measured in turn with the lives.
"""

from __future__ import annotations

import gc
import heapq
import random
import statistics
import time
import tracemalloc
from array import array

from parking_lot_core import (
    Command,
    Finished,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ResourceCost,
    Scheduler,
    Start,
    Submitted,
    TaskMetadata,
)
from parking_lot_core.ranking import rank_of

GOALS = {"growth": ("<=", 1.5), "floor_ratio": ("<=", 6.0), "bytes_per_parked": ("<=", 600.0)}

_DEPTHS = {"1k": 1_000, "100k": 100_000, "1m": 1_000_000}
_ROUNDS = 11
_LIVES = 2_000  # in a round
_WARM_UP = 4  # rounds that do not count
_COST_MAX = 1 << 26
_CAPACITY = 8 * _COST_MAX
_DONE = Outcome(OutcomeStatus.SUCCEEDED)
_SECONDS_PER_EVENT = 0.01


class _Lot:
    """A scheduler kept at one depth, and the small part of a driver that its lives need."""

    def __init__(self, depth: int, lives: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._costs = array("L", self._dice.sample(range(1, _COST_MAX), depth + lives))
        self._now = 0.0
        self._number = 0
        self._running: list[tuple[str, int]] = []
        self.scheduler = Scheduler(PoolConfig(max_units=_CAPACITY, max_queue_depth=10 * depth))
        for _ in range(depth):
            self._took(self.scheduler.step(self._submission()))

    def live(self, count: int) -> float:
        """Nanoseconds per life of ``count`` lives. What the submitters make is made before the clock starts."""
        submissions = [self._submission() for _ in range(count)]
        choices = [self._dice.random() for _ in range(count)]
        step, running, took = self.scheduler.step, self._running, self._took
        start = time.process_time_ns()
        for submission, choice in zip(submissions, choices, strict=True):
            took(step(submission))
            last = running.pop()
            at = int(choice * len(running))
            ended, running[at : at + 1] = (running[at], [last]) if running else (last, [])
            took(step(Finished(*ended, _DONE, submission.at)))
        return (time.process_time_ns() - start) / count

    def _submission(self) -> Submitted:
        number = self._number
        self._number += 1
        self._now += _SECONDS_PER_EVENT
        cost = ResourceCost(self._costs[number])
        return Submitted(TaskMetadata(f"task-{number}", cost, Priority(self._dice.randrange(4))), self._now)

    def _took(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if type(command) is Start:
                self._running.append((command.task.metadata.id, command.epoch))


class _Floor:
    """A heap and a dict kept at one depth."""

    def __init__(self, depth: int, seed: int) -> None:
        self._dice = random.Random(seed)
        self._number = 0
        self._heap = [self._key() for _ in range(depth)]
        self._dict = dict.fromkeys(self._heap, True)
        heapq.heapify(self._heap)

    def live(self, count: int) -> float:
        """Nanoseconds per push, insert, pop and delete."""
        heap, known = self._heap, self._dict
        push, pop = heapq.heappush, heapq.heappop
        keys = [self._key() for _ in range(count)]
        start = time.process_time_ns()
        for key in keys:
            push(heap, key)
            known[key] = True
            del known[pop(heap)]
        return (time.process_time_ns() - start) / count

    def _key(self) -> int:
        self._number += 1
        return rank_of(self._dice.randrange(4), 0, self._number)


def _compare(depth: int) -> tuple[float, float]:
    """Medians of the nanoseconds of a life and of the floor."""
    lot = _Lot(depth, (_WARM_UP + _ROUNDS) * _LIVES, seed=depth)
    floor = _Floor(depth, seed=depth)
    gc.collect()
    for _ in range(_WARM_UP):
        lot.live(_LIVES)
        floor.live(_LIVES)
    pairs = [(lot.live(_LIVES), floor.live(_LIVES)) for _ in range(_ROUNDS)]
    return statistics.median(life for life, _ in pairs), statistics.median(bare for _, bare in pairs)


def _bytes_per_parked() -> float:
    """Memory of one parked task: metadata, cost, id, the scheduler's value, its places in dict and line."""
    depth = _DEPTHS["100k"]
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        lot = _Lot(depth, 0, seed=depth)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        # The array of costs is the benchmark's own.
        return (after - before - 8 * depth) / lot.scheduler.queue_depth
    finally:
        tracemalloc.stop()


def run() -> dict[str, float]:
    """Medians of several rounds at each depth."""
    found: dict[str, float] = {}
    for name, depth in _DEPTHS.items():
        life, bare = _compare(depth)
        found |= {f"life_ns_{name}": life, f"floor_ns_{name}": bare, f"floor_ratio_{name}": life / bare}
    found["growth"] = found["life_ns_1m"] / found["life_ns_1k"]
    found["floor_ratio"] = statistics.median(found[f"floor_ratio_{name}"] for name in _DEPTHS)
    found["bytes_per_parked"] = _bytes_per_parked()
    return found
