"""What falls due when. Entries are never removed early: a caller asks whether one still means anything."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import TypeAlias


class Alarm(enum.IntEnum):
    """Why a timer was set."""

    EXPIRE = 0
    RUN_LIMIT = 1
    READY = 2
    PROMOTE = 3


Timer: TypeAlias = tuple[float, int, int, str]
"""Due time, sequence of the task, ``Alarm``, id of the task: sorts in the order in which alarms are handled."""

_SLACK = 64


class Timers:
    """A heap of timers, most of which are stale by the time they are due."""

    __slots__ = ("_heap", "_live", "earliest")

    def __init__(self, live: Callable[[Timer], bool]) -> None:
        self._heap: list[Timer] = []
        self._live = live
        #: No timer is due before this; infinity if there is none.
        self.earliest = math.inf

    def set(self, due: float, sequence: int, alarm: Alarm, task_id: str) -> None:
        """Remember to look at a task at ``due``."""
        heappush(self._heap, (due, sequence, alarm, task_id))
        self.earliest = self._heap[0][0]

    def next_due(self) -> float | None:
        """When the earliest timer that still means something is due."""
        heap = self._heap
        while heap and not self._live(heap[0]):
            heappop(heap)
        self.earliest = heap[0][0] if heap else math.inf
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Timer | None:
        """Take the first live timer that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heappop(heap)
            if self._live(timer):
                return timer
        self.earliest = heap[0][0] if heap else math.inf
        return None

    def compact(self, tasks: int) -> None:
        """Drop stale timers once they outnumber what ``tasks`` tasks can have; amortised, this costs nothing."""
        if len(self._heap) > 4 * tasks + _SLACK:
            self._heap = [timer for timer in dict.fromkeys(self._heap) if self._live(timer)]
            heapify(self._heap)
            self.earliest = self._heap[0][0] if self._heap else math.inf
