"""On which terms a blocked task lets others pass, and who has been passed over since when."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

from parking_lot_core.devices import Claim, Device
from parking_lot_core.types import ScheduledTask


class Mark:
    """A parked task that was passed over, ``since`` when (seconds since the epoch)."""

    __slots__ = ("rank", "since", "task")

    def __init__(self, rank: int, task: ScheduledTask, since: float) -> None:
        self.rank = rank
        self.task = task
        self.since = since


class Backfill:
    """The pool's rule for passing blocked tasks, and the marks of those that were."""

    __slots__ = ("_exhausted", "_marks", "_next_since", "bounded", "window")

    def __init__(self, window: float) -> None:
        self.window = window
        #: Whether the window is a bound at all: neither strict order nor pure first fit.
        self.bounded = 0 < window < math.inf
        # By task id, in the order of time, so that the next one to be exhausted is easily found.
        self._marks: dict[str, Mark] = {}
        # Those that are exhausted, in rank order, and since when the next one has been passed over.
        self._exhausted: list[Mark] = []
        self._next_since = math.inf

    def passed_over(self) -> tuple[tuple[str, float], ...]:
        """Since when each marked task has been passed over, in the order of ids."""
        return tuple(sorted((task_id, mark.since) for task_id, mark in self._marks.items()))

    def restore(self, marks: Iterable[Mark]) -> None:
        """Go on from a checkpoint."""
        self._marks = {mark.task.metadata.id: mark for mark in sorted(marks, key=_since)}
        self._collect(-math.inf)

    # -- marks ---------------------------------------------------------------------------------------------------

    def passed(self, claim: Claim, now: float) -> None:
        """A lower-ranked task was started on the claimed device."""
        task_id = claim.task.metadata.id
        if task_id not in self._marks:
            self._marks[task_id] = Mark(claim.rank, claim.task, now)
            if now < self._next_since:
                self._next_since = now

    def unmark(self, task_id: str) -> None:
        """The task is no longer parked."""
        mark = self._marks.pop(task_id, None)
        if mark is not None and mark in self._exhausted:
            self._exhausted.remove(mark)

    def promoted(self, task_id: str, rank: int) -> None:
        """The task has another rank now."""
        mark = self._marks.get(task_id)
        if mark is not None:
            mark.rank = rank
            self._exhausted.sort(key=_rank)

    def since(self, task_id: str) -> float | None:
        """When the task was first passed over."""
        mark = self._marks.get(task_id)
        return None if mark is None else mark.since

    def is_exhausted(self, task: ScheduledTask, now: float) -> bool:
        """Whether the task has been passed over for as long as it may be."""
        mark = self._marks.get(task.metadata.id)
        return mark is not None and now - mark.since >= self.window

    def exhausted(self, now: float) -> Sequence[Mark]:
        """All tasks that have been passed over for as long as they may be, in rank order."""
        if now - self._next_since >= self.window:
            self._collect(now)
        return self._exhausted

    def closed_by(self, head: int, device: Device, now: float) -> float:
        """Rank of the first exhausted task behind the head that the device is large enough for, or infinity."""
        for mark in self.exhausted(now):
            if mark.rank > head and mark.task.metadata.cost.units <= device.capacity:
                return mark.rank
        return math.inf

    def _collect(self, now: float) -> None:
        self._next_since = math.inf
        self._exhausted = []
        for mark in self._marks.values():
            if now - mark.since < self.window:
                self._next_since = mark.since
                break
            self._exhausted.append(mark)
        self._exhausted.sort(key=_rank)

    # -- terms ---------------------------------------------------------------------------------------------------

    def settle(self, claim: Claim, device: Device, now: float) -> None:
        """Set the terms of a blocked task's claim on a device."""
        if claim.counted and not device.ends and now - self._next_since < self.window:
            return  # no run limit has come in and no mark has run out, so the terms are what they were
        claim.close()
        if self.bounded:
            shadow = device.shadow(claim.task.metadata.cost.units)
            if shadow is not None:
                claim.offer, claim.until = shadow.spare, shadow.end
            else:
                claim.counted = not self.is_exhausted(claim.task, now)
        else:
            claim.counted = self.window > 0

    def best(self, task: ScheduledTask, devices: Sequence[Device]) -> Device:
        """The device on which a blocked task should wait: where it can start soonest, or where it lacks least."""
        if not (self.bounded and any(device.ends for device in devices)):
            return max(devices, key=_free)  # the first of those that have most
        units = task.metadata.cost.units

        def preference(device: Device) -> tuple[float, int]:
            shadow = device.shadow(units)
            return (math.inf if shadow is None else shadow.end, units - device.free)

        return min(devices, key=preference)


def _rank(mark: Mark) -> int:
    return mark.rank


_free = operator.attrgetter("free")


def _since(mark: Mark) -> float:
    return mark.since
