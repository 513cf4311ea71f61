"""The waiting line: parked tasks in rank order, one band for each priority class.

Bands keep apart what is served apart: a new task mostly ranks last in its class, and a search passes over a class that
holds nothing small enough without looking into it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from parking_lot_core.band import Band, Offer
from parking_lot_core.ranking import CLASS_BITS, RANK_MIN_BY_CLASS
from parking_lot_core.types import ScheduledTask


class WaitingLine:
    """Ordered set of tasks. Ranks are unique; the smallest rank is served first."""

    __slots__ = ("_bands",)

    def __init__(self) -> None:
        self._bands = tuple(Band(rank_min) for rank_min in RANK_MIN_BY_CLASS)

    def __iter__(self) -> Iterator[ScheduledTask]:
        """All tasks, in rank order."""
        for band in self._bands:
            yield from band

    def add(self, rank: int, task: ScheduledTask) -> None:
        """Insert a task whose rank is not in the line yet."""
        self._bands[rank >> CLASS_BITS].add(rank, task)

    def remove(self, rank: int) -> ScheduledTask:
        """Take out the task of this rank. Raises ``KeyError`` if there is none."""
        return self._bands[rank >> CLASS_BITS].remove(rank)

    def first(self, cost: float, last: float = math.inf) -> tuple[int, ScheduledTask] | None:
        """Rank and task of the highest rank that costs at most ``cost``, if that is at most ``last``."""
        for band in self._bands:
            if band.cost_min <= cost:
                return None if band.rank_min > last else band.first(cost, last)
        return None

    def after(self, rank: int, cost: float, last: float = math.inf) -> tuple[int, ScheduledTask] | None:
        """Like ``first``, among the tasks that rank strictly behind ``rank``."""
        for band in self._bands[rank >> CLASS_BITS :]:
            if band.cost_min <= cost:
                found = band.after(rank, cost)
                if found is not None:
                    return found if found[0] <= last else None
        return None

    def after_within(self, rank: int, offer: Offer, last: float = math.inf) -> tuple[int, ScheduledTask] | None:
        """Like ``after``, for tasks that the offer covers."""
        for band in self._bands[rank >> CLASS_BITS :]:
            if band.cost_min <= offer.widest:
                found = band.after_within(rank, offer)
                if found is not None:
                    return found if found[0] <= last else None
        return None

    def ahead_of(self, rank: int) -> int:
        """How many tasks rank before ``rank``: O(n / 64), for people who ask, not for scheduling."""
        return sum(band.ahead_of(rank) for band in self._bands[: (rank >> CLASS_BITS) + 1])
