"""Which parked task starts next, and on which device: one walk down the waiting line.

This is the ``Dispatch`` section of ``RULES.md``. A walk visits tasks in rank order. A task that cannot start claims a
device, which then lets later tasks pass only under the claim's permission. The walk never looks at a task that can
neither start nor claim: it asks the line for the next one that is small enough for anything still on offer, so that it
makes one search for each start and each claim, however many tasks are parked.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

from parking_lot_core.devices import Device, Shadow
from parking_lot_core.line import WaitingLine
from parking_lot_core.types import ScheduledTask


class Permission(enum.Enum):
    """On which terms the task that claimed a device lets others pass."""

    NEVER = "never"
    IF_HARMLESS = "if harmless"
    COUNTED = "counted"


class Claim:
    """A blocked task's hold on a device, for the length of one walk."""

    __slots__ = ("permission", "shadow", "task")

    def __init__(self, task: ScheduledTask, permission: Permission, shadow: Shadow | None) -> None:
        self.task = task
        self.permission = permission
        self.shadow = shadow

    def permits(self, units: int, limit: float, now: float) -> bool:
        """Whether a lower-ranked task may start on this device."""
        if self.permission is Permission.COUNTED:
            return True
        if self.permission is Permission.NEVER:
            return False
        assert self.shadow is not None
        return units <= self.shadow.spare or limit <= self.shadow.end - now


class Backfill:
    """The pool's rule for passing blocked tasks, and the record of who has been passed over since when."""

    __slots__ = ("passed_over", "window")

    def __init__(self, window: float) -> None:
        self.window = window
        self.passed_over: dict[str, float] = {}

    @property
    def bounded(self) -> bool:
        """Whether the window is a bound at all: neither strict order nor pure first fit."""
        return 0 < self.window < math.inf

    def exhausted(self, task: ScheduledTask, now: float) -> bool:
        """Whether the task has been passed over for as long as it may be."""
        since = self.passed_over.get(task.metadata.id)
        return since is not None and self.bounded and now - since >= self.window

    def claim(self, task: ScheduledTask, device: Device, now: float) -> Claim:
        """The terms on which ``task`` holds ``device``."""
        if not self.bounded:
            return Claim(task, Permission.COUNTED if self.window else Permission.NEVER, None)
        shadow = device.shadow(task.metadata.cost.units)
        if shadow is not None:
            return Claim(task, Permission.IF_HARMLESS, shadow)
        return Claim(task, Permission.NEVER if self.exhausted(task, now) else Permission.COUNTED, None)

    def best(self, task: ScheduledTask, devices: Sequence[Device]) -> Device:
        """The device on which a blocked task should wait: where it can start soonest, or where it lacks least."""
        if len(devices) == 1:
            return devices[0]
        units = task.metadata.cost.units

        def preference(device: Device) -> tuple[float, int, int]:
            shadow = device.shadow(units) if self.bounded else None
            return (math.inf if shadow is None else shadow.end, units - device.free, device.order)

        return min(devices, key=preference)


class Walk:
    """One walk: ``find`` returns the next start, or ``None`` when nothing more may start; ``claims`` then says why."""

    __slots__ = (
        "_backfill",
        "_behind",
        "_boxes",
        "_devices",
        "_exhausted",
        "_line",
        "_now",
        "bound",
        "claims",
        "closed",
    )

    def __init__(
        self,
        line: WaitingLine,
        devices: Sequence[Device],
        backfill: Backfill,
        now: float,
        exhausted: Sequence[tuple[int, ScheduledTask]],
        blocked: tuple[int, ScheduledTask] | None,
    ) -> None:
        self._line = line
        self._devices = devices
        self._backfill = backfill
        self._now = now
        # Exhausted tasks must be visited even when nothing on offer fits them; last one first.
        self._exhausted = sorted(exhausted, key=lambda pair: pair[0], reverse=True)
        self._behind = -1
        self._boxes: list[tuple[float, float]] = []
        self.claims: dict[str, Claim] = {}
        self.closed: dict[str, ScheduledTask] = {}
        self.bound: float = 0
        if blocked is None:
            self._measure()
        else:
            # The caller has found that the first task in line cannot start.
            self._behind = blocked[0]
            self._hold(blocked[1])

    def find(self) -> tuple[int, ScheduledTask, Device] | None:
        """The next task to start, and where."""
        while (visited := self._visit()) is not None:
            rank, task = visited
            device = self._place(task)
            if device is not None:
                return rank, task, device
            self._behind = rank
            self._hold(task)
        return None

    def passes(self, device: Device) -> ScheduledTask | None:
        """The task that a start on this device counts as passing over, if it does."""
        claim = self.claims.get(device.name)
        return claim.task if claim is not None and claim.permission is Permission.COUNTED else None

    def turns_down(self, rank: int, units: int) -> bool:
        """Whether a new task can be left out without another walk: it ranks behind every claim and fits nothing."""
        if units <= self.bound or (self.claims and rank < self._behind):
            return False
        return not self._boxes or all(units > cost for cost, _ in self._boxes)

    def _visit(self) -> tuple[int, ScheduledTask] | None:
        if self._boxes:
            found = self._line.after_within(self._behind, self.bound, self._boxes)
        elif self._behind < 0:
            found = self._line.first(self.bound)
        else:
            found = self._line.after(self._behind, self.bound)
        while self._exhausted and self._exhausted[-1][0] <= self._behind:
            self._exhausted.pop()
        if self._exhausted and (found is None or self._exhausted[-1][0] <= found[0]):
            found = self._exhausted.pop()
        return found

    def _place(self, task: ScheduledTask) -> Device | None:
        """The best device on which the task may start now."""
        units = task.metadata.cost.units
        best: Device | None = None
        best_claimed = False
        for device in self._devices:
            if device.free < units or device.name in self.closed:
                continue
            claim = self.claims.get(device.name)
            if claim is not None and not claim.permits(units, limit_of(task), self._now):
                continue
            claimed = claim is not None
            if best is None or (claimed, device.free) < (best_claimed, best.free):
                best, best_claimed = device, claimed
        return best

    def _hold(self, task: ScheduledTask) -> None:
        """Let a task that cannot start claim a device, or close one that it has waited for too long."""
        usable = [device for device in self._devices if device.capacity >= task.metadata.cost.units]
        unclaimed = [device for device in usable if device.name not in self.claims]
        if unclaimed:
            device = self._backfill.best(task, unclaimed)
            self.claims[device.name] = self._backfill.claim(task, device, self._now)
        elif usable and self._backfill.exhausted(task, self._now):
            self.closed.setdefault(self._backfill.best(task, usable).name, task)
        else:
            return
        self._measure()

    def _measure(self) -> None:
        """Work out what is still on offer to the tasks further down the line."""
        self.bound = 0
        self._boxes = []
        for device in self._devices:
            if device.name in self.closed:
                continue
            claim = self.claims.get(device.name)
            if claim is None:
                self.bound = max(self.bound, device.capacity)
            elif claim.permission is Permission.COUNTED:
                self.bound = max(self.bound, device.free)
            elif claim.shadow is not None and device.free > 0:
                self.bound = max(self.bound, min(device.free, claim.shadow.spare))
                remaining = claim.shadow.end - self._now
                if remaining > 0:
                    self._boxes.append((device.free, remaining))


def limit_of(task: ScheduledTask) -> float:
    """The task's run limit in seconds; infinity if it has none."""
    limit = task.metadata.run_timeout
    return math.inf if limit is None else limit
