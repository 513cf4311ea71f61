"""What may happen to the scheduler. Every event carries the time at which it happened.

``at`` is in seconds since the Unix epoch, as a finite float. A time that runs backwards is clamped.
"""

from __future__ import annotations

from typing import TypeAlias

from parking_lot_core._values import value
from parking_lot_core.types import Outcome, ScheduledTask, TaskMetadata


@value
class Submitted:
    """A caller asks for this task."""

    task: TaskMetadata
    at: float


@value
class Offered:
    """A parked task that is durable elsewhere already is offered to this host."""

    task: ScheduledTask
    at: float


@value
class Finished:
    """The executor is done with the start numbered ``epoch``, well or badly."""

    task_id: str
    epoch: int
    outcome: Outcome
    at: float


@value
class Tick:
    """Time passed."""

    at: float


@value
class Cancelled:
    """A caller no longer wants this task."""

    task_id: str
    at: float


@value
class Withdrawn:
    """Someone else took or removed the task before our start (or our place for it) became durable."""

    task_id: str
    epoch: int
    at: float


@value
class CapacityChanged:
    """A device has ``units`` units from now on (≥ 0); a name that is new adds a device."""

    device: str
    units: int
    at: float


Event: TypeAlias = Submitted | Offered | Finished | Tick | Cancelled | Withdrawn | CapacityChanged
