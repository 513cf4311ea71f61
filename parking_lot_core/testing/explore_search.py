"""The search: breadth first, layer by layer, over states that count as one.

A world is searched in rounds, with one task at a time, with two, with three, and then with ``tasks_max``: what goes
wrong with few tasks is found with few, and in the fewest events. A round ends when no state is left that was not
examined (*exhausted*: every sequence of events, however long, with so many tasks at a time), or at a bound. Worlds that
nobody exhausts with even one task go without the rounds before the last.

Several processes share the states of a layer. Which of two paths to a state counts does not depend on who was
faster: results are taken in the order of the layer, so that every run finds the same.
"""

from __future__ import annotations

import multiprocessing
import pickle
import time
from array import array
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor

import attrs

from parking_lot_core.testing.explore_steps import Examiner, Fault, Found, Make
from parking_lot_core.testing.explore_worlds import SmallWorld
from parking_lot_core.testing.model import Model

CHUNK_MAX = 100  # states that are examined in one go; half a second's work


@attrs.frozen
class Round:
    """One search of one world."""

    number: int
    world: SmallWorld
    make: Make
    reference: type[Model]


@attrs.define
class Bounds:
    """Where to stop: a number of distinct states, of events in sequence, a moment of the monotonic clock."""

    states: float
    depth: float
    until: float

    def reached(self, states: int) -> str | None:
        """Which bound is reached in the middle of a layer."""
        if states >= self.states:
            return "states"
        return "time" if time.monotonic() >= self.until else None


@attrs.define
class RoundResult:
    """How far a round went. ``stopped``: what ended it, ``exhausted``, ``depth``, ``states``, ``time`` or ``fault``."""

    seen: set[int]
    depth: int = 0
    expanded: int = 0
    transitions: int = 0
    stopped: str = "exhausted"
    fault: Fault | None = None


class Workers:
    """Those who examine states: other processes, or this one if there is to be no other."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self._processes > 1:
            context = multiprocessing.get_context("spawn")  # the same on every platform, and whoever has threads
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def expand(self, this: Round, layer: array[int], depth: int) -> Iterator[tuple[int, Found]]:
        """Examine all states of a layer: (number of the first state, what was found), in the order of the layer."""
        count = len(layer) // depth if depth else 1
        size = max(1, min(CHUNK_MAX, count // (4 * self._processes)))
        parts = ((first, layer[first * depth : (first + size) * depth]) for first in range(0, count, size))
        if self._pool is None:
            for first, part in parts:
                yield first, examine(this, part, depth)
            return
        waiting: deque[tuple[int, Future[Found]]] = deque()
        for first, part in parts:
            waiting.append((first, self._pool.submit(examine, this, part, depth)))
            if len(waiting) > 3 * self._processes:
                yield self._next(waiting)
        while waiting:
            yield self._next(waiting)

    @staticmethod
    def _next(waiting: deque[tuple[int, Future[Found]]]) -> tuple[int, Found]:
        first, future = waiting.popleft()
        return first, future.result()


_examiner: tuple[int, Examiner] | None = None


def examine(this: Round, part: array[int], depth: int) -> Found:
    """Examine states, given by the paths to them, one after the other. One examiner serves a whole round."""
    global _examiner
    if _examiner is None or _examiner[0] != this.number:
        _examiner = (this.number, Examiner(this.make, this.world, this.reference))
    paths = [part[start : start + depth] for start in range(0, len(part), depth)] if depth else [part]
    return _examiner[1].expand(paths)


def search(this: Round, bounds: Bounds, workers: Workers) -> RoundResult:
    """Breadth first from the empty pool, up to a bound or a fault."""
    result = RoundResult({Examiner(this.make, this.world, this.reference).root()})
    layer, count = array("I"), 1
    while count:
        if result.depth >= bounds.depth:
            result.stopped = "depth"
            break
        following, count, longer = array("I"), 0, None
        for first, found in workers.expand(this, layer, result.depth):
            result.expanded += found.expanded
            result.transitions += found.transitions
            count += _take_in(found, first, layer, result, following)
            longer = longer or found.longer
            stopped = "fault" if found.fault is not None else bounds.reached(len(result.seen))
            if stopped is not None:
                result.stopped, result.fault = stopped, found.fault
                return result
        layer = following
        result.depth += 1
        if longer is not None:  # and there was no shorter one
            result.stopped, result.fault = "fault", longer
            break
    return result


def _take_in(found: Found, first: int, layer: array[int], result: RoundResult, following: array[int]) -> int:
    """Put the states that nobody has seen on the next layer. Returns how many there are."""
    depth, count = result.depth, 0
    for mark, choice, source in zip(found.fingerprints, found.choices, found.sources, strict=True):
        if mark not in result.seen:
            result.seen.add(mark)
            start = (first + source) * depth
            following.extend(layer[start : start + depth])
            following.append(choice)
            count += 1
    return count


def can_be_sent(make: Make, reference: type[Model]) -> None:
    """Raises ``ValueError`` for what other processes could not find by its name."""
    for name, given in (("make", make), ("reference", reference)):
        try:
            pickle.dumps(given)
        except Exception as error:
            raise ValueError(
                f"{name}: expected a class or function of a module, which other processes can import, got {given!r}; "
                "or use processes=1"
            ) from error
