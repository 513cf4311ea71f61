"""Values for the tests of stores and executors. Needs no pytest: programs that such tests start use them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from parking_lot_core import (
    Checkpoint,
    DeviceRecord,
    MailboxKey,
    OutcomeStatus,
    Priority,
    ResourceCost,
    ScheduledTask,
    TaskMetadata,
    TaskState,
)
from parking_lot_core._values import evolve
from parking_lot_drivers.ports import Batch, Delivery, Request, StoredTask, TaskContext

BOX = MailboxKey("acme", "ada", "s1")


def parked(task_id: str, sequence: int = 1, **metadata: Any) -> ScheduledTask:
    """A task that waits; ``metadata`` may name any field of ``TaskMetadata``, or ``units``."""
    cost = ResourceCost(metadata.pop("units", 1))
    tag = metadata.pop("tag", 0)
    return ScheduledTask(TaskMetadata(task_id, cost, **metadata), sequence, tag, 1000.0 + sequence)


def running(task: ScheduledTask) -> ScheduledTask:
    """The same task, started once more."""
    return evolve(
        task,
        state=TaskState.RUNNING,
        epoch=task.epoch + 1,
        attempts=task.attempts + 1,
        device="gpu-0",
        started_at=2000.25,
        ready_at=None,
    )


def stopping(task: ScheduledTask) -> ScheduledTask:
    """The same running task, told to stop."""
    return evolve(task, state=TaskState.STOPPING, stop_reason=OutcomeStatus.CANCELLED)


def retried(task: ScheduledTask) -> ScheduledTask:
    """The same running task, waiting for another attempt."""
    return evolve(task, state=TaskState.PARKED, device=None, started_at=None, ready_at=3000.125)


#: What may become of a task that waits.
MOVES: Mapping[str, Callable[[ScheduledTask], ScheduledTask]] = {
    "started": running,
    "stopping": lambda task: stopping(running(task)),
    "retried": lambda task: retried(running(task)),
}

#: A task that uses every field of its metadata, with values that lose something where a store is careless.
DETAILED = ScheduledTask(
    TaskMetadata(
        "aufgabe/ä-名前-🚗 'quoted' \"twice\" %s ? :x",
        ResourceCost(12_884_901_888),
        Priority.CRITICAL,
        "mandant-é",
        1795447128.8274746,
        0.1,
        -1.5,
        7,
    ),
    sequence=2**53 + 1,
    tag=3 * 2**70,
    admitted_at=1795447128.0000002,
    ready_at=1795447130.3,
)


def stored(*tasks: ScheduledTask, payload: bytes = b"{}", mailbox: MailboxKey = BOX) -> list[StoredTask]:
    """The tasks as a batch adds them."""
    return [StoredTask(task, payload, mailbox) for task in tasks]


def batch(
    *,
    added: Sequence[ScheduledTask | StoredTask] = (),
    next_sequence: int = 100,
    **parts: Any,
) -> Batch:
    """A batch with a checkpoint that ``next_sequence`` tells from others."""
    as_stored = [item if isinstance(item, StoredTask) else stored(item)[0] for item in added]
    return Batch(added=as_stored, checkpoint=checkpoint(next_sequence), **parts)


def checkpoint(next_sequence: int = 100) -> Checkpoint:
    """A checkpoint that uses every field."""
    return Checkpoint(
        now=1795447128.1234567,
        next_sequence=next_sequence,
        virtual_time=2**80 + 1,
        finish_tags=(("acme", 2**81), ("ä", 5)),
        passed_over=(("head", 1795447100.7),),
        devices=(DeviceRecord(device="gpu-0", configured=8, capacity=6, capacity_max=8),),
    )


def delivery(task_id: str, **changes: Any) -> Delivery:
    """A successful outcome with a result."""
    fields: dict[str, Any] = {
        "epoch": 1,
        "mailbox": BOX,
        "status": OutcomeStatus.SUCCEEDED,
        "result": b'{"answer":42}',
        "submitted_at": 1000.5,
        "started_at": 2000.25,
        "finished_at": 2001.125,
    }
    return Delivery(task_id=task_id, **(fields | changes))


def submission(task_id: str, **changes: Any) -> Request:
    """A request to submit a task."""
    fields: dict[str, Any] = {
        "number": 0,
        "task_id": task_id,
        "at": 1234.5,
        "task": TaskMetadata(task_id, ResourceCost(2), Priority.HIGH, "acme", 2000.5, 3.25, 1500.0, 4),
        "payload": b"\x00\xff",
        "mailbox": BOX,
    }
    return Request(**(fields | changes))


def cancellation(task_id: str) -> Request:
    """A request to cancel a task."""
    return Request(number=0, task_id=task_id, at=1235.5)


def context(task_id: str = "t-1", *, device: str = "0") -> TaskContext:
    """The context of a task's second attempt."""
    return TaskContext(task_id=task_id, epoch=4, attempt=2, device=device, units=3)
