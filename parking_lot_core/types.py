"""The nouns of the scheduler: what a task costs, who wants it, where it stands and how it ended."""

from __future__ import annotations

import enum
import sys

import attrs

from parking_lot_core._values import value

# Whole numbers up to here are the same in every language and in JSON.
_UNITS_MAX = 2**53

# Times are floats. An integer past their range would fail where it is added to one.
_SECONDS_MAX = sys.float_info.max


class Priority(enum.IntEnum):
    """Priority class of a task; a higher class always ranks first."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    CRITICAL = 3


class TaskState(enum.Enum):
    """Where a task stands. The legal moves between states are in ``lifecycle.py``."""

    __hash__ = object.__hash__  # members are singletons, and Enum's own hash is a slow Python function

    NEW = "new"
    PARKED = "parked"
    RUNNING = "running"
    STOPPING = "stopping"
    DELIVERED = "delivered"
    EXPIRED = "expired"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class OutcomeStatus(enum.Enum):
    """How an attempt, or a task, ended.

    An executor reports ``SUCCEEDED``, ``FAILED``, ``LOST`` (the worker or its host died) or ``RETURNED`` (the host
    hands unfinished work back: it is parked again and the attempt does not count). The scheduler adds ``TIMED_OUT``,
    ``CANCELLED`` and ``EXPIRED``. ``REJECTED`` is for drivers whose submitters are not there to be told.
    """

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"
    RETURNED = "returned"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class RejectReason(enum.Enum):
    """Why a submission was refused."""

    DUPLICATE = "duplicate"
    TOO_LARGE = "too_large"
    QUEUE_FULL = "queue_full"


@value
class ResourceCost:
    """What a task takes from its device while it runs.

    ``units`` is a whole number, from 1 to 2^53, of whatever the pool counts (MiB of VRAM, worker slots, licences).
    Raises ``ValueError`` for anything else.
    """

    units: int

    def __attrs_post_init__(self) -> None:
        if type(self.units) is not int or not 1 <= self.units <= _UNITS_MAX:
            raise ValueError(f"units: expected an integer ≥ 1 (and at most 2^53), got {self.units!r}")


@value
class MailboxKey:
    """Whose mailbox an outcome goes to: tenant, user, session (each may be the empty string)."""

    tenant: str = ""
    user: str = ""
    session: str = ""


@value
class TaskMetadata:
    """What the submitter says about a task; never its payload.

    Times are seconds since the Unix epoch. ``start_by`` bounds waiting: at or past it the task expires. ``run_timeout``
    bounds each run, in seconds. ``not_before`` delays. ``max_attempts`` = 0 means the pool's own. ``None`` elsewhere
    means the pool's own, or none. Raises ``ValueError`` naming the field, the value and what is allowed.
    """

    id: str
    cost: ResourceCost
    priority: Priority = Priority.NORMAL
    tenant: str = ""
    start_by: float | None = None
    run_timeout: float | None = None
    not_before: float | None = None
    max_attempts: int = 0

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise ValueError(f"id: expected a non-empty string, got {self.id!r}")
        if self.run_timeout is not None and not 0 < self.run_timeout <= _SECONDS_MAX:
            raise ValueError(f"run_timeout: expected seconds > 0, got {self.run_timeout!r}")
        if self.start_by is not None and not -_SECONDS_MAX <= self.start_by <= _SECONDS_MAX:
            raise ValueError(f"start_by: expected seconds since the Unix epoch, got {self.start_by!r}")
        if self.not_before is not None and not -_SECONDS_MAX <= self.not_before <= _SECONDS_MAX:
            raise ValueError(f"not_before: expected seconds since the Unix epoch, got {self.not_before!r}")
        if type(self.max_attempts) is not int or self.max_attempts < 0:
            raise ValueError(f"max_attempts: expected an integer ≥ 0, got {self.max_attempts!r}")

    @property
    def units(self) -> int:
        """Units that the task takes from its device."""
        return self.cost.units


@value
class ScheduledTask:
    """A task as the scheduler keeps it, and as a store must keep it: metadata plus what was decided.

    ``metadata`` has the pool's defaults filled in. ``sequence`` and ``tag`` fix its rank. ``epoch`` is the number of
    its latest start (0: never started), ``attempts`` the starts that count against ``max_attempts``. ``ready_at``
    delays it (``not_before`` or retry backoff). ``device`` and ``started_at`` belong to the current run;
    ``stop_reason`` says why a ``STOPPING`` task was interrupted.
    """

    metadata: TaskMetadata
    sequence: int
    tag: int
    admitted_at: float
    state: TaskState = TaskState.PARKED
    epoch: int = 0
    attempts: int = 0
    ready_at: float | None = None
    device: str | None = None
    started_at: float | None = None
    stop_reason: OutcomeStatus | None = None

    @property
    def id(self) -> str:
        """Identifier of the task."""
        return self.metadata.id

    @property
    def units(self) -> int:
        """Units that the task takes from its device."""
        return self.metadata.cost.units


@value
class Outcome:
    """How an attempt ended.

    ``value`` is opaque to the scheduler: it is handed on in ``Deliver`` and kept nowhere. ``retryable=False`` makes a
    failure final whatever attempts are left.
    """

    status: OutcomeStatus
    error: str | None = None
    value: object = attrs.field(default=None, hash=False)
    retryable: bool = True
