"""The policy of one pool, as plain values. Files, sizes and units of measure are the drivers' business."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

DEFAULT_DEVICE = "0"

_Check: TypeAlias = Callable[[Any, Any, Any], None]


def _number(minimum: float, *, exclusive: bool = False, infinite: bool = False, optional: bool = False) -> _Check:
    """An attrs validator for a real number with a lower bound."""

    def check(_: object, attribute: Any, given: Any) -> None:
        if given is None and optional:
            return
        number = isinstance(given, (int, float)) and not isinstance(given, bool) and not math.isnan(given)
        low_ok = number and (given > minimum if exclusive else given >= minimum)
        if not low_ok or (given == math.inf and not infinite):
            sign = ">" if exclusive else "≥"
            raise ValueError(f"{attribute.name}: expected a number {sign} {minimum:g}, got {given!r}")

    return check


def _integer(minimum: int, *, optional: bool = False) -> _Check:
    """An attrs validator for a whole number with a lower bound."""

    def check(_: object, attribute: Any, given: Any) -> None:
        if given is None and optional:
            return
        if type(given) is not int or given < minimum:
            raise ValueError(f"{attribute.name}: expected an integer ≥ {minimum}, got {given!r}")

    return check


def _devices(_: object, attribute: Any, given: Any) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{attribute.name}: expected a mapping of device names to units, got {given!r}")
    for name, units in given.items():
        if not isinstance(name, str) or not name:
            raise ValueError(f"{attribute.name}: expected device names as non-empty strings, got {name!r}")
        if type(units) is not int or units < 1:
            raise ValueError(f"{attribute.name}.{name}: expected an integer ≥ 1, got {units!r}")


def _tenants(_: object, attribute: Any, given: Any) -> None:
    if not isinstance(given, Mapping):
        raise ValueError(f"{attribute.name}: expected a mapping of tenant names to weights, got {given!r}")
    for name, weight in given.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not 0 < weight < math.inf:
            raise ValueError(f"{attribute.name}.{name}: expected a weight > 0, got {weight!r}")


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

    max_units: int | None = attrs.field(default=None, validator=_integer(1, optional=True))
    devices: Mapping[str, int] = attrs.field(factory=dict, validator=_devices)
    max_queue_depth: int = attrs.field(default=100_000, validator=_integer(1))
    backfill_window: float = attrs.field(default=60.0, validator=_number(0, infinite=True))
    aging: float | None = attrs.field(
        default=None,
        validator=_number(0, exclusive=True, optional=True),
    )
    timeout: float | None = attrs.field(
        default=None,
        validator=_number(0, exclusive=True, optional=True),
    )
    run_timeout: float | None = attrs.field(
        default=None,
        validator=_number(0, exclusive=True, optional=True),
    )
    max_attempts: int = attrs.field(default=3, validator=_integer(1))
    retry_backoff: float = attrs.field(default=1.0, validator=_number(0))
    retry_backoff_max: float = attrs.field(default=300.0, validator=_number(0))
    tenants: Mapping[str, float] = attrs.field(factory=dict, validator=_tenants)

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
