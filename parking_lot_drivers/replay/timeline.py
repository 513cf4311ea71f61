"""Units in use and parked requests over time, as step functions."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Sequence

import attrs


@attrs.frozen
class Slice:
    """A stretch of a timeline: its middle in seconds, time-weighted means over it, and the most parked in it."""

    middle: float
    used: float
    parked: float
    parked_max: int


@attrs.define(eq=False)
class Timeline:
    """Samples ``(time, units in use, parked requests)``; each holds until the next one, the last until ``end``.

    Times are in seconds since the first arrival and never decrease.
    """

    times: array[float] = attrs.field(factory=lambda: array("d"))
    used: array[int] = attrs.field(factory=lambda: array("q"))
    parked: array[int] = attrs.field(factory=lambda: array("q"))

    @property
    def end(self) -> float:
        """Time of the last sample, at which nothing is left; 0 if there is none."""
        return self.times[-1] if self.times else 0.0

    def add(self, time: float, used: int, parked: int) -> None:
        """Sample after an event; of several at one time the last one counts."""
        if self.times and self.times[-1] == time:
            self.used[-1] = used
            self.parked[-1] = parked
            return
        self.times.append(time)
        self.used.append(used)
        self.parked.append(parked)

    def mean_parked(self) -> float:
        """Time-weighted mean of the parked requests from the first sample to the last."""
        span = self.end - self.times[0] if self.times else 0.0
        if span <= 0:
            return 0.0
        spans = (later - earlier for earlier, later in itertools.pairwise(self.times))
        return sum(parked * seconds for parked, seconds in zip(self.parked, spans, strict=False)) / span

    def slices(self, width: float) -> list[Slice]:
        """The timeline cut into stretches of ``width`` seconds (> 0), from 0 to its end."""
        slices: list[Slice] = []
        start, sample = 0.0, 0
        while start < self.end:
            stop = min(start + width, self.end)
            slices.append(self._slice(sample, start, stop))
            while sample + 1 < len(self.times) and self.times[sample + 1] <= stop:
                sample += 1
            start += width
        return slices

    def _slice(self, sample: int, start: float, stop: float) -> Slice:
        """The stretch from ``start`` to ``stop``, where ``sample`` is the one that holds at ``start``."""
        used = parked = 0.0
        most = 0
        for index in range(sample, len(self.times)):
            since = max(start, self.times[index])
            until = min(stop, self.times[index + 1]) if index + 1 < len(self.times) else stop
            if since >= stop:
                break
            used += self.used[index] * (until - since)
            parked += self.parked[index] * (until - since)
            most = max(most, self.parked[index])
        return Slice((start + stop) / 2, used / (stop - start), parked / (stop - start), most)


def slice_width(timelines: Sequence[Timeline], count: int) -> float:
    """Seconds, such that the longest timeline gets about ``count`` slices."""
    return max((timeline.end for timeline in timelines), default=0.0) / count or 1.0
