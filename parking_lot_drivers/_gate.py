"""Where submissions become tasks of a queue that several hosts share.

On a lot of its own, a pool's scheduler admits tasks. Where hosts share a lot, sequence numbers and fair-share tags must
be one for all of them. So tasks are admitted by a scheduler of the same policy that lives for one turn only: it starts
from what the queue has reserved, and it has no units, so that it starts nothing. The host's own scheduler is then
offered those tasks that belong into its window.
"""

from __future__ import annotations

import math

import attrs

from parking_lot_core import (
    CapacityChanged,
    Checkpoint,
    DeviceView,
    PoolConfig,
    Reject,
    RejectReason,
    ScheduledTask,
    Scheduler,
    Submitted,
    TaskMetadata,
)

#: Order of tasks that wait: smaller is served first.
Rank = tuple[float, float, float]

LAST: Rank = (math.inf, 0, 0)


def rank(task: ScheduledTask) -> Rank:
    """The place of a task in the order of the queue, as stores sort it."""
    return (-task.metadata.priority, task.tag, task.sequence)


class Gate:
    """Admits the submissions of one turn.

    Args:
        config: the pool's policy.
        reserved: numbers and tags, from the queue.
        devices: of the host's scheduler; no task larger than the largest of them ever was is admitted.
        room: how many more tasks the lot has room for.
        until: tasks that rank before this are for the host's own scheduler to know; the others wait in the queue.
        now: seconds since the Unix epoch.
    """

    def __init__(
        self,
        config: PoolConfig,
        reserved: Checkpoint,
        devices: tuple[DeviceView, ...],
        *,
        largest: int,
        room: int,
        until: Rank,
        now: float,
    ) -> None:
        self.room = room
        self.until = until
        self._scheduler = Scheduler.restore(config, (), attrs.evolve(reserved, now=now))
        for device in devices:
            self.resize(device.name, largest, now)

    def resize(self, device: str, units: int, now: float) -> None:
        """Take note of how large a device may be; here, none of its units are free."""
        self._scheduler.step(CapacityChanged(device, units, now))
        self._scheduler.step(CapacityChanged(device, 0, now))

    def admit(self, metadata: TaskMetadata, now: float) -> ScheduledTask | RejectReason:
        """The task as it enters the queue, or why it may not."""
        if self.room <= 0:
            return RejectReason.QUEUE_FULL
        first = self._scheduler.step(Submitted(metadata, now))[0]
        if isinstance(first, Reject):
            return first.reason
        self.room -= 1
        return first.task  # type: ignore[union-attr]  # Enqueue

    def shares(self) -> tuple[tuple[str, int], ...]:
        """The finish tags of tenants after this turn."""
        return self._scheduler.checkpoint().finish_tags
