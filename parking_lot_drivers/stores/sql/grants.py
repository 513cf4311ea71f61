"""What may start under a budget that several processes share: the arithmetic, wherever the database lies."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from parking_lot_core import ScheduledTask, TaskState
from parking_lot_drivers.ports import Batch


class Grants:
    """Units of a shared budget in one transaction, which has the budget to itself.

    Args:
        units: what each device has.
        held: what running tasks hold of it, also those of this host that go on running; not counting those that ask.
    """

    def __init__(self, units: Mapping[str, int], held: Mapping[str, int]) -> None:
        self._free = {device: count - held.get(device, 0) for device, count in units.items()}

    def take(self, task: ScheduledTask) -> bool:
        """Hold the units of a started task, and say whether there were enough."""
        device, units = task.device, task.metadata.cost.units
        if device is None or self._free.get(device, 0) < units:
            return False
        self._free[device] -= units
        return True


def as_waiting(task: ScheduledTask) -> ScheduledTask:
    """A started task as it stood before its start."""
    return ScheduledTask(
        task.metadata,
        task.sequence,
        task.tag,
        task.admitted_at,
        TaskState.PARKED,
        task.epoch - 1,
        task.attempts - 1,
    )


def starts_of(batch: Batch) -> list[ScheduledTask]:
    """The tasks that run after the batch, in its order."""
    tasks = [stored.task for stored in batch.added] + [*batch.claimed, *batch.changed]
    return [task for task in tasks if task.state is not TaskState.PARKED]


def without_starts(batch: Batch, refused: Collection[str]) -> Batch:
    """The batch without the starts of these tasks, which wait on."""
    if not refused:
        return batch
    return attrs.evolve(
        batch,
        added=[
            attrs.evolve(stored, task=as_waiting(stored.task)) if stored.task.id in refused else stored
            for stored in batch.added
        ],
        claimed=[task for task in batch.claimed if task.id not in refused],
        changed=[as_waiting(task) if task.id in refused else task for task in batch.changed],
    )
