"""What the model knows: one plain list of tasks and one of devices, how both are saved, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self

import attrs

from parking_lot_core import Checkpoint, Command, DeviceRecord, PoolConfig, ScheduledTask, TaskState

HOLDING = (TaskState.RUNNING, TaskState.STOPPING)


@attrs.frozen
class DeviceView:
    """A device as a reader sees it."""

    name: str
    capacity: int
    used: int

    @property
    def free(self) -> int:
        return self.capacity - self.used


class Ledger:
    """The state of the model. Deciding is ``Model``'s business."""

    def __init__(self, config: PoolConfig) -> None:
        self.config = config
        self.now = 0.0
        self.next_sequence = 1
        self.virtual_time = 0
        self.finish_tags: dict[str, int] = {}
        self.passed_over: dict[str, float] = {}
        self.known: list[ScheduledTask] = []
        self.records = [device_record(name, units) for name, units in config.budgets.items()]
        self.counters = {"stale_finishes": 0, "stale_withdrawals": 0, "idle_cancels": 0, "ignored_offers": 0}
        self.claims: dict[str, ScheduledTask] = {}
        self.out: list[Command] = []

    def _replace(self, task: ScheduledTask) -> None:
        self.known = [task if other.id == task.id else other for other in self.known]

    def _forget(self, task: ScheduledTask) -> None:
        self.known = [other for other in self.known if other.id != task.id]
        self.passed_over.pop(task.id, None)

    def _holding(self, device: str) -> list[ScheduledTask]:
        return [task for task in self.known if task.state in HOLDING and task.device == device]

    def _free(self, device: DeviceRecord) -> int:
        return device.capacity - sum(task.units for task in self._holding(device.device))

    # Saving

    def checkpoint(self) -> Checkpoint:
        ahead = {tenant: tag for tenant, tag in self.finish_tags.items() if tag > self.virtual_time}
        return Checkpoint(
            now=self.now,
            next_sequence=self.next_sequence,
            virtual_time=self.virtual_time,
            finish_tags=tuple(sorted(ahead.items())),
            passed_over=tuple(sorted(self.passed_over.items())),
            devices=tuple(self.records),
        )

    @classmethod
    def restore(cls, config: PoolConfig, tasks: Iterable[ScheduledTask], checkpoint: Checkpoint) -> Self:
        model = cls(config)
        model.now = checkpoint.now
        model.next_sequence = checkpoint.next_sequence
        model.virtual_time = checkpoint.virtual_time
        model.finish_tags = dict(checkpoint.finish_tags)
        model.passed_over = dict(checkpoint.passed_over)
        model.known = list(tasks)
        model._restore_devices(checkpoint.devices)
        return model

    def _restore_devices(self, saved: Iterable[DeviceRecord]) -> None:
        configured = self.config.budgets
        valid = {record.device: record for record in saved if record.configured == configured.get(record.device, 0)}
        self.records = [valid.pop(record.device, record) for record in self.records]
        self.records += valid.values()
        for task in sorted(self.known, key=lambda task: task.sequence):
            if task.device is not None and all(record.device != task.device for record in self.records):
                self.records.append(device_record(task.device, 0))

    # Views

    @property
    def devices(self) -> tuple[DeviceView, ...]:
        return tuple(DeviceView(d.device, d.capacity, d.capacity - self._free(d)) for d in self.records)

    @property
    def queue_depth(self) -> int:
        return len([task for task in self.known if task.state is TaskState.PARKED])

    @property
    def running_count(self) -> int:
        return len([task for task in self.known if task.state in HOLDING])

    @property
    def places_taken(self) -> int:
        return len([task for task in self.known if task.state is not TaskState.STOPPING])

    @property
    def largest_device(self) -> int:
        return max(record.capacity_max for record in self.records)

    def tasks(self) -> Iterator[ScheduledTask]:
        return iter(self.known)

    def get(self, task_id: str) -> ScheduledTask | None:
        found = [task for task in self.known if task.id == task_id]
        return found[0] if found else None


def device_record(name: str, units: int) -> DeviceRecord:
    """A device that has its configured capacity and never had another (0: it is not configured)."""
    return DeviceRecord(device=name, configured=units, capacity=units, capacity_max=units)


def planned_end(task: ScheduledTask) -> float | None:
    """When a running or stopping task should end by its run limit."""
    limit = task.metadata.run_timeout
    return None if limit is None or task.started_at is None else task.started_at + limit
