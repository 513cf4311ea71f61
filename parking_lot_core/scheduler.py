"""The state machine: events in, commands out.

How to read this file. ``step`` is the only way in; it sets the clock, hands the event to the one method that applies
it, lets due timers speak and, if anything changed that could let a task start, dispatches. ``RULES.md`` says what is
decided. What an event means is here; what a task goes through, and where everything is kept, is in ``lot.py``; which
task starts next is in ``dispatch.py``.

What makes it fast is in two places. Between steps the walk down the line is *settled*: nothing more may start. A new
task that the settled walk has nothing to offer joins the line, and that is all; only what could let a task start leads
to another walk. And the line finds the next task that fits without looking at those that do not (``line.py``).

Nothing here reads a clock, draws a random number, does I/O, or depends on the order of a hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from parking_lot_core._values import evolve
from parking_lot_core.checkpoint import Checkpoint
from parking_lot_core.commands import Command, Deliver, Enqueue, Reject
from parking_lot_core.config import PoolConfig
from parking_lot_core.devices import DeviceView
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
from parking_lot_core.lot import Lot
from parking_lot_core.types import (
    Outcome,
    OutcomeStatus,
    RejectReason,
    ScheduledTask,
    TaskMetadata,
    TaskState,
)

_CANCELLED = Outcome(OutcomeStatus.CANCELLED)

_MAY_COME_BACK = (OutcomeStatus.FAILED, OutcomeStatus.LOST, OutcomeStatus.RETURNED)

# Names for members of an enumeration, which are slow to reach in CPython 3.11.
_PARKED = TaskState.PARKED
_RUNNING = TaskState.RUNNING
_STOPPING = TaskState.STOPPING

# The moves that every task makes are looked up once: ``move`` checks them here.
_ADMITTED = move(TaskState.NEW, Move.ENQUEUE)
_DELIVERED = {state: move(state, Move.DELIVER) for state in (_RUNNING, _STOPPING)}


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
        self._lot = Lot(config)
        self._has_defaults = config.timeout is not None or config.run_timeout is not None
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
        scheduler._lot.restore(tasks, checkpoint)
        return scheduler

    # -- input and output ----------------------------------------------------------------------------------------

    def step(self, event: Event) -> tuple[Command, ...]:
        """Take one event and return what must be done about it, in order. Never raises for well-formed events."""
        lot = self._lot
        now = event.at
        if now > lot.now:
            lot.now = now
        else:
            now = lot.now
        commands: list[Command] = []
        kind = type(event)
        if lot.timers.earliest <= now and (kind is Submitted or kind is Offered):
            lot.fire_due(commands)
        self._apply[kind](event, commands)
        if lot.timers.earliest <= now:
            lot.fire_due(commands)
        if not lot.walk.settled:
            lot.dispatch(commands)
        return tuple(commands)

    def next_deadline(self) -> float | None:
        """Send a ``Tick`` by this time (seconds since the epoch); ``None``: there is no need."""
        return self._lot.timers.next_due()

    def checkpoint(self) -> Checkpoint:
        """What a store must keep beside the tasks, so that ``restore`` gives this scheduler again."""
        return self._lot.checkpoint()

    # -- views ---------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The latest time seen, in seconds since the epoch."""
        return self._lot.now

    @property
    def devices(self) -> tuple[DeviceView, ...]:
        """Capacity, used and free units of each device."""
        return tuple(device.view() for device in self._lot.devices.values())

    @property
    def queue_depth(self) -> int:
        """How many tasks are parked."""
        return len(self._lot.tasks) - self._lot.running - self._lot.stopping

    @property
    def running_count(self) -> int:
        """How many tasks run, those that are stopping included."""
        return self._lot.running + self._lot.stopping

    @property
    def places_taken(self) -> int:
        """How many tasks count against ``max_queue_depth``: parked ones, and running ones that may come back."""
        return len(self._lot.tasks) - self._lot.stopping

    @property
    def largest_device(self) -> int:
        """The most units that any device ever had: no larger task is admitted."""
        return self._lot.capacity_ever

    def tasks(self) -> Iterator[ScheduledTask]:
        """Every task that is parked, running or stopping, in the order of admission to this scheduler."""
        return iter(self._lot.tasks.values())

    def waiting(self) -> Iterator[ScheduledTask]:
        """The parked tasks that may start now, in rank order."""
        return iter(self._lot.waiting.line)

    def get(self, task_id: str) -> ScheduledTask | None:
        """A task that is parked, running or stopping; ``None`` for any other."""
        return self._lot.tasks.get(task_id)

    def position(self, task_id: str) -> int | None:
        """Place in the waiting line, 1 for the first; ``None`` if the task is not waiting in it."""
        task = self._lot.tasks.get(task_id)
        if task is None or task.state is not TaskState.PARKED or not self._lot.waiting.in_line(task_id):
            return None
        return self._lot.waiting.line.ahead_of(self._lot.waiting.rank(task)) + 1

    def explain(self, task_id: str) -> Explanation | None:
        """Why the task stands where it stands; ``None`` if it is unknown."""
        lot = self._lot
        task = lot.tasks.get(task_id)
        if task is None:
            return None
        lot.walk.look(lot.now)
        return explain(task, self.position(task_id), lot.now, tuple(lot.devices.values()), lot.backfill)

    # -- events --------------------------------------------------------------------------------------------------

    def _submitted(self, event: Submitted, commands: list[Command]) -> None:
        lot = self._lot
        metadata = event.task
        reason = self._refusal(metadata)
        if reason is not None:
            move(TaskState.NEW, Move.REJECT)
            commands.append(Reject(metadata, reason))
            return
        if self._has_defaults:
            metadata = self._with_defaults(metadata)
        sequence = lot.next_sequence
        lot.next_sequence = sequence + 1
        tag = lot.share.tag(metadata) if lot.share.enabled else 0
        ready_at = metadata.not_before
        if ready_at is not None and ready_at <= lot.now:
            ready_at = None
        task = ScheduledTask(metadata, sequence, tag, lot.now, _ADMITTED, 0, 0, ready_at)
        commands.append(Enqueue(task))
        lot.park(task)

    def _refusal(self, task: TaskMetadata) -> RejectReason | None:
        lot = self._lot
        if task.id in lot.tasks:
            return RejectReason.DUPLICATE
        if task.cost.units > lot.capacity_ever:
            return RejectReason.TOO_LARGE
        if len(lot.tasks) - lot.stopping >= self.config.max_queue_depth:
            return RejectReason.QUEUE_FULL
        return None

    def _with_defaults(self, task: TaskMetadata) -> TaskMetadata:
        config = self.config
        changes: dict[str, float] = {}
        if task.start_by is None and config.timeout is not None:
            changes["start_by"] = self._lot.now + config.timeout
        if task.run_timeout is None and config.run_timeout is not None:
            changes["run_timeout"] = config.run_timeout
        return evolve(task, **changes) if changes else task

    def _offered(self, event: Offered, commands: list[Command]) -> None:
        lot = self._lot
        task = event.task
        if lot.knows(task):
            self.counters.ignored_offers += 1
            return
        lot.next_sequence = max(lot.next_sequence, task.sequence + 1)
        if lot.share.enabled:
            lot.share.adopt(task)
        lot.park(evolve(task, state=move(TaskState.NEW, Move.OFFER)))

    def _finished(self, event: Finished, commands: list[Command]) -> None:
        lot = self._lot
        task_id = event.task_id
        task = lot.tasks.get(task_id)
        if task is None or task.epoch != event.epoch or task.state is _PARKED:
            self.counters.stale_finishes += 1
            return
        lot.release(task)
        outcome = event.outcome
        if task.state is _STOPPING:
            outcome = _stopped_outcome(task, outcome)
        elif outcome.status in _MAY_COME_BACK and self._comes_back(task, outcome):
            again = self._parked_again(task, outcome)
            commands.append(Enqueue(again))
            lot.park(again)
            return
        lot.forget(task)
        commands.append(Deliver(task_id, outcome))

    def _comes_back(self, task: ScheduledTask, outcome: Outcome) -> bool:
        if outcome.status is OutcomeStatus.RETURNED:
            return True
        most = task.metadata.max_attempts or self.config.max_attempts
        return outcome.retryable and task.attempts < most

    def _parked_again(self, task: ScheduledTask, outcome: Outcome) -> ScheduledTask:
        now = self._lot.now
        returned = outcome.status is OutcomeStatus.RETURNED
        ready_at = now if returned else now + self.config.backoff(task.attempts)
        return evolve(
            task,
            state=move(task.state, Move.ENQUEUE),
            attempts=task.attempts - returned,
            ready_at=ready_at if ready_at > now else None,
            device=None,
            started_at=None,
            stop_reason=None,
        )

    def _tick(self, event: Tick, commands: list[Command]) -> None:
        """Time has passed; ``step`` does what that takes."""

    def _cancelled(self, event: Cancelled, commands: list[Command]) -> None:
        lot = self._lot
        task = lot.tasks.get(event.task_id)
        if task is None or task.state is TaskState.STOPPING:
            self.counters.idle_cancels += 1
        elif task.state is TaskState.RUNNING:
            lot.interrupt(task, OutcomeStatus.CANCELLED, commands)
        else:
            move(task.state, Move.DELIVER)
            lot.leave(task)
            commands.append(Deliver(task.id, _CANCELLED))

    def _withdrawn(self, event: Withdrawn, commands: list[Command]) -> None:
        lot = self._lot
        task = lot.tasks.get(event.task_id)
        if task is None or task.epoch != event.epoch:
            self.counters.stale_withdrawals += 1
            return
        move(task.state, Move.WITHDRAW)
        if task.state is TaskState.PARKED:
            lot.leave(task)
        else:
            lot.release(task)
            lot.forget(task)

    def _capacity_changed(self, event: CapacityChanged, commands: list[Command]) -> None:
        self._lot.resize(event.device, event.units)


def _stopped_outcome(task: ScheduledTask, outcome: Outcome) -> Outcome:
    """What to deliver for a task that was told to stop: a success that won the race against a cancel still counts."""
    assert task.stop_reason is not None
    if task.stop_reason is OutcomeStatus.CANCELLED and outcome.status is OutcomeStatus.SUCCEEDED:
        return outcome
    return Outcome(task.stop_reason, outcome.error)
