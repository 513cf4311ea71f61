"""Everything that is parked: the line of tasks that may start now, and those that are not to start yet."""

from __future__ import annotations

from parking_lot_core.line import WaitingLine
from parking_lot_core.ranking import classes_gained, promotion_at, rank_of
from parking_lot_core.timers import Alarm, Timers
from parking_lot_core.types import Priority, ScheduledTask


class Waiting:
    """Parked tasks. Ranks are computed here, because ``aging`` changes them while a task waits."""

    __slots__ = ("_aging", "_delayed", "_levels", "_timers", "line")

    def __init__(self, aging: float | None, timers: Timers) -> None:
        self.line = WaitingLine()
        self._aging = aging
        self._timers = timers
        # Parked tasks that wait for their ``ready_at``; each has a READY timer.
        self._delayed: set[str] = set()
        # Classes that tasks have gained by waiting, where aging is on.
        self._levels: dict[str, int] = {}

    def rank(self, task: ScheduledTask) -> int:
        """The task's rank at present."""
        level: int = task.metadata.priority
        if self._levels:
            level += self._levels[task.metadata.id]
        return rank_of(level, task.tag, task.sequence)

    def in_line(self, task_id: str) -> bool:
        """Whether a parked task may start now, as far as time is concerned."""
        return task_id not in self._delayed

    def park(self, task: ScheduledTask, now: float) -> int | None:
        """Keep a task, with the timers that it needs. Returns its rank if it joined the line, else ``None``."""
        metadata = task.metadata
        if metadata.start_by is not None:
            self._timers.set(metadata.start_by, task.sequence, Alarm.EXPIRE, metadata.id)
        if self._aging is not None:
            self._levels[metadata.id] = classes_gained(task, now, self._aging)
            self._await_promotion(task)
        if task.ready_at is not None and task.ready_at > now:
            self._delayed.add(metadata.id)
            self._timers.set(task.ready_at, task.sequence, Alarm.READY, metadata.id)
            return None
        rank = self.rank(task)
        self.line.add(rank, task)
        return rank

    def ready(self, task: ScheduledTask) -> int:
        """A delayed task joins the line. Returns its rank."""
        self._delayed.remove(task.metadata.id)
        rank = self.rank(task)
        self.line.add(rank, task)
        return rank

    def leave(self, task: ScheduledTask) -> int | None:
        """A task is no longer parked. Returns the rank that it had if it was in the line."""
        if task.metadata.id in self._delayed:
            self._delayed.remove(task.metadata.id)
            return None
        rank = self.rank(task)
        self.line.remove(rank)
        return rank

    def forget(self, task_id: str) -> None:
        """The task is gone for good: it no longer ages."""
        if self._levels:
            self._levels.pop(task_id, None)

    def promote(self, task: ScheduledTask) -> tuple[int, int] | None:
        """The task has waited long enough for the next class. Returns its old and new ranks if it is in the line."""
        old = self.rank(task)
        self._levels[task.metadata.id] += 1
        self._await_promotion(task)
        if task.metadata.id in self._delayed:
            return None
        self.line.remove(old)
        new = self.rank(task)
        self.line.add(new, task)
        return old, new

    def next_promotion_at(self, task: ScheduledTask) -> float:
        """When the task gains its next class."""
        assert self._aging is not None
        return promotion_at(task, self._levels[task.metadata.id] + 1, self._aging)

    def _await_promotion(self, task: ScheduledTask) -> None:
        if task.metadata.priority + self._levels[task.metadata.id] < Priority.CRITICAL:
            self._timers.set(self.next_promotion_at(task), task.sequence, Alarm.PROMOTE, task.metadata.id)
