"""Nanoseconds per life of a task in the core, with 1,000 to 1,000,000 tasks parked.

A life is submitted, parked, started, finished, delivered. Each lot is kept at its depth: one task is submitted and one
running task, at random, finishes, over and over. Costs are drawn without repetition from up to an eighth of the one
device, priorities from all four; the policy is the default one. Two more lots show what run limits (EASY backfill) and
four devices add.

The floor is what the bare data structures take for as much: a ``heapq`` push and pop and a dict insert and delete, of
the same keys at the same depth. All lots and floors take turns, so that a machine that changes its speed changes all
of them, and the clock is the process's own CPU time.
"""

from __future__ import annotations

import gc
import heapq
import random
import statistics
import time
import tracemalloc
from array import array
from collections.abc import Mapping
from typing import Any, Protocol

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
_ROUNDS = 25
_ROUNDS_TO_WARM_UP = 5
_LIVES = 1_000  # in a round
_FLOOR_LIVES = 20_000  # in a round; so many take about as long
_COST_MAX = 1 << 26
_CAPACITY = 8 * _COST_MAX
_SECONDS_PER_LIFE = 0.01
_DONE = Outcome(OutcomeStatus.SUCCEEDED)


class _Measured(Protocol):
    def live(self) -> float:
        """Nanoseconds per life, over one round."""


class _Lot:
    """A scheduler kept at one depth, and the small part of a driver that its lives need."""

    def __init__(self, depth: int, policy: Mapping[str, Any]) -> None:
        self._dice = random.Random(depth)
        lives = (_ROUNDS_TO_WARM_UP + _ROUNDS) * _LIVES
        self._costs = array("L", self._dice.sample(range(1, _COST_MAX), depth + lives))
        self._number = 0
        self._running: list[tuple[str, int]] = []
        self.scheduler = Scheduler(PoolConfig(max_queue_depth=10 * depth, **policy))
        for _ in range(depth):
            self._take_note(self.scheduler.step(self._submission()))

    def live(self) -> float:
        """Nanoseconds per life, over one round. What submitters make is made before the clock starts."""
        submissions = [self._submission() for _ in range(_LIVES)]
        choices = [self._dice.random() for _ in range(_LIVES)]
        step, running, take_note = self.scheduler.step, self._running, self._take_note
        start = time.process_time_ns()
        for submission, choice in zip(submissions, choices, strict=True):
            take_note(step(submission))
            place = int(choice * len(running))
            task_id, epoch = running[place]
            running[place] = running[-1]
            running.pop()
            take_note(step(Finished(task_id, epoch, _DONE, submission.at)))
        return (time.process_time_ns() - start) / _LIVES

    def _submission(self) -> Submitted:
        number = self._number
        self._number += 1
        cost = ResourceCost(self._costs[number])
        task = TaskMetadata(f"task-{number}", cost, Priority(self._dice.randrange(4)))
        return Submitted(task, number * _SECONDS_PER_LIFE)

    def _take_note(self, commands: tuple[Command, ...]) -> None:
        for command in commands:
            if type(command) is Start:
                self._running.append((command.task.metadata.id, command.epoch))


class _Floor:
    """A heap and a dict kept at one depth."""

    def __init__(self, depth: int) -> None:
        self._dice = random.Random(depth)
        self._number = 0
        self._heap = [self._key() for _ in range(depth)]
        self._dict = dict.fromkeys(self._heap, True)
        heapq.heapify(self._heap)

    def live(self) -> float:
        """Nanoseconds for a push, an insert, a pop and a delete, over one round."""
        heap, known = self._heap, self._dict
        push, pop = heapq.heappush, heapq.heappop
        keys = [self._key() for _ in range(_FLOOR_LIVES)]
        start = time.process_time_ns()
        for key in keys:
            push(heap, key)
            known[key] = True
            del known[pop(heap)]
        return (time.process_time_ns() - start) / _FLOOR_LIVES

    def _key(self) -> int:
        self._number += 1
        return rank_of(self._dice.randrange(4), 0, self._number)


def _in_turns(measured: Mapping[str, _Measured]) -> dict[str, list[float]]:
    """What each one takes per life, round by round."""
    gc.collect()
    taken: dict[str, list[float]] = {key: [] for key in measured}
    for _ in range(_ROUNDS_TO_WARM_UP + _ROUNDS):
        for key, one in measured.items():
            taken[key].append(one.live())
    return {key: each[_ROUNDS_TO_WARM_UP:] for key, each in taken.items()}


def _bytes_per_parked() -> float:
    """Memory of a parked task: metadata, cost, id, the scheduler's own value, its places in dict and line."""
    depth = _DEPTHS["100k"]
    gc.collect()
    tracemalloc.start()
    try:
        lot = _Lot(depth, {"max_units": _CAPACITY})
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        return (taken - lot._costs.itemsize * len(lot._costs)) / lot.scheduler.queue_depth
    finally:
        tracemalloc.stop()


def run() -> dict[str, float]:
    """Medians of many rounds."""
    one_device = {"max_units": _CAPACITY}
    measured: dict[str, _Measured] = {}
    for name, depth in _DEPTHS.items():
        measured[f"life_ns_{name}"] = _Lot(depth, one_device)
        measured[f"floor_ns_{name}"] = _Floor(depth)
    measured["life_ns_100k_run_limits"] = _Lot(_DEPTHS["100k"], {**one_device, "run_timeout": 60.0})
    measured["life_ns_100k_4_devices"] = _Lot(_DEPTHS["100k"], {"devices": dict.fromkeys("abcd", _CAPACITY)})
    taken = _in_turns(measured)
    found = {key: statistics.median(each) for key, each in taken.items()}
    for name in _DEPTHS:
        pairs = zip(taken[f"life_ns_{name}"], taken[f"floor_ns_{name}"], strict=True)
        found[f"floor_ratio_{name}"] = statistics.median(life / floor for life, floor in pairs)
    pairs = zip(taken["life_ns_1m"], taken["life_ns_1k"], strict=True)
    found["growth"] = statistics.median(deep / shallow for deep, shallow in pairs)
    found["floor_ratio"] = statistics.median(found[f"floor_ratio_{name}"] for name in _DEPTHS)
    found["bytes_per_parked"] = _bytes_per_parked()
    return found
