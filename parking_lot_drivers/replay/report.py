"""What a replay found: every request, every run, and the figures drawn from them."""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from parking_lot_core import OutcomeStatus, Priority
from parking_lot_drivers.replay.timeline import Timeline


class Ending(enum.Enum):
    """How a request ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    QUEUE_FULL = "queue_full"


@attrs.define
class Life:
    """One request. Times are in seconds since the first arrival; ``started_at`` is its first start, if it had one."""

    row: int
    priority: Priority
    units: int
    arrived_at: float
    started_at: float | None = None
    ended_at: float | None = None
    ending: Ending | None = None
    runs: int = 0

    @property
    def wait_s(self) -> float | None:
        """Seconds from arrival to first start; ``None`` if it never started."""
        return None if self.started_at is None else self.started_at - self.arrived_at


@attrs.frozen
class Run:
    """One stay on a device: the row of its request, ``units`` held, and from when until when."""

    row: int
    device: str
    units: int
    started_at: float
    finished_at: float
    status: OutcomeStatus


@attrs.frozen
class Waits:
    """Waits of the ``count`` requests that started, in seconds; ``never_started`` others expired or were rejected.

    A percentile is the smallest wait that so many did not exceed.
    """

    count: int
    never_started: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, lives: Iterable[Life]) -> Waits:
        """The waits of these requests; all zero if none started."""
        every = [life.wait_s for life in lives]
        waits = sorted(wait for wait in every if wait is not None)
        never = len(every) - len(waits)
        if not waits:
            return cls(0, never, 0.0, 0.0, 0.0, 0.0, 0.0)

        def percentile(share: float) -> float:
            return waits[max(0, math.ceil(share * len(waits)) - 1)]

        mean = math.fsum(waits) / len(waits)
        return cls(len(waits), never, mean, percentile(0.50), percentile(0.95), percentile(0.99), waits[-1])


@attrs.frozen
class DeviceUse:
    """One device: its capacity, the most units in use at once, and their time-weighted mean share of the capacity."""

    device: str
    capacity: int
    used_max: int
    utilisation: float


@attrs.frozen(kw_only=True)
class Report:
    """The result of one replay. Durations are in seconds of virtual time, but for ``wall_s``.

    Attributes:
        lives: every request, in order of arrival.
        runs: every run, in the order in which they ended.
        devices: use of each device, in configured order.
        timeline: units in use, summed over the devices, and parked requests, over time.
        parked_max: most requests parked at once, measured after each event.
        makespan_s: from the first arrival to the last end.
        events: events that the scheduler was given.
        wall_s: seconds that the replay really took.
    """

    lives: Sequence[Life]
    runs: Sequence[Run]
    devices: Sequence[DeviceUse]
    timeline: Timeline
    parked_max: int
    makespan_s: float
    events: int
    wall_s: float

    @property
    def capacity(self) -> int:
        """Units of all devices together."""
        return sum(use.capacity for use in self.devices)

    @property
    def utilisation(self) -> float:
        """Time-weighted mean share of all units that was in use."""
        return sum(use.utilisation * use.capacity for use in self.devices) / self.capacity

    @property
    def endings(self) -> Mapping[Ending, int]:
        """How many requests ended in each way."""
        counts = Counter(life.ending for life in self.lives)
        return {ending: counts[ending] for ending in Ending}

    @property
    def retries(self) -> int:
        """Runs beyond the first of each request."""
        return sum(max(0, life.runs - 1) for life in self.lives)

    @property
    def waits(self) -> Waits:
        """Waits of all requests."""
        return Waits.of(self.lives)

    @property
    def waits_by_priority(self) -> Mapping[Priority, Waits]:
        """Waits of each priority class, the highest first."""
        return {
            priority: Waits.of(life for life in self.lives if life.priority is priority)
            for priority in sorted(Priority, reverse=True)
        }

    def as_dict(self) -> dict[str, object]:
        """Figures as plain values for JSON: everything but the single requests, runs and samples."""
        return {
            "requests": len(self.lives),
            **{ending.value: count for ending, count in self.endings.items()},
            "retries": self.retries,
            "wait_s": attrs.asdict(self.waits),
            "wait_s_by_priority": {
                priority.name.lower(): attrs.asdict(waits) for priority, waits in self.waits_by_priority.items()
            },
            "capacity": self.capacity,
            "utilisation": self.utilisation,
            "devices": [attrs.asdict(use) for use in self.devices],
            "parked_max": self.parked_max,
            "parked_mean": self.timeline.mean_parked(),
            "makespan_s": self.makespan_s,
            "events": self.events,
            "wall_s": self.wall_s,
            "events_per_s": self.events / self.wall_s,
        }
