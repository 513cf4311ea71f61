"""The books: every task that the scheduler knows, and the units that tasks wait for and hold.

What a task goes through happens here, whatever the event was that caused it (``scheduler.py``):

- ``tasks``: every task that is parked, running or stopping, as the value that a store would keep. A change replaces
  the value; the old one may already be on its way to a disk.
- ``waiting``: the parked ones among them, in rank order, and those that are delayed (``waiting.py``).
- ``devices``: the budgets. Units are taken in ``hold`` and given back in ``release``, nowhere else.
- ``walk``: which task starts next (``dispatch.py``). Whatever could let a task start unsettles it; ``dispatch`` then
  starts tasks until it is settled again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from parking_lot_core._values import evolve
from parking_lot_core.backfill import Backfill, Mark
from parking_lot_core.checkpoint import Checkpoint
from parking_lot_core.commands import Command, Expire, Interrupt, Start
from parking_lot_core.config import PoolConfig
from parking_lot_core.devices import Device, planned_end
from parking_lot_core.dispatch import Walk
from parking_lot_core.lifecycle import Move, move
from parking_lot_core.ranking import FairShare
from parking_lot_core.timers import Alarm, Timer, Timers
from parking_lot_core.types import OutcomeStatus, ScheduledTask, TaskState
from parking_lot_core.waiting import Waiting

# Reached often, and slow to reach through its class in CPython 3.11.
_STOPPING = TaskState.STOPPING

# The move of a parked task, looked up once.
_STARTED = move(TaskState.PARKED, Move.START)


class Lot:
    """All that is parked, running or stopping at present."""

    __slots__ = (
        "_sequences",
        "backfill",
        "capacity_ever",
        "devices",
        "next_sequence",
        "now",
        "running",
        "share",
        "stopping",
        "tasks",
        "timers",
        "waiting",
        "walk",
    )

    #: The most units that any device ever had: no larger task is admitted.
    capacity_ever: int

    def __init__(self, config: PoolConfig) -> None:
        self.now = 0.0
        self.next_sequence = 1
        self.tasks: dict[str, ScheduledTask] = {}
        self.running = 0
        self.stopping = 0
        # Sequences in use; only a scheduler that is offered tasks numbered elsewhere has to know them.
        self._sequences: set[int] | None = None
        self.share = FairShare(config.tenants)
        self.backfill = Backfill(config.backfill_window)
        self.timers = Timers(self._is_live)
        self.waiting = Waiting(config.aging, self.timers)
        self.walk = Walk(self.waiting.line, self.backfill)
        self.devices = {name: Device(name, units) for name, units in config.budgets.items()}
        self._measure()

    # -- what a task goes through --------------------------------------------------------------------------------

    def park(self, task: ScheduledTask) -> None:
        """Keep a parked task."""
        self.tasks[task.metadata.id] = task
        if self._sequences is not None:
            self._sequences.add(task.sequence)
        rank = self.waiting.park(task, self.now)
        if rank is not None:
            self.walk.joined(rank, task)

    def knows(self, task: ScheduledTask) -> bool:
        """Whether this id or this sequence is in use."""
        if self._sequences is None:
            self._sequences = {known.sequence for known in self.tasks.values()}
        return task.metadata.id in self.tasks or task.sequence in self._sequences

    def leave(self, task: ScheduledTask) -> None:
        """A parked task ends without running."""
        rank = self.waiting.leave(task)
        if rank is not None:
            self.walk.left(rank)
        self.backfill.unmark(task.metadata.id)
        self.forget(task)

    def forget(self, task: ScheduledTask) -> None:
        """The task is gone for good."""
        del self.tasks[task.metadata.id]
        self.waiting.forget(task.metadata.id)
        if self._sequences is not None:
            self._sequences.discard(task.sequence)
        if self.timers.earliest != math.inf:
            self.timers.compact(len(self.tasks))

    def dispatch(self, commands: list[Command]) -> None:
        """Start what may start."""
        for rank, task, device in self.walk.starts(self.now):
            self.waiting.line.remove(rank)
            self.backfill.unmark(task.metadata.id)
            commands.append(self._start(task, device))

    def _start(self, task: ScheduledTask, device: Device) -> Start:
        epoch = task.epoch + 1
        started = ScheduledTask(
            task.metadata,
            task.sequence,
            task.tag,
            task.admitted_at,
            _STARTED,
            epoch,
            task.attempts + 1,
            None,
            device.name,
            self.now,
        )
        self._hold(started, device)
        assert device.free >= 0, "a start exceeded the device's capacity"
        if task.tag:
            self.share.started(task.tag)
        return Start(started, device.name, epoch)

    def _hold(self, task: ScheduledTask, device: Device) -> None:
        """Keep a running task: its units are taken until ``release``."""
        self.tasks[task.metadata.id] = task
        self.running += 1
        device.take(task)
        if task.metadata.run_timeout is not None:
            self.timers.set(planned_end(task), task.sequence, Alarm.RUN_LIMIT, task.metadata.id)

    def interrupt(self, task: ScheduledTask, reason: OutcomeStatus, commands: list[Command]) -> None:
        """A running task must stop. It holds its units until its executor says that it has."""
        state = move(task.state, Move.INTERRUPT)
        self.tasks[task.id] = evolve(task, state=state, stop_reason=reason)
        self.running -= 1
        self.stopping += 1
        commands.append(Interrupt(task.id, task.epoch, reason))

    def release(self, task: ScheduledTask) -> None:
        """A run has ended: its units come back, once."""
        assert task.device is not None
        self.devices[task.device].release(task)
        if task.state is _STOPPING:
            self.stopping -= 1
        else:
            self.running -= 1
        self.walk.released()

    # -- timers --------------------------------------------------------------------------------------------------

    def fire_due(self, commands: list[Command]) -> None:
        """Let the timers speak that are due."""
        while (timer := self.timers.pop_due(self.now)) is not None:
            _, _, alarm, task_id = timer
            task = self.tasks[task_id]
            if alarm == Alarm.EXPIRE:
                move(task.state, Move.EXPIRE)
                self.leave(task)
                commands.append(Expire(task))
            elif alarm == Alarm.RUN_LIMIT:
                self.interrupt(task, OutcomeStatus.TIMED_OUT, commands)
            elif alarm == Alarm.READY:
                self.walk.joined(self.waiting.ready(task), task)
            elif (ranks := self.waiting.promote(task)) is not None:
                self.walk.left(ranks[0])
                self.walk.joined(ranks[1], task)
                self.backfill.promoted(task_id, ranks[1])

    def _is_live(self, timer: Timer) -> bool:
        due, sequence, alarm, task_id = timer
        task = self.tasks.get(task_id)
        if task is None or task.sequence != sequence:
            return False
        if alarm == Alarm.RUN_LIMIT:
            return task.state is TaskState.RUNNING and planned_end(task) == due
        if task.state is not TaskState.PARKED:
            return False
        if alarm == Alarm.EXPIRE:
            return task.metadata.start_by == due
        if alarm == Alarm.READY:
            return task.ready_at == due and not self.waiting.in_line(task_id)
        return self.waiting.next_promotion_at(task) == due

    # -- devices -------------------------------------------------------------------------------------------------

    def resize(self, name: str, units: int) -> None:
        """Change the capacity of a device; a name that is new adds one."""
        self._device(name).resize(units)
        self._measure()

    def _device(self, name: str) -> Device:
        device = self.devices.get(name)
        if device is None:
            device = self.devices[name] = Device(name, 0)
        return device

    def _measure(self) -> None:
        """Capacities have changed: what follows from them is worked out again."""
        devices = tuple(self.devices.values())
        self.capacity_ever = max(device.capacity_max for device in devices)
        self.walk.resized(devices)

    # -- saving and restoring ------------------------------------------------------------------------------------

    def checkpoint(self) -> Checkpoint:
        """What must be kept beside the tasks."""
        return Checkpoint(
            now=self.now,
            next_sequence=self.next_sequence,
            virtual_time=self.share.virtual_time,
            finish_tags=self.share.finish_tags(),
            passed_over=self.backfill.passed_over(),
            devices=tuple(device.record() for device in self.devices.values()),
        )

    def restore(self, tasks: Iterable[ScheduledTask], checkpoint: Checkpoint) -> None:
        """Fill an empty lot with what was saved."""
        self.now = checkpoint.now
        self.next_sequence = checkpoint.next_sequence
        self.share.restore(checkpoint.virtual_time, checkpoint.finish_tags)
        for record in checkpoint.devices:
            device = self._device(record.device) if record.configured == 0 else self.devices.get(record.device)
            if device is not None and device.configured == record.configured:
                device.resize(record.capacity_max)
                device.resize(record.capacity)
        for task in tasks:
            self._adopt(task)
        self.backfill.restore(self._marks(checkpoint))
        self._measure()

    def _marks(self, checkpoint: Checkpoint) -> Iterator[Mark]:
        for task_id, since in checkpoint.passed_over:
            task = self.tasks.get(task_id)
            if task is not None and task.state is TaskState.PARKED:
                yield Mark(self.waiting.rank(task), task, since)

    def _adopt(self, task: ScheduledTask) -> None:
        self.next_sequence = max(self.next_sequence, task.sequence + 1)
        if task.state is TaskState.PARKED:
            self.park(task)
            return
        assert task.device is not None
        self._hold(task, self._device(task.device))
        if task.state is TaskState.STOPPING:
            self.running -= 1
            self.stopping += 1
