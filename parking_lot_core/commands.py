"""What the scheduler asks its driver to do. The driver saves a whole batch of commands before it acts on any."""

from __future__ import annotations

from typing import TypeAlias

from parking_lot_core._values import value
from parking_lot_core.types import Outcome, OutcomeStatus, RejectReason, ScheduledTask, TaskMetadata


@value
class Enqueue:
    """Keep the task durably in the queue (a new one, or one that is parked again after a failed attempt)."""

    task: ScheduledTask


@value
class Start:
    """Record the start durably, then execute the task on ``device``; answer with ``Finished`` and this ``epoch``."""

    task: ScheduledTask
    device: str
    epoch: int


@value
class Deliver:
    """Store the outcome in the mailbox and drop the task from the queue."""

    task_id: str
    outcome: Outcome


@value
class Expire:
    """Drop the task from the queue and store an *expired* outcome in the mailbox."""

    task: ScheduledTask


@value
class Reject:
    """Tell the submitter; nothing is kept."""

    task: TaskMetadata
    reason: RejectReason


@value
class Interrupt:
    """Record that the task is stopping, then stop it; its units stay taken until ``Finished`` for this ``epoch``.

    ``reason`` is ``CANCELLED`` or ``TIMED_OUT``.
    """

    task_id: str
    epoch: int
    reason: OutcomeStatus


Command: TypeAlias = Enqueue | Start | Deliver | Expire | Reject | Interrupt
