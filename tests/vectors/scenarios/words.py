"""The words that the scenarios are told in, beside those of ``tests.core.play``."""

from __future__ import annotations

from typing import Any

from parking_lot_core import Event, Offered, OutcomeStatus, PoolConfig, ScheduledTask
from tests.core.play import task

FAILED, LOST, RETURNED = OutcomeStatus.FAILED, OutcomeStatus.LOST, OutcomeStatus.RETURNED


def pool(units: int | None = 4, **policy: Any) -> PoolConfig:
    """A pool with the given policy, on one device unless ``devices`` are given."""
    return PoolConfig(max_units=None if "devices" in policy else units, **policy)


def offer(
    task_id: str, units: int = 1, *, sequence: int, at: float, tag: int = 0, epoch: int = 0, **more: Any
) -> Event:
    """A task that another host parked at time 0."""
    about = {name: more.pop(name) for name in ("attempts", "ready_at") if name in more}
    return Offered(ScheduledTask(task(task_id, units, **more), sequence, tag, 0.0, epoch=epoch, **about), at)
