"""Why a task waits, in values and in a sentence."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from parking_lot_core.backfill import Backfill
from parking_lot_core.devices import Device
from parking_lot_core.types import ScheduledTask, TaskState


class Reason(enum.Enum):
    """Why a task does not run, or that it does."""

    RUNNING = "running"
    STOPPING = "stopping"
    DELAYED = "delayed"
    TOO_LARGE_NOW = "too large now"
    FIRST_IN_LINE = "first in line"
    HELD_BACK = "held back"
    BEHIND = "behind"


@attrs.frozen(kw_only=True)
class Explanation:
    """Where a task stands, and what it waits for. Times in seconds since the epoch.

    Attributes:
        reason: ``FIRST_IN_LINE``: its device's next task, short of units. ``HELD_BACK``: it would fit, but must not
            pass ``ahead``. ``BEHIND``: it neither fits nor is next. ``TOO_LARGE_NOW``: no device is large enough.
        device: the device that it runs on, or is most likely to start on.
        position: its place in the waiting line, 1 for the first.
        ahead: the task that this device is kept for.
        units_short: units that the device lacks for it now; 0 if it would fit.
        passed_over_since: when lower-ranked tasks first passed it.
        passed_over_until: the latest moment at which they still may, once they have.
        starts_by: when it starts at the latest, if every running task keeps to its run limit.
        delayed_until: before this it is not considered.
    """

    task_id: str
    reason: Reason
    device: str | None = None
    position: int | None = None
    ahead: str | None = None
    units_short: int = 0
    passed_over_since: float | None = None
    passed_over_until: float | None = None
    starts_by: float | None = None
    delayed_until: float | None = None

    def __str__(self) -> str:
        """One sentence for a person."""
        return f"{self.task_id} {_SENTENCES[self.reason].format(self=self)}."


_SENTENCES = {
    Reason.RUNNING: "is running on device {self.device}",
    Reason.STOPPING: "was told to stop, and is stopping on device {self.device}",
    Reason.DELAYED: "is not to start before {self.delayed_until}",
    Reason.TOO_LARGE_NOW: "is larger than any device is at present",
    Reason.FIRST_IN_LINE: "is next on device {self.device}, which is {self.units_short} units short",
    Reason.HELD_BACK: "would fit on device {self.device}, which is kept for {self.ahead}",
    Reason.BEHIND: "is number {self.position} in line; device {self.device} is {self.units_short} units short of it",
}


def explain(
    task: ScheduledTask,
    position: int | None,
    now: float,
    devices: Sequence[Device],
    backfill: Backfill,
) -> Explanation:
    """Explain one task, given devices with the claims of a walk that found nothing more to start."""
    if task.state is not TaskState.PARKED:
        running = task.state is TaskState.RUNNING
        return Explanation(task_id=task.id, reason=Reason.RUNNING if running else Reason.STOPPING, device=task.device)
    if position is None:
        return Explanation(task_id=task.id, reason=Reason.DELAYED, delayed_until=task.ready_at)
    usable = [device for device in devices if device.capacity >= task.units]
    since = backfill.since(task.id)
    until = since + backfill.window if since is not None and backfill.bounded else None
    marks = {"position": position, "passed_over_since": since, "passed_over_until": until}
    if not usable:
        return Explanation(task_id=task.id, reason=Reason.TOO_LARGE_NOW, **marks)  # type: ignore[arg-type]
    claimed = [device for device in usable if device.claim is not None and device.claim.task is task]
    device = claimed[0] if claimed else backfill.best(task, usable)
    assert device.claim is not None, "a walk has passed over a device that the task could have claimed"
    short = max(0, task.units - device.free)
    shadow = device.shadow(task.units) if claimed and backfill.bounded else None
    return Explanation(
        task_id=task.id,
        reason=Reason.FIRST_IN_LINE if claimed else Reason.BEHIND if short else Reason.HELD_BACK,
        device=device.name,
        ahead=None if claimed else device.claim.task.id,
        units_short=short,
        starts_by=None if shadow is None else max(now, shadow.end),
        **marks,  # type: ignore[arg-type]
    )
