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
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from parking_lot_core.backfill import Backfill
from parking_lot_core.band import Offer
from parking_lot_core.devices import Claim, Device
from parking_lot_core.line import WaitingLine
from parking_lot_core.types import ScheduledTask

Visit: TypeAlias = tuple[int, ScheduledTask]
"""A rank, and the task in the line that has it."""

Found: TypeAlias = tuple[int, ScheduledTask, Device]
"""A rank, the task in the line that has it, and the device on which it starts."""


class Walk:
    """The walk down the line. ``starts`` yields every start; the devices' claims then say why there is no other."""

    __slots__ = (
        "_backfill",
        "_behind",
        "_bound",
        "_capacity_least",
        "_capacity_most",
        "_devices",
        "_head",
        "_line",
        "_now",
        "_offer",
        "_only",
        "settled",
    )

    # ``resized`` and walks set all of these before anybody reads them.
    _devices: Sequence[Device]
    # The device, where there is one.
    _only: Device | None
    _capacity_most: int
    _capacity_least: int
    _now: float
    # Rank up to which tasks have been visited, and the largest cost that anything is on offer for behind it. Where it
    # also depends on run limits, ``_offer`` says how.
    _behind: int
    _bound: float
    _offer: Offer | None
    # The first task in line that some device is large enough for, where that is known.
    _head: Visit | None
    #: Whether the last walk found that nothing more may start, and nothing has happened since to change that.
    settled: bool

    def __init__(self, line: WaitingLine, backfill: Backfill) -> None:
        """``resized`` must follow."""
        self._line = line
        self._backfill = backfill

    # -- what happens between walks ------------------------------------------------------------------------------

    def resized(self, devices: Sequence[Device]) -> None:
        """There are other devices, or they have other capacities."""
        self._devices = devices
        self._only = devices[0] if len(devices) == 1 else None
        self._capacity_most = max(device.capacity for device in devices)
        self._capacity_least = min(device.capacity for device in devices)
        self._head = None
        self.settled = False

    def joined(self, rank: int, task: ScheduledTask) -> None:
        """A task has taken a place in the line."""
        units = task.metadata.cost.units
        head = self._head
        if head is None or rank < head[0]:
            if units <= self._capacity_most:
                if head is not None or self.settled:  # if not, the head is yet to be found
                    self._head = (rank, task)
                self.settled = False
        elif rank < self._behind or units <= self._bound:
            self.settled = False

    def released(self) -> None:
        """Units have come back."""
        if self._head is not None:
            self.settled = False

    def left(self, rank: int) -> None:
        """A task has left the line."""
        if self._head is not None and rank == self._head[0]:
            self._head = None
        self.settled = False

    # -- the walk ------------------------------------------------------------------------------------------------

    def starts(self, now: float) -> Iterator[Found]:
        """Walk until nothing more may start, and yield every task that does: its rank, the task, and its device.

        Before it asks for the next one, the caller takes the task out of the line and its units from the device.
        """
        return self._starts_among(now) if self._only is None else self._starts_on(self._only, now)

    def look(self, now: float) -> None:
        """Bring the devices' claims up to date between steps, when nothing may start."""
        next(self.starts(now), None)

    def _starts_on(self, device: Device, now: float) -> Iterator[Found]:
        """The walk where there is one device: the head claims it, and the first exhausted task behind closes it."""
        line, backfill = self._line, self._backfill
        while (head := self._head or self._find_head()) is not None and head[1].metadata.cost.units <= device.free:
            self._head = device.claim = None
            yield head[0], head[1], device
        if head is None:
            self._begin(now)
            self.settled = True
            return
        claim = self._claim_again(head, device, now)
        last = backfill.closed_by(claim.rank, device, now)
        while True:
            # What is on offer is smaller than the head, and than all ahead of it, which no device could take.
            if claim.counted:
                self._bound = device.free
                found = line.first(device.free, last)
            else:
                self._measure()
                found = self._search(0, last)
            if found is None:
                break
            yield found[0], found[1], device
            if claim.counted:
                backfill.passed(claim, now)
            else:
                backfill.settle(claim, device, now)
            if found[0] == last:
                last = backfill.closed_by(claim.rank, device, now)
        self.settled = True

    def _claim_again(self, head: Visit, device: Device, now: float) -> Claim:
        """The head's claim on the only device, which may be the one that the last walk made."""
        self._now = now
        self._behind = head[0]
        claim = device.claim
        if claim is None or claim.task is not head[1] or claim.rank != head[0]:
            claim = device.claim = Claim(head[0], head[1])
        self._backfill.settle(claim, device, now)
        return claim

    def _starts_among(self, now: float) -> Iterator[Found]:
        """The walk where there are several devices: who claims which may change with every start."""
        while (found := self._first_start(now)) is not None:
            yield found
            claim = found[2].claim
            if claim is not None and claim.counted:
                self._backfill.passed(claim, now)
        self.settled = True

    def _begin(self, now: float) -> None:
        self._now = now
        self._behind = 0
        self._bound = self._capacity_most
        for device in self._devices:
            device.claim = None

    def _find_head(self) -> Visit | None:
        """The first task that some device is large enough for: nobody else may start, claim or close before it."""
        self._head = self._line.first(self._capacity_most)
        return self._head

    def _first_start(self, now: float) -> Found | None:
        """Walk from the top to the first start."""
        self._begin(now)
        exhausted = [(mark.rank, mark.task) for mark in reversed(self._backfill.exhausted(now))]
        visited = self._head or self._find_head()
        while visited is not None:
            rank, task = visited
            device = self._place(task)
            if device is not None:
                if visited is self._head:
                    self._head = None
                return rank, task, device
            self._behind = rank
            self._hold(rank, task)
            visited = self._next(exhausted)
        return None

    def _next(self, exhausted: list[Visit]) -> Visit | None:
        """The next task behind those visited that may start, claim or close something."""
        found = self._search(self._behind, math.inf)
        # Exhausted tasks, the last one first, are visited even when nothing on offer fits them.
        while exhausted and exhausted[-1][0] <= self._behind:
            exhausted.pop()
        if exhausted and (found is None or exhausted[-1][0] <= found[0]):
            found = exhausted.pop()
        return found

    def _search(self, behind: int, last: float) -> Visit | None:
        """The first task behind one rank, and not behind another, that something is on offer for."""
        if self._offer is None:
            return self._line.after(behind, self._bound, last)
        return self._line.after_within(behind, self._offer, last)

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

    def _hold(self, rank: int, task: ScheduledTask) -> None:
        """Let a task that cannot start claim a device, or close one that it has waited for too long."""
        units = task.metadata.cost.units
        usable = self._devices
        if units > self._capacity_least:
            usable = [device for device in usable if device.capacity >= units]
        unclaimed = [device for device in usable if device.claim is None]
        if unclaimed:
            device = self._backfill.best(task, unclaimed)
            claim = device.claim = Claim(rank, task)
            self._backfill.settle(claim, device, self._now)
        elif usable:
            # Nothing was on offer for this task: it was visited because its window is over.
            closed = self._backfill.best(task, usable).claim
            assert closed is not None
            closed.close()
        else:
            return
        self._measure()

    def _measure(self) -> None:
        """Work out what is still on offer to the tasks further down the line."""
        bound: float = 0
        boxes: list[tuple[float, float]] = []
        for device in self._devices:
            claim = device.claim
            reach: float = device.capacity if claim is None else device.free
            if claim is not None and not claim.counted:
                if claim.until > self._now and reach > 0:
                    boxes.append((reach, claim.until - self._now))
                reach = min(reach, claim.offer)
            if reach > bound:
                bound = reach
                if bound == self._capacity_most:
                    boxes = []  # whatever is left in the line may claim a device
                    break
        self._offer = Offer(bound, boxes) if boxes else None
        self._bound = bound if self._offer is None else self._offer.widest
