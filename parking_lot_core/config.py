"""The policy of one pool, as plain values. Files, sizes and units of measure are the drivers' business."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import attrs

DEFAULT_DEVICE = "0"

# The checks below are objects with public bounds, not closures, so that readers of configuration files and generators
# of schemas can ask a field of ``PoolConfig`` what it allows.


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)


@attrs.frozen
class Whole:
    """Checks that a field holds a whole number ≥ ``minimum``."""

    minimum: int
    optional: bool = False

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        return f"an integer ≥ {self.minimum}"

    def __call__(self, _: object, attribute: Any, given: Any) -> None:
        """Raise ``ValueError`` for anything else."""
        if given is None and self.optional:
            return
        if type(given) is not int or given < self.minimum:
            raise ValueError(f"{attribute.name}: expected {self.expected}, got {given!r}")


class Units(Whole):
    """Checks that a field holds units of a device."""


@attrs.frozen
class Seconds:
    """Checks that a field holds a duration in seconds ≥ ``minimum``, or > it if ``exclusive``."""

    minimum: float
    exclusive: bool = False
    infinite: bool = False
    optional: bool = False

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        return f"a number {'>' if self.exclusive else '≥'} {self.minimum:g}"

    def allows(self, given: float) -> bool:
        """Whether this number is allowed. NaN, and integers past the range of a float, never are."""
        low_ok = given > self.minimum if self.exclusive else given >= self.minimum
        return low_ok and (given <= sys.float_info.max or (self.infinite and given == math.inf))

    def __call__(self, _: object, attribute: Any, given: Any) -> None:
        """Raise ``ValueError`` for anything else."""
        if given is None and self.optional:
            return
        if not _is_number(given) or not self.allows(given):
            raise ValueError(f"{attribute.name}: expected {self.expected}, got {given!r}")


@attrs.frozen
class UnitsByDevice:
    """Checks that a field maps device names to units."""

    units: Units = Units(1)

    def __call__(self, _: object, attribute: Any, given: Any) -> None:
        """Raise ``ValueError`` for anything else."""
        if not isinstance(given, Mapping):
            raise ValueError(f"{attribute.name}: expected a mapping of device names to units, got {given!r}")
        for name, units in given.items():
            if not isinstance(name, str) or not name:
                raise ValueError(f"{attribute.name}: expected device names as non-empty strings, got {name!r}")
            if type(units) is not int or units < self.units.minimum:
                raise ValueError(f"{attribute.name}.{name}: expected {self.units.expected}, got {units!r}")


@attrs.frozen
class WeightByTenant:
    """Checks that a field maps tenant names to fair-share weights within bounds that keep tags small integers."""

    minimum: float = 1e-6
    maximum: float = 1e6

    @property
    def expected(self) -> str:
        """What is allowed, in words."""
        return f"a weight from {self.minimum:g} to {self.maximum:g}"

    def allows(self, weight: float) -> bool:
        """Whether this number can be a weight."""
        return self.minimum <= weight <= self.maximum

    def __call__(self, _: object, attribute: Any, given: Any) -> None:
        """Raise ``ValueError`` for anything else."""
        if not isinstance(given, Mapping):
            raise ValueError(f"{attribute.name}: expected a mapping of tenant names to weights, got {given!r}")
        for name, weight in given.items():
            if not _is_number(weight) or not self.allows(weight):
                raise ValueError(f"{attribute.name}.{name}: expected {self.expected}, got {weight!r}")


@attrs.frozen(kw_only=True)
class PoolConfig:
    """Policy of one pool. Durations are in seconds.

    Attributes:
        max_units: units of the single device ``"0"``; give this or ``devices``.
        devices: units by device name, in the order that breaks ties.
        max_queue_depth: the most tasks that the lot holds, parked and running together (a running task keeps its
            place, because it may have to come back).
        backfill_window: how long a blocked head may be passed over; 0 is strict order, infinity pure first fit.
        aging: a task gains one priority class for every so many seconds that it waits; ``None`` is off.
        timeout: default bound on waiting; a task that has not started by then expires. ``None`` is none.
        run_timeout: default bound on each run. ``None`` is none.
        max_attempts: default number of starts that may fail or be lost before the task is given up.
        retry_backoff: seconds before the first retry; doubles for every further one.
        retry_backoff_max: the longest such delay.
        tenants: fair-share weights by tenant; empty switches fair sharing off. A tenant that is not named weighs 1.

    Raises ``ValueError`` naming the field, the value and what is allowed.
    """

    max_units: int | None = attrs.field(default=None, validator=Units(1, optional=True))
    devices: Mapping[str, int] = attrs.field(factory=dict, validator=UnitsByDevice())
    max_queue_depth: int = attrs.field(default=100_000, validator=Whole(1))
    backfill_window: float = attrs.field(default=60.0, validator=Seconds(0, infinite=True))
    aging: float | None = attrs.field(default=None, validator=Seconds(0, exclusive=True, optional=True))
    timeout: float | None = attrs.field(default=None, validator=Seconds(0, exclusive=True, optional=True))
    run_timeout: float | None = attrs.field(default=None, validator=Seconds(0, exclusive=True, optional=True))
    max_attempts: int = attrs.field(default=3, validator=Whole(1))
    retry_backoff: float = attrs.field(default=1.0, validator=Seconds(0))
    retry_backoff_max: float = attrs.field(default=300.0, validator=Seconds(0))
    tenants: Mapping[str, float] = attrs.field(factory=dict, validator=WeightByTenant())

    def __attrs_post_init__(self) -> None:
        if (self.max_units is None) == (not self.devices):
            raise ValueError(
                "max_units, devices: expected exactly one of them, "
                f"got max_units={self.max_units!r} and devices={dict(self.devices)!r}"
            )

    @property
    def budgets(self) -> dict[str, int]:
        """Configured units by device name, in order."""
        return dict(self.devices) if self.max_units is None else {DEFAULT_DEVICE: self.max_units}

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after failed attempt number ``attempts`` (≥ 1): exponential, without randomness."""
        doublings = min(attempts - 1, 60)
        return min(self.retry_backoff_max, self.retry_backoff * 2.0**doublings)
