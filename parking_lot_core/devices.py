"""One device's budget: what it has, what is taken, and when running tasks will have given it back."""

from __future__ import annotations

import math
from bisect import bisect_left, insort

from parking_lot_core._values import value
from parking_lot_core.checkpoint import DeviceRecord
from parking_lot_core.types import ScheduledTask


@value
class DeviceView:
    """A device as a person sees it, in units. ``free`` is negative after capacity shrank below use."""

    name: str
    capacity: int
    used: int
    free: int


@value
class Shadow:
    """When a blocked task can start at the latest (seconds since the epoch), and the units that it will not need."""

    end: float
    spare: int


class Claim:
    """A blocked task's hold on a device, and the terms on which it lets lower-ranked tasks pass.

    Attributes:
        rank: rank of the blocked task.
        task: the blocked task.
        counted: anybody may pass, and every start on the device counts as passing over the blocked task.
        offer: if not, a task that costs at most so many units may pass;
        until: and so may a task whose run limit ends it by then (seconds since the epoch), whatever its cost.
    """

    __slots__ = ("counted", "offer", "rank", "task", "until")

    def __init__(self, rank: int, task: ScheduledTask) -> None:
        self.rank = rank
        self.task = task
        self.close()

    def permits(self, units: int, limit: float | None, now: float) -> bool:
        """Whether a lower-ranked task with this cost and run limit may start now."""
        return self.counted or units <= self.offer or (limit is not None and limit <= self.until - now)

    def close(self) -> None:
        """Let nobody pass."""
        self.counted = False
        self.offer: float = 0
        self.until = -math.inf


class Device:
    """Units of one device."""

    __slots__ = ("capacity", "capacity_max", "claim", "configured", "ends", "free", "name")

    def __init__(self, name: str, configured: int) -> None:
        self.name = name
        self.configured = configured
        self.capacity = configured
        self.capacity_max = configured
        self.free = configured
        #: The first task that waits for this device in particular, as the last walk down the line found.
        self.claim: Claim | None = None
        #: (planned end, sequence, units) of the tasks on this device that have a run limit, in order.
        self.ends: list[tuple[float, int, int]] = []

    def take(self, task: ScheduledTask) -> None:
        """Hold a started task's units."""
        units = task.metadata.cost.units
        self.free -= units
        if task.metadata.run_timeout is not None:
            insort(self.ends, (planned_end(task), task.sequence, units))

    def release(self, task: ScheduledTask) -> None:
        """Give a task's units back."""
        units = task.metadata.cost.units
        self.free += units
        if task.metadata.run_timeout is not None:
            del self.ends[bisect_left(self.ends, (planned_end(task), task.sequence, units))]

    def resize(self, units: int) -> None:
        """Change the capacity; what is taken stays taken."""
        self.free += units - self.capacity
        self.capacity = units
        self.capacity_max = max(self.capacity_max, units)

    def shadow(self, units: int) -> Shadow | None:
        """When ``units`` will be free if every run ends at its limit; ``None`` if the limited runs do not suffice."""
        free = self.free
        if free >= units:
            return Shadow(-math.inf, free - units)
        for end, _, released in self.ends:
            free += released
            if free >= units:
                return Shadow(end, free - units)
        return None

    def view(self) -> DeviceView:
        """The device as a person sees it."""
        return DeviceView(self.name, self.capacity, self.capacity - self.free, self.free)

    def record(self) -> DeviceRecord:
        """The device as a checkpoint keeps it."""
        return DeviceRecord(
            device=self.name, configured=self.configured, capacity=self.capacity, capacity_max=self.capacity_max
        )


def planned_end(task: ScheduledTask) -> float:
    """When the current run of a task with a run limit ends at the latest, in seconds since the epoch."""
    assert task.started_at is not None
    assert task.metadata.run_timeout is not None
    return task.started_at + task.metadata.run_timeout
