"""When two states count as one: what is left of a state when everything that no answer can depend on is taken away.

A state is what the model keeps: the tasks that are there, the clock, capacities, fair-share tags and passed-over
marks. ``Canon`` writes it down so that two states get the same description only if every further event, named alike
(by the place of its task in the description, by seconds from now), gets the same answer in both, task for task, and
leads to states that again have the same description. Each thing that is left out or bent, and why that changes
nothing (``RULES.md`` is what may depend on a state; ``tests/core/test_explore.py`` tries it on random futures):

- **The clock.** Rules only compare times with each other and add durations to ``now``, so every time is written as
  seconds from now.
- **Ids and sequence numbers.** Ids are compared for equality only, sequences for order and equality, and a new task
  gets a number larger than all (or an offered one a number before all). The place of the task in the list says it.
- **Epochs.** Compared for equality with the epoch in an event only; events name them as so many more or fewer than
  the task's own.
- **What is past** is past, however long: a ``ready_at`` that has come, the ``start_by`` of a running task (it expires
  when it is parked again), a passed-over mark as old as the window, an age of three classes (no task can gain more).
- **Planned ends that are past** belong to stopping tasks. A reservation adds them up in their order, and lets nothing
  pass by the time that is left, there being none: their order is kept, and whether two are equal, not the times. Where
  there are no reservations (a window of 0 or infinity), nothing reads them.
- **Fair-share tags** are compared with each other, and with a virtual time that only grows: tags are written as their
  distance from it. Of those behind it the order is kept; tenants' finish tags behind it count for nothing. Without
  tenants, all of them do.
- **A stopping task** never parks again: its class, age, attempts, tag and ``start_by`` are as good as gone. Its
  sequence breaks ties between planned ends, and nothing else: where it has none, it goes to the end of the list,
  sorted by what is left of it.
- **Passed-over marks** are read only where the window bounds something.
- **The largest capacity ever** is read as the largest of all devices only.
- **Counters** of ignored events, and ids of tasks that are gone, are read by nobody (a ``Finished`` of a task that
  is gone is that of a stranger). The examination compares counters all the same, along each path.

Devices are *not* merged, equal or not: "then device order" breaks ties, so two equal devices that swap what runs on
them answer differently. Bending is one thing, seeing another: the examination compares full states, commands and
views of both sides, of the state as it was really reached. Only the decision not to look further rests on this page.
"""

from __future__ import annotations

import hashlib
import marshal
import math
from collections.abc import Iterable
from typing import Any, TypeAlias, TypeVar

from parking_lot_core import OutcomeStatus, PoolConfig, ScheduledTask, TaskState
from parking_lot_core.testing.ledger import Ledger, planned_end

Described: TypeAlias = tuple[Any, ...]
_N = TypeVar("_N", int, float)

_PARKED = TaskState.PARKED
_STOPPING = TaskState.STOPPING
_NEVER = -0.5  # where every other number is ≥ 0, or ≤ −1
_GAINS_MAX = 3


class Canon:
    """Describes the states of one pool."""

    def __init__(self, config: PoolConfig) -> None:
        self._bounded = 0 < config.backfill_window < math.inf
        self._window = float(config.backfill_window)
        # An age is bent to this, so that it stays a float: descriptions are compared as bytes.
        self._age_max = None if config.aging is None else float(_GAINS_MAX * config.aging)
        self._shares = bool(config.tenants)
        self._budgets = len(config.budgets)

    def describe(self, state: Ledger) -> Described:
        """The state without what no answer depends on; numbers, strings and tuples only."""
        return self.describe_in_order(state)[0]

    def describe_in_order(self, state: Ledger) -> tuple[Described, list[ScheduledTask]]:
        """The description, and the tasks in the order in which it lists them."""
        now = state.now
        ends = [planned_end(task) for task in state.known] if self._bounded else []
        past = _places([end for end in ends if end is not None and end <= now])
        tags = [task.tag for task in state.known if task.state is not _STOPPING] if self._shares else []
        late = _places([tag for tag in tags if tag < state.virtual_time])
        placed: list[tuple[Described, ScheduledTask]] = []
        loose: list[tuple[Described, ScheduledTask]] = []
        for task in sorted(state.known, key=_sequence):
            end = planned_end(task)
            left = _NEVER if end is None else end - now if end > now else 0.0
            if task.state is _STOPPING:
                cancelled = task.stop_reason is OutcomeStatus.CANCELLED
                ending = left if end is None else past.get(end, left)
                about: Described = (2, cancelled, task.metadata.cost.units, task.device, ending)
                (placed if self._bounded and end is not None else loose).append((about, task))
            else:
                placed.append((self._describe_task(state, task, left, late), task))
        loose.sort(key=_first)
        placed += loose
        order = [task for _, task in placed]
        return (self._about_all(state), *[about for about, _ in placed]), order

    def _describe_task(self, state: Ledger, task: ScheduledTask, left: float, late: dict[Any, int]) -> Described:
        """A task that is parked, or may be parked again."""
        now, metadata = state.now, task.metadata
        start_by = metadata.start_by
        waits = _NEVER if start_by is None else max(0.0, start_by - now)
        age = 0.0
        if self._age_max is not None:
            since = max(task.admitted_at, task.admitted_at if metadata.not_before is None else metadata.not_before)
            age = min(now - since, self._age_max)
        tag = late.get(task.tag, task.tag - state.virtual_time) if self._shares else 0
        limit = metadata.run_timeout or _NEVER
        about: Described = (
            metadata.cost.units,
            int(metadata.priority),
            limit,
            waits,
            metadata.max_attempts,
            task.attempts,
            age,
        )
        if self._shares:
            about = (*about, metadata.tenant, tag)
        if task.state is not _PARKED:
            return (1, *about, task.device, left)
        ready_at = task.ready_at
        delay = ready_at - now if ready_at is not None and ready_at > now else 0.0
        since_passed = state.passed_over.get(metadata.id) if self._bounded else None
        return (0, *about, delay, _NEVER if since_passed is None else min(now - since_passed, self._window))

    def _about_all(self, state: Ledger) -> Described:
        records = state.records
        about: Described = (state.largest_device, *[record.capacity for record in records])
        if len(records) > self._budgets:
            about = (*about, *[record.device for record in records[self._budgets :]])
        if self._shares:
            ahead = sorted((tenant, tag - state.virtual_time) for tenant, tag in state.finish_tags.items())
            about = (*about, *[pair for pair in ahead if pair[1] > 0])
        return about


def fingerprint(description: Described) -> int:
    """64 bits that stand for a description, the same in every process.

    Two different ones among ``n`` have the same with a probability of about n² / 2^65: 3 in 10^8 for a million states,
    3 in 10^4 for a hundred million. A state that is taken for another is then not looked at; nothing is reported that
    is not so.
    """
    # Version 2 of the format knows no references, so equal values give equal bytes.
    return int.from_bytes(hashlib.blake2b(marshal.dumps(description, 2), digest_size=8).digest(), "little")


def _places(values: Iterable[_N]) -> dict[_N, int]:
    """A negative place for each number: −1 for the largest, and equal ones have the same."""
    return {value: -1 - place for place, value in enumerate(sorted(set(values), reverse=True))}


def _sequence(task: ScheduledTask) -> int:
    return task.sequence


def _first(pair: tuple[Described, ScheduledTask]) -> Described:
    return pair[0]
