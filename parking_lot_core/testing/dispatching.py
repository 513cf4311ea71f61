"""The part of the model that follows the section "Dispatch" of the rules: who starts, and where."""

from __future__ import annotations

import enum
import math

from parking_lot_core import DeviceRecord, Move, Priority, ScheduledTask, Start, TaskState
from parking_lot_core._values import evolve
from parking_lot_core.lifecycle import move
from parking_lot_core.testing.ledger import Ledger, planned_end


class Verdict(enum.Enum):
    """What the claim of a blocked task says to another that would like to use the device first."""

    NO = "no"
    YES = "yes"
    AS_A_PASS = "yes, and the claimant is passed over"


class Dispatching(Ledger):
    """One walk after the other, from the top of the line."""

    def _walk(self) -> bool:
        """Start one task, the first that may. Returns whether there was one."""
        claims: dict[str, ScheduledTask] = {}
        self.claims = claims
        closed: set[str] = set()
        free = {device.device: self._free(device) for device in self.records}
        for task in self.waiting():
            usable = [device for device in self.records if device.capacity >= task.units]
            fits = [
                device
                for device in usable
                if device.device not in closed
                and free[device.device] >= task.units
                and self._verdict(claims.get(device.device), device, task) is not Verdict.NO
            ]
            if fits:
                device = min(fits, key=lambda device: (device.device in claims, free[device.device]))
                head = claims.get(device.device)
                if head is not None and self._verdict(head, device, task) is Verdict.AS_A_PASS:
                    self.passed_over.setdefault(head.id, self.now)
                self._start(task, device)
                return True
            unclaimed = [device for device in usable if device.device not in claims]
            if unclaimed:
                claims[self._best(task, unclaimed).device] = task
            elif usable and self._exhausted(task):
                closed.add(self._best(task, usable).device)
        return False

    def waiting(self) -> list[ScheduledTask]:
        """Eligible tasks, highest rank first."""
        parked = [task for task in self.known if task.state is TaskState.PARKED]
        eligible = [task for task in parked if task.ready_at is None or task.ready_at <= self.now]
        return sorted(eligible, key=lambda task: (-self._class(task), task.tag, task.sequence))

    def _class(self, task: ScheduledTask) -> int:
        gained = len([moment for moment in self._gains(task) if moment <= self.now])
        return min(Priority.CRITICAL, task.metadata.priority + gained)

    def _gains(self, task: ScheduledTask) -> list[float]:
        """When the task gains a class; more than three gains make no difference."""
        if self.config.aging is None:
            return []
        since = max(task.admitted_at, -math.inf if task.metadata.not_before is None else task.metadata.not_before)
        return [since + k * self.config.aging for k in (1, 2, 3)]

    def _verdict(self, head: ScheduledTask | None, device: DeviceRecord, task: ScheduledTask) -> Verdict:
        """What the claim of ``head`` on ``device`` says to ``task``."""
        window = self.config.backfill_window
        if head is None:
            return Verdict.YES
        if window == 0:
            return Verdict.NO
        if window == math.inf:
            return Verdict.AS_A_PASS
        shadow = self._shadow(head, device)
        if shadow is not None:
            end, spare = shadow
            limit = math.inf if task.metadata.run_timeout is None else task.metadata.run_timeout
            return Verdict.YES if task.units <= spare or limit <= end - self.now else Verdict.NO
        return Verdict.NO if self._exhausted(head) else Verdict.AS_A_PASS

    def _best(self, task: ScheduledTask, devices: list[DeviceRecord]) -> DeviceRecord:
        """The device to claim or to close."""

        def key(device: DeviceRecord) -> tuple[float, int]:
            shadow = self._shadow(task, device) if 0 < self.config.backfill_window < math.inf else None
            return (math.inf if shadow is None else shadow[0], task.units - self._free(device))

        return min(devices, key=key)

    def _shadow(self, head: ScheduledTask, device: DeviceRecord) -> tuple[float, int] | None:
        """When ``device`` will have room for ``head`` at the latest, and the units that it will not need then."""
        units = self._free(device)
        if units >= head.units:
            return -math.inf, units - head.units
        ending = [(end, task) for task in self._holding(device.device) if (end := planned_end(task)) is not None]
        for end, task in sorted(ending, key=lambda ends: (ends[0], ends[1].sequence)):
            units += task.units
            if units >= head.units:
                return end, units - head.units
        return None

    def _exhausted(self, task: ScheduledTask) -> bool:
        window = self.config.backfill_window
        since = self.passed_over.get(task.id)
        return 0 < window < math.inf and since is not None and self.now - since >= window

    def _start(self, task: ScheduledTask, device: DeviceRecord) -> None:
        running = evolve(
            task,
            state=move(task.state, Move.START),
            epoch=task.epoch + 1,
            attempts=task.attempts + 1,
            ready_at=None,
            device=device.device,
            started_at=self.now,
        )
        self.virtual_time = max(self.virtual_time, task.tag)
        self.passed_over.pop(task.id, None)
        self._replace(running)
        self.out.append(Start(running, device.device, running.epoch))

    def position(self, task_id: str) -> int | None:
        waiting = [task.id for task in self.waiting()]
        return waiting.index(task_id) + 1 if task_id in waiting else None
