"""Rank: one whole number per task, smaller is served first; and the fair-share tags that are part of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from parking_lot_core.types import Priority, ScheduledTask, TaskMetadata

# A rank is class, tag and sequence side by side, so that comparing two ranks is comparing two integers.
_SEQUENCE_BITS = 64
_TAG_BITS = 96
_TAG_MAX = (1 << _TAG_BITS) - 1
#: A rank without its lowest so many bits is the place of its class: 0 for the highest.
CLASS_BITS = _TAG_BITS + _SEQUENCE_BITS
#: The smallest rank of each class, the highest class first.
RANK_MIN_BY_CLASS = tuple(place << CLASS_BITS for place in range(len(Priority)))

# Sequences are counted from the middle of their range, so that one from elsewhere may be negative.
_BASE_BY_LEVEL = tuple(reversed([rank_min + (1 << _SEQUENCE_BITS - 1) for rank_min in RANK_MIN_BY_CLASS]))

# Resolution of virtual time: one unit of a tenant of weight 1 is 2^20 ticks, so that weights up to a million count.
_TICKS_PER_UNIT = 1 << 20


def rank_of(level: int, tag: int, sequence: int) -> int:
    """Rank of a task: its class (0 to 3), then its fair-share tag, then its sequence."""
    return _BASE_BY_LEVEL[level] + (tag << _SEQUENCE_BITS) + sequence


def waits_since(task: ScheduledTask) -> float:
    """The moment from which the task ages: its admission, or the ``not_before`` that it asked for."""
    not_before = task.metadata.not_before
    return task.admitted_at if not_before is None else max(task.admitted_at, not_before)


def promotion_at(task: ScheduledTask, gained: int, aging: float) -> float:
    """When the task gains its class number ``gained`` (≥ 1)."""
    return waits_since(task) + gained * aging


def classes_gained(task: ScheduledTask, now: float, aging: float) -> int:
    """How many classes the task has gained by waiting; never more than it could use."""
    gained = 0
    most = Priority.CRITICAL - task.metadata.priority
    while gained < most and now >= promotion_at(task, gained + 1, aging):
        gained += 1
    return gained


class FairShare:
    """Start-time fair queuing over tenants, in whole numbers.

    Source: P. Goyal, H. M. Vin, H. Cheng, "Start-time Fair Queuing", SIGCOMM 1996. A task's start tag is the virtual
    time or the finish tag of its tenant's previous task, whichever is later; its finish tag is its start tag plus cost
    over weight. Virtual time is the start tag in service. Whole numbers keep every platform's arithmetic the same.
    """

    __slots__ = ("_finish_tags", "_weights", "enabled", "virtual_time")

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = dict(weights)
        self._finish_tags: dict[str, int] = {}
        self.virtual_time = 0
        #: Whether any tenant has a weight.
        self.enabled = bool(weights)

    def tag(self, task: TaskMetadata) -> int:
        """The start tag of a new task; the tenant's finish tag moves on."""
        start = min(_TAG_MAX, max(self.virtual_time, self._finish_tags.get(task.tenant, 0)))
        self._finish_tags[task.tenant] = start + self._increment(task)
        return start

    def adopt(self, task: ScheduledTask) -> None:
        """Take note of a task that was tagged elsewhere."""
        tenant = task.metadata.tenant
        finish = task.tag + self._increment(task.metadata)
        self._finish_tags[tenant] = max(self._finish_tags.get(tenant, 0), finish)

    def started(self, tag: int) -> None:
        """A task with this tag was started: virtual time moves on to it."""
        self.virtual_time = max(self.virtual_time, tag)

    def finish_tags(self) -> tuple[tuple[str, int], ...]:
        """The finish tags that still matter, by tenant name. Those that virtual time has passed are forgotten."""
        passed = [tenant for tenant, tag in self._finish_tags.items() if tag <= self.virtual_time]
        for tenant in passed:
            del self._finish_tags[tenant]
        return tuple(sorted(self._finish_tags.items()))

    def restore(self, virtual_time: int, finish_tags: Iterable[tuple[str, int]]) -> None:
        """Go on from a checkpoint."""
        self.virtual_time = virtual_time
        self._finish_tags = dict(finish_tags)

    def _increment(self, task: TaskMetadata) -> int:
        weight = self._weights.get(task.tenant, 1.0)
        return max(1, round(task.cost.units * _TICKS_PER_UNIT / weight))
