"""The state machine: events in, commands out.

How to read this file. ``step`` is the only way in; it sets the clock, hands the event to the one method that applies
it, lets due timers speak and, if anything changed that could let a task start, dispatches. ``RULES.md`` says what is
decided; this file says where it is kept:

- ``_tasks``: every task that is parked, running or stopping, as the value that a store would keep. A change replaces
  the value; the old one may already be on its way to a disk.
- ``_waiting``: the parked ones among them, in rank order, and those that are delayed (``waiting.py``).
- ``_devices``: the budgets. Units are taken in ``_run`` and given back in ``_release``, nowhere else.
- ``_backfill``: the rule for passing blocked tasks, and who has been passed over since when (``dispatch.py``).
- ``_settled``: what the last walk found that nothing more may start. While it holds, a new task that it turns down
  needs no walk: that is what makes submitting to a long line cheap.

Nothing here reads a clock, draws a random number, does I/O, or depends on the order of a hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from parking_lot_core._values import evolve
from parking_lot_core.checkpoint import Checkpoint
from parking_lot_core.commands import Command, Deliver, Enqueue, Expire, Interrupt, Reject, Start
from parking_lot_core.config import PoolConfig
from parking_lot_core.devices import Device, DeviceView, planned_end
from parking_lot_core.dispatch import Backfill, Walk
from parking_lot_core.events import (
    Cancelled,
    CapacityChanged,
    Event,
    Finished,
    Offered,
    Submitted,
    Tick,
    Withdrawn,
)
from parking_lot_core.explain import Explanation, explain
from parking_lot_core.lifecycle import Move, move
from parking_lot_core.ranking import FairShare
from parking_lot_core.timers import Alarm, Timer, Timers
from parking_lot_core.types import (
    Outcome,
    OutcomeStatus,
    RejectReason,
    ScheduledTask,
    TaskMetadata,
    TaskState,
)
from parking_lot_core.waiting import Waiting

_CANCELLED = Outcome(OutcomeStatus.CANCELLED)

# Moves from a state that the code around them has established, looked up once.
_ADMITTED = move(TaskState.NEW, Move.ENQUEUE)
_STARTED = move(TaskState.PARKED, Move.START)

_RETRIED = (OutcomeStatus.FAILED, OutcomeStatus.LOST)


@attrs.define
class Counters:
    """Events that changed nothing, by why. For monitoring; not part of what a checkpoint restores."""

    stale_finishes: int = 0
    stale_withdrawals: int = 0
    idle_cancels: int = 0
    ignored_offers: int = 0


class Scheduler:
    """Decides which task runs when and on which device; its driver does the rest.

    Call ``step`` with every event, in the order in which they happened. Save what it returns, then act on it. Ask
    ``next_deadline`` and send a ``Tick`` by then. After a restart, use ``restore`` instead of the constructor.
    """

    def __init__(self, config: PoolConfig) -> None:
        self.config = config
        self.counters = Counters()
        self._now = 0.0
        self._next_sequence = 1
        self._tasks: dict[str, ScheduledTask] = {}
        self._running = 0
        self._stopping = 0
        self._settled: Walk | None = None
        self._devices = {name: Device(name, order, units) for order, (name, units) in enumerate(config.budgets.items())}
        # Sequences in use; only a scheduler that is offered tasks numbered elsewhere has to know them.
        self._sequences: set[int] | None = None
        self._measure()
        self._has_defaults = config.timeout is not None or config.run_timeout is not None
        self._share = FairShare(config.tenants)
        self._backfill = Backfill(config.backfill_window)
        self._timers = Timers(self._is_live)
        self._waiting = Waiting(config.aging, self._timers)
        self._apply: dict[type, Callable[[Any, list[Command]], None]] = {
            Submitted: self._submitted,
            Offered: self._offered,
            Finished: self._finished,
            Tick: self._tick,
            Cancelled: self._cancelled,
            Withdrawn: self._withdrawn,
            CapacityChanged: self._capacity_changed,
        }

    @classmethod
    def restore(cls, config: PoolConfig, tasks: Iterable[ScheduledTask], checkpoint: Checkpoint) -> Scheduler:
        """A scheduler that goes on where the saved one stood. Tasks may come in any order.

        Tasks saved as running or stopping still hold their units. A driver that restarts sends ``Finished`` with
        ``LOST`` (or ``RETURNED``) for each of them, because nothing runs them any more.
        """
        scheduler = cls(config)
        scheduler._load(checkpoint)
        for task in tasks:
            scheduler._adopt(task)
        return scheduler

    # -- input and output ----------------------------------------------------------------------------------------

    def step(self, event: Event) -> tuple[Command, ...]:
        """Take one event and return what must be done about it, in order. Never raises for well-formed events."""
        if event.at > self._now:
            self._now = event.at
        commands: list[Command] = []
        kind = type(event)
        timers = self._timers
        if timers.earliest <= self._now and (kind is Submitted or kind is Offered):
            self._fire_due(commands)
        self._apply[kind](event, commands)
        if timers.earliest <= self._now:
            self._fire_due(commands)
        if self._settled is None:
            self._dispatch(commands)
        return tuple(commands)

    def next_deadline(self) -> float | None:
        """Send a ``Tick`` by this time (seconds since the epoch); ``None``: there is no need."""
        return self._timers.next_due()

    def checkpoint(self) -> Checkpoint:
        """What a store must keep beside the tasks, so that ``restore`` gives this scheduler again."""
        return Checkpoint(
            now=self._now,
            next_sequence=self._next_sequence,
            virtual_time=self._share.virtual_time,
            finish_tags=self._share.finish_tags(),
            passed_over=tuple(sorted(self._backfill.passed_over.items())),
            devices=tuple(device.record() for device in self._devices.values()),
        )

    # -- views ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The latest time seen, in seconds since the epoch."""
        return self._now

    @property
    def devices(self) -> tuple[DeviceView, ...]:
        """Capacity, used and free units of each device."""
        return tuple(device.view() for device in self._devices.values())

    @property
    def queue_depth(self) -> int:
        """How many tasks are parked."""
        return len(self._tasks) - self._running - self._stopping

    @property
    def running_count(self) -> int:
        """How many tasks run, those that are stopping included."""
        return self._running + self._stopping

    @property
    def places_taken(self) -> int:
        """How many tasks count against ``max_queue_depth``: parked ones, and running ones that may come back."""
        return len(self._tasks) - self._stopping

    @property
    def largest_device(self) -> int:
        """The most units that any device ever had: no larger task is admitted."""
        return self._capacity_ever

    def tasks(self) -> Iterator[ScheduledTask]:
        """Every task that is parked, running or stopping, in the order of admission to this scheduler."""
        return iter(self._tasks.values())

    def waiting(self) -> Iterator[ScheduledTask]:
        """The parked tasks that may start now, in rank order."""
        return iter(self._waiting.line)

    def get(self, task_id: str) -> ScheduledTask | None:
        """A task that is parked, running or stopping; ``None`` for any other."""
        return self._tasks.get(task_id)

    def position(self, task_id: str) -> int | None:
        """Place in the waiting line, 1 for the first; ``None`` if the task is not waiting in it."""
        task = self._tasks.get(task_id)
        if task is None or task.state is not TaskState.PARKED or not self._waiting.in_line(task_id):
            return None
        return self._waiting.line.ahead_of(self._waiting.rank(task)) + 1

    def explain(self, task_id: str) -> Explanation | None:
        """Why the task stands where it stands; ``None`` if it is unknown."""
        task = self._tasks.get(task_id)
        if task is None:
            return None
        walk = self._walk()
        walk.find()
        return explain(task, self.position(task_id), self._now, self._in_order, self._backfill, walk)

    # -- events --------------------------------------------------------------------------------------------------

    def _submitted(self, event: Submitted, commands: list[Command]) -> None:
        asked = event.task
        reason = self._refusal(asked)
        if reason is not None:
            move(TaskState.NEW, Move.REJECT)
            commands.append(Reject(asked, reason))
            return
        metadata = self._with_defaults(asked) if self._has_defaults else asked
        sequence = self._next_sequence
        self._next_sequence = sequence + 1
        not_before = metadata.not_before
        task = ScheduledTask(
            metadata,
            sequence,
            self._share.tag(metadata) if self._share.enabled else 0,
            self._now,
            _ADMITTED,
            0,
            0,
            not_before if not_before is not None and not_before > self._now else None,
        )
        commands.append(Enqueue(task))
        self._park(task)

    def _refusal(self, task: TaskMetadata) -> RejectReason | None:
        if task.id in self._tasks:
            return RejectReason.DUPLICATE
        if task.cost.units > self._capacity_ever:
            return RejectReason.TOO_LARGE
        if len(self._tasks) - self._stopping >= self.config.max_queue_depth:
            return RejectReason.QUEUE_FULL
        return None

    def _with_defaults(self, task: TaskMetadata) -> TaskMetadata:
        config = self.config
        changes: dict[str, float] = {}
        if task.start_by is None and config.timeout is not None:
            changes["start_by"] = self._now + config.timeout
        if task.run_timeout is None and config.run_timeout is not None:
            changes["run_timeout"] = config.run_timeout
        return evolve(task, **changes) if changes else task

    def _offered(self, event: Offered, commands: list[Command]) -> None:
        task = event.task
        if self._sequences is None:
            self._sequences = {known.sequence for known in self._tasks.values()}
        if task.id in self._tasks or task.sequence in self._sequences:
            self.counters.ignored_offers += 1
            return
        self._next_sequence = max(self._next_sequence, task.sequence + 1)
        if self._share.enabled:
            self._share.adopt(task)
        self._park(evolve(task, state=move(TaskState.NEW, Move.OFFER)))

    def _finished(self, event: Finished, commands: list[Command]) -> None:
        task = self._tasks.get(event.task_id)
        if task is None or task.epoch != event.epoch or task.state is TaskState.PARKED:
            self.counters.stale_finishes += 1
            return
        self._release(task)
        outcome = event.outcome
        if task.state is TaskState.STOPPING:
            outcome = _stopped_outcome(task, outcome)
        elif self._comes_back(task, outcome):
            again = self._parked_again(task, outcome)
            commands.append(Enqueue(again))
            self._park(again)
            return
        move(task.state, Move.DELIVER)
        self._forget(task)
        commands.append(Deliver(task.metadata.id, outcome))

    def _comes_back(self, task: ScheduledTask, outcome: Outcome) -> bool:
        if outcome.status is OutcomeStatus.RETURNED:
            return True
        most = task.metadata.max_attempts or self.config.max_attempts
        return outcome.status in _RETRIED and outcome.retryable and task.attempts < most

    def _parked_again(self, task: ScheduledTask, outcome: Outcome) -> ScheduledTask:
        returned = outcome.status is OutcomeStatus.RETURNED
        ready_at = self._now if returned else self._now + self.config.backoff(task.attempts)
        return evolve(
            task,
            state=move(task.state, Move.ENQUEUE),
            attempts=task.attempts - returned,
            ready_at=ready_at if ready_at > self._now else None,
            device=None,
            started_at=None,
            stop_reason=None,
        )

    def _tick(self, event: Tick, commands: list[Command]) -> None:
        """Time has passed; ``step`` does what that takes."""

    def _cancelled(self, event: Cancelled, commands: list[Command]) -> None:
        task = self._tasks.get(event.task_id)
        if task is None or task.state is TaskState.STOPPING:
            self.counters.idle_cancels += 1
        elif task.state is TaskState.RUNNING:
            self._interrupt(task, OutcomeStatus.CANCELLED, commands)
        else:
            move(task.state, Move.DELIVER)
            self._leave(task)
            commands.append(Deliver(task.id, _CANCELLED))

    def _withdrawn(self, event: Withdrawn, commands: list[Command]) -> None:
        task = self._tasks.get(event.task_id)
        if task is None or task.epoch != event.epoch:
            self.counters.stale_withdrawals += 1
            return
        move(task.state, Move.WITHDRAW)
        if task.state is TaskState.PARKED:
            self._leave(task)
        else:
            self._release(task)
            self._forget(task)

    def _capacity_changed(self, event: CapacityChanged, commands: list[Command]) -> None:
        device = self._devices.get(event.device)
        if device is None:
            device = self._add_device(event.device)
        device.resize(event.units)
        self._measure()

    # -- timers --------------------------------------------------------------------------------------------------

    def _fire_due(self, commands: list[Command]) -> None:
        while (timer := self._timers.pop_due(self._now)) is not None:
            _, _, alarm, task_id = timer
            task = self._tasks[task_id]
            if alarm == Alarm.EXPIRE:
                move(task.state, Move.EXPIRE)
                self._leave(task)
                commands.append(Expire(task))
            elif alarm == Alarm.RUN_LIMIT:
                self._interrupt(task, OutcomeStatus.TIMED_OUT, commands)
            elif alarm == Alarm.READY:
                self._joined(self._waiting.ready(task), task)
            else:
                self._joined(self._waiting.promote(task), task)

    def _is_live(self, timer: Timer) -> bool:
        due, sequence, alarm, task_id = timer
        task = self._tasks.get(task_id)
        if task is None or task.sequence != sequence:
            return False
        if alarm == Alarm.RUN_LIMIT:
            return task.state is TaskState.RUNNING and planned_end(task) == due
        if task.state is not TaskState.PARKED:
            return False
        if alarm == Alarm.EXPIRE:
            return task.metadata.start_by == due
        if alarm == Alarm.READY:
            return task.ready_at == due and not self._waiting.in_line(task_id)
        return self._waiting.next_promotion_at(task) == due

    # -- what a task goes through --------------------------------------------------------------------------------

    def _park(self, task: ScheduledTask) -> None:
        """Keep a parked task."""
        self._tasks[task.metadata.id] = task
        if self._sequences is not None:
            self._sequences.add(task.sequence)
        self._joined(self._waiting.park(task, self._now), task)

    def _joined(self, rank: int | None, task: ScheduledTask) -> None:
        """A task has taken a place in the line; is there anything to dispatch?"""
        settled = self._settled
        if settled is not None and rank is not None and not settled.turns_down(rank, task.metadata.cost.units):
            self._settled = None

    def _leave(self, task: ScheduledTask) -> None:
        """A parked task ends without running."""
        self._waiting.leave(task)
        self._settled = None
        self._backfill.passed_over.pop(task.metadata.id, None)
        self._forget(task)

    def _forget(self, task: ScheduledTask) -> None:
        del self._tasks[task.metadata.id]
        self._waiting.forget(task.metadata.id)
        if self._sequences is not None:
            self._sequences.discard(task.sequence)
        self._timers.compact(len(self._tasks))

    def _interrupt(self, task: ScheduledTask, reason: OutcomeStatus, commands: list[Command]) -> None:
        """A running task must stop. It holds its units until its executor says that it has."""
        state = move(task.state, Move.INTERRUPT)
        self._tasks[task.id] = evolve(task, state=state, stop_reason=reason)
        self._running -= 1
        self._stopping += 1
        commands.append(Interrupt(task.id, task.epoch, reason))

    def _release(self, task: ScheduledTask) -> None:
        """A run has ended: its units come back, once."""
        assert task.device is not None
        self._devices[task.device].release(task)
        if task.state is TaskState.STOPPING:
            self._stopping -= 1
        else:
            self._running -= 1
        self._settled = None

    def _dispatch(self, commands: list[Command]) -> None:
        """Start what may start."""
        first = self._waiting.line.first
        while True:
            found = first(self._capacity_most)
            device = None if found is None else self._best_fit(found[1].metadata.cost.units)
            if found is not None and device is not None:
                commands.append(self._start(*found, device))
                continue
            # From here on somebody is blocked, and others may only pass.
            walk = self._walk(found)
            passing = walk.find()
            if passing is None:
                self._settled = walk
                return
            rank, task, device = passing
            if (passed := walk.passes(device)) is not None:
                self._backfill.passed_over.setdefault(passed.metadata.id, self._now)
            commands.append(self._start(rank, task, device))

    def _best_fit(self, units: int) -> Device | None:
        """The device with the least free units that are enough, while nobody has claimed any."""
        best: Device | None = None
        for device in self._in_order:
            if device.free >= units and (best is None or device.free < best.free):
                best = device
        return best

    def _walk(self, blocked: tuple[int, ScheduledTask] | None = None) -> Walk:
        exhausted: list[tuple[int, ScheduledTask]] = []
        passed_over = self._backfill.passed_over
        if passed_over and self._backfill.bounded:
            for task_id in passed_over:
                task = self._tasks[task_id]
                if self._backfill.exhausted(task, self._now):
                    exhausted.append((self._waiting.rank(task), task))
        return Walk(self._waiting.line, self._in_order, self._backfill, self._now, exhausted, blocked)

    def _start(self, rank: int, task: ScheduledTask, device: Device) -> Start:
        self._waiting.line.remove(rank)
        metadata = task.metadata
        epoch = task.epoch + 1
        started = ScheduledTask(
            metadata,
            task.sequence,
            task.tag,
            task.admitted_at,
            _STARTED,
            epoch,
            task.attempts + 1,
            None,
            device.name,
            self._now,
        )
        self._run(started, device)
        assert device.free >= 0, "a start exceeded the device's capacity"
        if task.tag:
            self._share.started(task.tag)
        if self._backfill.passed_over:
            self._backfill.passed_over.pop(metadata.id, None)
        return Start(started, device.name, epoch)

    def _run(self, task: ScheduledTask, device: Device) -> None:
        """Keep a running task: its units are taken until ``_release``."""
        self._tasks[task.metadata.id] = task
        self._running += 1
        device.take(task)
        if task.metadata.run_timeout is not None:
            self._timers.set(planned_end(task), task.sequence, Alarm.RUN_LIMIT, task.metadata.id)

    def _add_device(self, name: str) -> Device:
        """A device that the configuration does not name."""
        device = self._devices[name] = Device(name, len(self._devices), 0)
        self._measure()
        return device

    def _measure(self) -> None:
        """Capacities have changed: what follows from them is worked out again."""
        self._in_order = tuple(self._devices.values())
        self._capacity_most = max(device.capacity for device in self._in_order)
        self._capacity_ever = max(device.capacity_max for device in self._in_order)
        self._settled = None

    # -- restoring -----------------------------------------------------------------------------------------------

    def _load(self, checkpoint: Checkpoint) -> None:
        self._now = checkpoint.now
        self._next_sequence = checkpoint.next_sequence
        self._share.restore(checkpoint.virtual_time, checkpoint.finish_tags)
        self._backfill.passed_over = dict(checkpoint.passed_over)
        for record in checkpoint.devices:
            device = self._devices.get(record.device)
            if device is None and record.configured == 0:
                device = self._add_device(record.device)
            if device is not None and device.configured == record.configured:
                device.resize(record.capacity_max)
                device.resize(record.capacity)
        self._measure()

    def _adopt(self, task: ScheduledTask) -> None:
        self._next_sequence = max(self._next_sequence, task.sequence + 1)
        if task.state is TaskState.PARKED:
            self._park(task)
            return
        assert task.device is not None
        self._run(task, self._devices.get(task.device) or self._add_device(task.device))
        if task.state is TaskState.STOPPING:
            self._running -= 1
            self._stopping += 1


def _stopped_outcome(task: ScheduledTask, outcome: Outcome) -> Outcome:
    """What to deliver for a task that was told to stop: a success that won the race against a cancel still counts."""
    assert task.stop_reason is not None
    if task.stop_reason is OutcomeStatus.CANCELLED and outcome.status is OutcomeStatus.SUCCEEDED:
        return outcome
    return Outcome(task.stop_reason, outcome.error)
