"""The scheduler again, slow and obvious: the other implementation of ``parking_lot_core/RULES.md``.

Nothing here is indexed, remembered or skipped. Every question is answered from one plain list of tasks, every time
that it is asked, and every step walks until nothing moves. Read it beside the rules: each method is one paragraph.
It shares only the value types and the table of legal moves with the scheduler that it checks.
"""

from __future__ import annotations

import math

import attrs

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Finished,
    Interrupt,
    Move,
    Offered,
    Outcome,
    OutcomeStatus,
    Reject,
    RejectReason,
    ScheduledTask,
    Submitted,
    TaskMetadata,
    TaskState,
    Withdrawn,
)
from parking_lot_core._values import evolve
from parking_lot_core.lifecycle import move
from parking_lot_core.testing.dispatching import Dispatching
from parking_lot_core.testing.ledger import HOLDING, device_record, planned_end


class Model(Dispatching):
    """Same calls, same answers as ``Scheduler``."""

    # A step

    def step(self, event: Event) -> tuple[Command, ...]:
        self.now = max(self.now, event.at)
        self.out = []
        if isinstance(event, Submitted | Offered):
            self._due_timers()
            self._take(event)
        else:
            self._take(event)
            self._due_timers()
        while self._walk():
            pass
        return tuple(self.out)

    def _due_timers(self) -> None:
        for due, _, task in sorted(self._timers(), key=lambda timer: timer[:2]):
            if due <= self.now and task.state is TaskState.PARKED:
                self._expire(task)
            elif due <= self.now:
                self._stop(task, OutcomeStatus.TIMED_OUT)

    def _timers(self) -> list[tuple[float, int, ScheduledTask]]:
        """(moment, sequence, task) for everything that time alone does to a task."""
        timers = []
        for task in self.known:
            start_by, end = task.metadata.start_by, planned_end(task)
            if task.state is TaskState.PARKED and start_by is not None:
                timers.append((start_by, task.sequence, task))
            if task.state is TaskState.RUNNING and end is not None:
                timers.append((end, task.sequence, task))
        return timers

    def _take(self, event: Event) -> None:
        match event:
            case Submitted(task=metadata):
                self._submitted(metadata)
            case Offered(task=task):
                self._offered(task)
            case Finished(task_id=task_id, epoch=epoch, outcome=outcome):
                self._finished(task_id, epoch, outcome)
            case Cancelled(task_id=task_id):
                self._cancelled(task_id)
            case Withdrawn(task_id=task_id, epoch=epoch):
                self._withdrawn(task_id, epoch)
            case CapacityChanged(device=name, units=units):
                self._capacity_changed(name, units)

    # Events

    def _submitted(self, metadata: TaskMetadata) -> None:
        if self.get(metadata.id) is not None:
            self.out.append(Reject(metadata, RejectReason.DUPLICATE))
        elif metadata.units > self.largest_device:
            self.out.append(Reject(metadata, RejectReason.TOO_LARGE))
        elif self.places_taken >= self.config.max_queue_depth:
            self.out.append(Reject(metadata, RejectReason.QUEUE_FULL))
        else:
            self._admit(metadata)

    def _admit(self, metadata: TaskMetadata) -> None:
        start_by, timeout = metadata.start_by, self.config.timeout
        if start_by is None and timeout is not None:
            start_by = self.now + timeout
        run_timeout = self.config.run_timeout if metadata.run_timeout is None else metadata.run_timeout
        delayed = metadata.not_before is not None and metadata.not_before > self.now
        task = ScheduledTask(
            metadata=evolve(metadata, start_by=start_by, run_timeout=run_timeout),
            sequence=self.next_sequence,
            tag=self._next_tag(metadata),
            admitted_at=self.now,
            state=move(TaskState.NEW, Move.ENQUEUE),
            ready_at=metadata.not_before if delayed else None,
        )
        self.next_sequence += 1
        self.known.append(task)
        self.out.append(Enqueue(task))
        if start_by is not None and start_by <= self.now:
            self._expire(task)

    def _offered(self, task: ScheduledTask) -> None:
        if any(other.id == task.id or other.sequence == task.sequence for other in self.known):
            self.counters["ignored_offers"] += 1
            return
        self.next_sequence = max(self.next_sequence, task.sequence + 1)
        if self.config.tenants:
            tenant = task.metadata.tenant
            end = task.tag + self._increment(task.metadata)
            self.finish_tags[tenant] = max(self.finish_tags.get(tenant, 0), end)
        task = evolve(task, state=move(TaskState.NEW, Move.OFFER))
        self.known.append(task)
        if task.metadata.start_by is not None and task.metadata.start_by <= self.now:
            self._expire(task)

    def _finished(self, task_id: str, epoch: int, outcome: Outcome) -> None:
        task = self.get(task_id)
        if task is None or task.state not in HOLDING or task.epoch != epoch:
            self.counters["stale_finishes"] += 1
            return
        if task.stop_reason is not None:
            won = task.stop_reason is OutcomeStatus.CANCELLED and outcome.status is OutcomeStatus.SUCCEEDED
            self._deliver(task, outcome if won else Outcome(task.stop_reason, error=outcome.error))
        elif outcome.status is OutcomeStatus.RETURNED:
            self._park_again(task, attempts=task.attempts - 1, ready_at=None)
        elif self._may_retry(task, outcome):
            ready_at = self.now + self._backoff(task.attempts)
            self._park_again(task, attempts=task.attempts, ready_at=ready_at if ready_at > self.now else None)
        else:
            self._deliver(task, outcome)

    def _may_retry(self, task: ScheduledTask, outcome: Outcome) -> bool:
        went_wrong = outcome.status in (OutcomeStatus.FAILED, OutcomeStatus.LOST)
        max_attempts = task.metadata.max_attempts or self.config.max_attempts
        return went_wrong and outcome.retryable and task.attempts < max_attempts

    def _backoff(self, attempts: int) -> float:
        return min(self.config.retry_backoff_max, self.config.retry_backoff * 2.0 ** (attempts - 1))

    def _cancelled(self, task_id: str) -> None:
        task = self.get(task_id)
        if task is not None and task.state is TaskState.PARKED:
            self._deliver(task, Outcome(OutcomeStatus.CANCELLED))
        elif task is not None and task.state is TaskState.RUNNING:
            self._stop(task, OutcomeStatus.CANCELLED)
        else:
            self.counters["idle_cancels"] += 1

    def _withdrawn(self, task_id: str, epoch: int) -> None:
        task = self.get(task_id)
        if task is not None and task.epoch == epoch:
            move(task.state, Move.WITHDRAW)
            self._forget(task)
        else:
            self.counters["stale_withdrawals"] += 1

    def _capacity_changed(self, name: str, units: int) -> None:
        if all(device.device != name for device in self.records):
            self.records.append(device_record(name, 0))
        self.records = [
            attrs.evolve(device, capacity=units, capacity_max=max(device.capacity_max, units))
            if device.device == name
            else device
            for device in self.records
        ]

    # What becomes of a task

    def _expire(self, task: ScheduledTask) -> None:
        move(task.state, Move.EXPIRE)
        self._forget(task)
        self.out.append(Expire(task))

    def _deliver(self, task: ScheduledTask, outcome: Outcome) -> None:
        move(task.state, Move.DELIVER)
        self._forget(task)
        self.out.append(Deliver(task.id, outcome))

    def _stop(self, task: ScheduledTask, reason: OutcomeStatus) -> None:
        self._replace(evolve(task, state=move(task.state, Move.INTERRUPT), stop_reason=reason))
        self.out.append(Interrupt(task.id, task.epoch, reason))

    def _park_again(self, task: ScheduledTask, *, attempts: int, ready_at: float | None) -> None:
        parked = evolve(
            task,
            state=move(task.state, Move.ENQUEUE),
            attempts=attempts,
            ready_at=ready_at,
            device=None,
            started_at=None,
            stop_reason=None,
        )
        self._replace(parked)
        self.out.append(Enqueue(parked))

    # Fair share

    def _next_tag(self, metadata: TaskMetadata) -> int:
        if not self.config.tenants:
            return 0
        tag = max(self.virtual_time, self.finish_tags.get(metadata.tenant, 0))
        self.finish_tags[metadata.tenant] = tag + self._increment(metadata)
        return tag

    def _increment(self, metadata: TaskMetadata) -> int:
        return max(1, round(metadata.units * 2**20 / self.config.tenants.get(metadata.tenant, 1)))

    # Deadlines

    def next_deadline(self) -> float | None:
        """The earliest moment at which a ``Tick`` would make commands, found by trying every moment that there is."""
        for moment in self.moments():
            if self._would_act(moment):
                return moment
        return None

    def moments(self) -> list[float]:
        """Every future moment at which anything that the rules speak of comes true or ceases to be."""
        window = self.config.backfill_window
        found = [since + window for since in self.passed_over.values()]
        ends = [end for task in self.known if task.state in HOLDING and (end := planned_end(task)) is not None]
        found += ends
        for task in self.known:
            if task.state is TaskState.PARKED:
                found += [moment for moment in (task.metadata.start_by, task.ready_at) if moment is not None]
                found += self._gains(task)
                found += [end - (task.metadata.run_timeout or math.inf) for end in ends]
        return sorted({moment for moment in found if self.now < moment < math.inf})

    def _would_act(self, moment: float) -> bool:
        twin = type(self).restore(self.config, self.known, self.checkpoint())
        twin.now = moment
        twin._due_timers()
        return bool(twin.out) or twin._walk()
