"""Which parked task starts next, and on which device: the walk down the waiting line.

This is the ``Dispatch`` section of ``RULES.md``. A walk visits tasks in rank order. A task that cannot start claims a
device, which then lets later tasks pass only under the claim's permission. The walk never looks at a task that can
neither start nor claim: it asks the line for the next one that is small enough for anything still on offer, so that it
makes one search for each start and each claim, however many tasks are parked.

Three things are remembered from one walk to the next, because most events leave them as they were: that the last walk
is ``settled`` (nothing more may start, so there is no need for another), how much it still had on offer (a new task
that is larger changes nothing), and the head, which every walk visits first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from parking_lot_core.devices import Claim, Device
from parking_lot_core.types import ScheduledTask
from parking_lot_core.waiting import Waiting


class Backfill:
    """The pool's rule for passing blocked tasks, and the record of who has been passed over since when."""

    __slots__ = ("_passed_over", "bounded", "window")

    def __init__(self, window: float) -> None:
        self.window = window
        #: Whether the window is a bound at all: neither strict order nor pure first fit.
        self.bounded = 0 < window < math.inf
        # In the order of time, so that those who have waited for too long come first.
        self._passed_over: dict[str, float] = {}

    def passed_over(self) -> dict[str, float]:
        """Since when each task that was passed over has been, by its id, the first one first."""
        return dict(self._passed_over)

    def restore(self, passed_over: Mapping[str, float]) -> None:
        """Go on from a checkpoint."""
        self._passed_over = dict(sorted(passed_over.items(), key=lambda mark: mark[1]))

    def passed(self, task: ScheduledTask, now: float) -> None:
        """A lower-ranked task was started on the device that this one has claimed."""
        self._passed_over.setdefault(task.metadata.id, now)

    def unmark(self, task_id: str) -> None:
        """The task is no longer parked."""
        if self._passed_over:
            self._passed_over.pop(task_id, None)

    def since(self, task_id: str) -> float | None:
        """When the task was first passed over."""
        return self._passed_over.get(task_id)

    def exhausted(self, task: ScheduledTask, now: float) -> bool:
        """Whether the task has been passed over for as long as it may be."""
        since = self._passed_over.get(task.metadata.id)
        return since is not None and self.bounded and now - since >= self.window

    def all_exhausted(self, now: float) -> list[str]:
        """The ids of the tasks that are exhausted."""
        found: list[str] = []
        if self.bounded:
            for task_id, since in self._passed_over.items():
                if now - since < self.window:
                    break
                found.append(task_id)
        return found

    def claim(self, task: ScheduledTask, device: Device, now: float) -> Claim:
        """The terms on which a blocked task holds a device."""
        if self.bounded:
            shadow = device.shadow(task.metadata.cost.units)
            if shadow is not None:
                return Claim(task, shadow.spare, shadow.end, counted=False)
            if self.exhausted(task, now):
                return Claim(task)
        elif self.window == 0:
            return Claim(task)
        return Claim(task, math.inf, counted=True)

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
    """The walk down the line. ``find`` returns the next start; the devices' claims then say why there is no other."""

    __slots__ = (
        "_backfill",
        "_behind",
        "_bound",
        "_boxes",
        "_capacity_most",
        "_devices",
        "_exhausted",
        "_head",
        "_now",
        "_tasks",
        "_waiting",
        "settled",
    )

    def __init__(self, waiting: Waiting, tasks: Mapping[str, ScheduledTask], backfill: Backfill) -> None:
        self._waiting = waiting
        self._tasks = tasks
        self._backfill = backfill
        self._devices: Sequence[Device] = ()
        self._capacity_most = 0
        self._now = 0.0
        # Rank up to which tasks have been visited, and what is on offer behind it: to tasks that cost at most
        # ``_bound``, and to those inside a box (largest cost, longest run limit).
        self._behind = -1
        self._bound: float = 0
        self._boxes: list[tuple[float, float]] = []
        # Exhausted tasks, which are visited even when nothing on offer fits them; last one first.
        self._exhausted: list[tuple[int, ScheduledTask]] = []
        # The first task in line that some device is large enough for, where that is known.
        self._head: tuple[int, ScheduledTask] | None = None
        #: Whether the last walk found that nothing more may start, and nothing has happened since to change that.
        self.settled = False

    # -- what happens between walks ------------------------------------------------------------------------------

    def resized(self, devices: Sequence[Device]) -> None:
        """There are other devices, or they have other capacities."""
        self._devices = devices
        self._capacity_most = max(device.capacity for device in devices)
        self._head = None
        self.settled = False

    def joined(self, rank: int, task: ScheduledTask) -> None:
        """A task has taken a place in the line."""
        units = task.metadata.cost.units
        if rank < self._behind:
            if units <= self._capacity_most:
                self.settled = False
                if self._head is not None and rank < self._head[0]:
                    self._head = (rank, task)
        elif units <= self._bound or (self._boxes and any(units <= cost for cost, _ in self._boxes)):
            self.settled = False

    def left(self, rank: int) -> None:
        """A task has left the line."""
        if self._head is not None and rank == self._head[0]:
            self._head = None
        if rank <= self._behind:
            self.settled = False

    # -- the walk ------------------------------------------------------------------------------------------------

    def find(self, now: float) -> tuple[int, ScheduledTask, Device] | None:
        """The next task to start, its rank, and where; ``None`` when nothing more may start."""
        self._begin(now)
        visited = self._head
        while visited is not None:
            rank, task = visited
            device = self._place(task)
            if device is not None:
                return rank, task, device
            self._behind = rank
            self._hold(task)
            visited = self._next()
        self.settled = True
        return None

    def _begin(self, now: float) -> None:
        self._now = now
        self._behind = -1
        for device in self._devices:
            device.claim = None
        self._bound = self._capacity_most
        self._boxes = []
        if self._head is None:
            self._head = self._waiting.line.first(self._capacity_most)
        exhausted = [self._tasks[task_id] for task_id in self._backfill.all_exhausted(now)]
        self._exhausted = sorted(((self._waiting.rank(task), task) for task in exhausted), reverse=True, key=_by_rank)

    def _next(self) -> tuple[int, ScheduledTask] | None:
        """The next task behind those visited that may start, claim or close something."""
        line = self._waiting.line
        if self._boxes:
            found = line.after_within(self._behind, self._bound, self._boxes)
        else:
            found = line.after(self._behind, self._bound)
        if self._exhausted:
            while self._exhausted and self._exhausted[-1][0] <= self._behind:
                self._exhausted.pop()
            if self._exhausted and (found is None or self._exhausted[-1][0] <= found[0]):
                found = self._exhausted.pop()
        return found

    def _place(self, task: ScheduledTask) -> Device | None:
        """The best device on which the task may start now."""
        metadata = task.metadata
        units = metadata.cost.units
        best: Device | None = None
        for device in self._devices:
            if device.free < units:
                continue
            claim = device.claim
            if claim is not None and not claim.permits(units, metadata.run_timeout, self._now):
                continue
            if best is None or (claim is not None, device.free) < (best.claim is not None, best.free):
                best = device
        return best

    def _hold(self, task: ScheduledTask) -> None:
        """Let a task that cannot start claim a device, or close one that it has waited for too long."""
        units = task.metadata.cost.units
        usable = [device for device in self._devices if device.capacity >= units]
        unclaimed = [device for device in usable if device.claim is None]
        if unclaimed:
            device = self._backfill.best(task, unclaimed)
            device.claim = self._backfill.claim(task, device, self._now)
        elif usable and self._backfill.exhausted(task, self._now):
            claim = self._backfill.best(task, usable).claim
            assert claim is not None
            claim.close()
        else:
            return
        self._measure()

    def _measure(self) -> None:
        """Work out what is still on offer to the tasks further down the line."""
        self._bound = 0
        self._boxes = []
        for device in self._devices:
            claim = device.claim
            offer = device.capacity if claim is None else min(device.free, claim.offer)
            self._bound = max(self._bound, offer)
            if claim is not None and claim.until > self._now and device.free > 0:
                self._boxes.append((device.free, claim.until - self._now))


def _by_rank(visit: tuple[int, ScheduledTask]) -> int:
    return visit[0]
