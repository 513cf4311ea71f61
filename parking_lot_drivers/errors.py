"""Everything that the drivers raise, in one tree.

::

    ParkingLotError
    ├── ConfigError                a configuration that cannot be used
    ├── TraceError                 an arrival trace that cannot be read
    ├── BatchError                 a job list or a results file that a batch cannot use
    ├── MissingExtra               an optional dependency is not installed
    ├── PoolClosed                 the pool is not running
    ├── SubmitError                a submission was refused; it left no trace
    │   ├── QueueFull
    │   ├── TaskTooLarge
    │   ├── DuplicateTask
    │   ├── InvalidTask            also a ``ValueError``
    │   └── PayloadNotEncodable
    ├── TaskError                  ``handle.result()`` of a task that did not succeed
    │   ├── TaskFailed
    │   ├── TaskLost
    │   ├── TaskTimedOut
    │   ├── TaskCancelled
    │   ├── TaskExpired
    │   └── TaskRejected
    ├── UnknownTask                no such task in queue or mailbox
    └── StoreError
        ├── StoreUnavailable       it cannot be reached or written now; trying again may help
        ├── StoreInUse             another live process schedules this lot
        ├── StoreTooNew            written by a newer version of this library
        ├── SchemaMissing          a database lacks the tables, or has older ones: migrate it
        └── NotALot                the file or database holds something else, or is damaged

Messages say what was given, what is allowed and what to do.
"""

from __future__ import annotations

from parking_lot_core import OutcomeStatus


class ParkingLotError(Exception):
    """Base of all errors of this library's drivers."""


class ConfigError(ParkingLotError):
    """A configuration that cannot be used. ``problems`` lists every fault found, one line each, path first."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class TraceError(ParkingLotError):
    """An arrival trace that cannot be read. Says in which line and column, what was found and what is allowed."""


class BatchError(ParkingLotError):
    """A job list or a results file that a batch cannot use. Says which file, what is wrong and what to do."""


class MissingExtra(ParkingLotError, ImportError):
    """An optional dependency is not installed. Also an ``ImportError``."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package}, which is not installed: "
            f"pip install 'prometheus-parking-lot[{extra}]'"
        )


class PoolClosed(ParkingLotError):
    """The pool is not running: it was never entered, is stopping, or has stopped."""


class SubmitError(ParkingLotError):
    """A submission was refused. It left no trace in queue or mailbox."""


class QueueFull(SubmitError):
    """The lot holds as many tasks as it may."""

    def __init__(self, depth: int, limit: int) -> None:
        self.depth = depth
        self.limit = limit
        super().__init__(
            f"the lot is full: it holds {depth} tasks, parked and running, and max_queue_depth is {limit}; "
            "submit again later, or with wait=True"
        )


class TaskTooLarge(SubmitError):
    """The task needs more units than any device has ever had."""

    def __init__(self, units: int, largest: int) -> None:
        self.units = units
        self.largest = largest
        super().__init__(
            f"the task needs {units} units, and the largest device has {largest}; split it, or add capacity"
        )


class DuplicateTask(SubmitError):
    """A task of this id is in the lot already, or has ended and its outcome is in the mailbox."""


class InvalidTask(SubmitError, ValueError):
    """An argument of ``submit`` has a value that is not allowed."""


class PayloadNotEncodable(SubmitError):
    """A payload holds something that cannot be stored."""


class TaskError(ParkingLotError):
    """A task ended without success. ``task_id``, ``status`` and ``error`` say which, how and why."""

    def __init__(self, task_id: str, status: OutcomeStatus, error: str | None) -> None:
        self.task_id = task_id
        self.status = status
        self.error = error
        detail = f": {error}" if error else ""
        super().__init__(f"task {task_id} {status.value.replace('_', ' ')}{detail}")


class TaskFailed(TaskError):
    """The task raised, in its last permitted attempt."""


class TaskLost(TaskError):
    """The worker or its host died, in the last permitted attempt."""


class TaskTimedOut(TaskError):
    """The task ran past its ``run_timeout``."""


class TaskCancelled(TaskError):
    """The task was cancelled."""


class TaskExpired(TaskError):
    """The task had not started by its ``start_by``."""


class TaskRejected(TaskError):
    """A task submitted by another process was refused when it reached the scheduler."""


class UnknownTask(ParkingLotError):
    """Neither queue nor mailbox knows the task."""


class StoreError(ParkingLotError):
    """A queue or mailbox cannot be used."""


class StoreUnavailable(StoreError):
    """A queue or mailbox cannot be reached or written now. Nothing of the batch was kept; trying again may help."""


class StoreInUse(StoreError):
    """Another live process schedules this lot."""


class StoreTooNew(StoreError):
    """A newer version of this library wrote the lot."""


class SchemaMissing(StoreError):
    """A database lacks the tables of a lot, or has those of an older version: ``parking-lot migrate`` makes them."""


class NotALot(StoreError):
    """The file or database holds something else, or is damaged."""
