"""The part of the scheduler's state that belongs to no single task."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class DeviceRecord:
    """Capacity of one device: as configured, now, and the most it ever was, in units."""

    device: str
    configured: int
    capacity: int
    capacity_max: int


@attrs.frozen(kw_only=True)
class Checkpoint:
    """What a driver saves beside the tasks, in the same transaction, so that ``restore`` gives the same scheduler.

    Attributes:
        now: the latest time seen, in seconds since the Unix epoch.
        next_sequence: the sequence number that the next admitted task gets.
        virtual_time: start tag of the fair-share round in service.
        finish_tags: the tag at which each tenant's latest task ends, where it lies past ``virtual_time``.
        passed_over: since when each task that was passed over has been, in seconds since the Unix epoch.
        devices: capacities.
    """

    now: float = 0.0
    next_sequence: int = 1
    virtual_time: int = 0
    finish_tags: tuple[tuple[str, int], ...] = ()
    passed_over: tuple[tuple[str, float], ...] = ()
    devices: tuple[DeviceRecord, ...] = ()
