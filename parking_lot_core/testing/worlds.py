"""Small worlds: pools, and events that mean something to the tasks that are there.

Everything is drawn from a ``Dice``, which Hypothesis or a seeded generator may roll; 0 is always the plainest choice,
so Hypothesis shrinks towards plain worlds. Events are made by looking at a ``Lot``, the tasks that the events before
them have left, to name real tasks, epochs and moments most of the time and wrong ones some of the time. All times are
quarters of a second: sums of them are exact, and two implementations have no excuse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import attrs

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Event,
    Finished,
    Offered,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ResourceCost,
    ScheduledTask,
    Submitted,
    TaskMetadata,
    Tick,
    Withdrawn,
)
from parking_lot_core._values import evolve
from parking_lot_core.testing.history import HOLDING, MakeScheduler, Watched
from parking_lot_core.testing.ledger import planned_end
from parking_lot_core.testing.model import Model

_T = TypeVar("_T")

TENANTS = ("", "ann", "bob", "cyd")
WEIGHTS: tuple[dict[str, float], ...] = ({}, {}, {"ann": 2, "bob": 1}, {"ann": 0.5, "bob": 3, "": 1})
WINDOWS = (3, 0, 1, 8, math.inf)
STEPS = (0, 0, 0, 0.25, 0.25, 0.5, 1, 1, 2, 3.75, -0.25, -2, -50)
USUAL_ENDS = (OutcomeStatus.SUCCEEDED, OutcomeStatus.FAILED, OutcomeStatus.LOST, OutcomeStatus.RETURNED)


class Lot(Protocol):
    """What whoever makes an event looks at. ``History`` and ``Model`` are such lots."""

    @property
    def now(self) -> float:
        """The latest time seen, in seconds since the Unix epoch."""

    @property
    def next_sequence(self) -> int:
        """A sequence number that no task has had."""

    @property
    def known(self) -> Sequence[ScheduledTask]:
        """Every task that is parked, running or stopping."""

    @property
    def devices(self) -> Sequence[Any]:
        """The devices; each has a ``name``."""

    def get(self, task_id: str) -> ScheduledTask | None:
        """One of the known tasks."""

    def moments(self) -> list[float]:
        """Future moments at which something may come true."""


@attrs.frozen
class Dice:
    """``below(n)`` gives a whole number from 0 to n − 1."""

    below: Callable[[int], int]

    def pick(self, options: Sequence[_T]) -> _T:
        return options[self.below(len(options))]

    def one_in(self, n: int) -> bool:
        return self.below(n) == n - 1

    def between(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def seconds(self, low: float, high: float) -> float:
        """Quarters of a second."""
        return self.between(math.ceil(low * 4), math.floor(high * 4)) / 4


@attrs.frozen(kw_only=True)
class Climate:
    """What kind of worlds are made: which policies a pool may have, and which kinds of events happen to it."""

    windows: Sequence[float] = WINDOWS
    devices_max: int = 3
    limits: bool | None = None  # every run has a limit, none has, or some have
    timely: bool = False  # a run never overruns its limit: its ``Finished`` comes before anything later does
    burst: int = 0  # submissions with which the world begins, all at once
    units_max: int = 8
    aging: bool | None = None  # every pool ages, none does, or some do
    depth: bool = True
    kinds: Sequence[Kind] | None = None

    def config(self, dice: Dice) -> PoolConfig:
        names = ("b", "a", "c")[: dice.between(1, self.devices_max)]  # not alphabetical, so that sorting by name shows
        aging = dice.one_in(3) if self.aging is None else self.aging
        pool_limit = self.limits or (self.limits is None and dice.one_in(2))
        return PoolConfig(
            devices={name: dice.between(2, self.units_max) for name in names},
            max_queue_depth=dice.between(1, 6) if self.depth and dice.one_in(4) else 1000,
            backfill_window=dice.pick(self.windows),
            aging=dice.pick((0.5, 1, 2, 5)) if aging else None,
            timeout=dice.seconds(0.25, 10) if dice.one_in(4) else None,
            run_timeout=dice.seconds(0.25, 6) if pool_limit else None,
            max_attempts=dice.between(1, 3),
            retry_backoff=dice.pick((0, 0.25, 1)),
            retry_backoff_max=dice.pick((300, 0.5)),
            tenants=dice.pick(WEIGHTS),
        )

    def event(self, dice: Dice, lot: Lot) -> Event:
        return dice.pick(self.kinds or KINDS)(self, dice, lot)


def later(dice: Dice, lot: Lot) -> float:
    """When the next event happens: usually now or a little later, at times before, at times when something is due."""
    if dice.one_in(3):
        moments = lot.moments()[:6]
        if moments:
            return dice.pick(moments) + dice.pick((0, 0, -0.25, 0.25))
    return lot.now + dice.pick(STEPS)


def metadata(climate: Climate, dice: Dice, lot: Lot, task_id: str) -> TaskMetadata:
    """What a submitter says: few sizes, so that tasks tie and tasks do not fit."""
    own_limit = climate.limits is not False and dice.one_in(2)
    return TaskMetadata(
        id=task_id,
        cost=ResourceCost(_units(climate, dice)),
        priority=dice.pick((Priority.NORMAL, Priority.LOW, Priority.HIGH, Priority.CRITICAL)),
        tenant=dice.pick(TENANTS),
        start_by=max(0.0, lot.now + dice.seconds(-1, 8)) if dice.one_in(5) else None,
        run_timeout=dice.seconds(0.25, 8) if own_limit else None,
        not_before=max(0.0, lot.now + dice.seconds(-1, 4)) if dice.one_in(6) else None,
        max_attempts=dice.pick((0, 0, 1, 2, 3)),
    )


def _units(climate: Climate, dice: Dice) -> int:
    """Three quarters of the largest device or less; now and then more, up to somewhat more than it has."""
    most = climate.units_max
    return dice.between(most - 1, most + 2) if dice.one_in(8) else dice.between(1, most * 3 // 4)


def submitted(climate: Climate, dice: Dice, lot: Lot) -> Submitted:
    known = [task.id for task in lot.known]
    task_id = dice.pick(known) if known and dice.one_in(12) else f"t{lot.next_sequence}"
    return Submitted(metadata(climate, dice, lot, task_id), later(dice, lot))


def offered(climate: Climate, dice: Dice, lot: Lot) -> Event:
    """A task that another host parked: any sequence that is free (or, rarely, is not), any tag, any past."""
    sequence = lot.next_sequence + dice.below(4)
    if dice.one_in(3):
        sequence = dice.between(1, lot.next_sequence)
    task_id = f"o{lot.next_sequence}.{sequence}"
    if lot.known and dice.one_in(10):
        task_id = dice.pick(lot.known).id
    epoch = dice.below(3)
    task = ScheduledTask(
        metadata=metadata(climate, dice, lot, task_id),
        sequence=sequence,
        tag=dice.below(12) * 2**18,
        admitted_at=max(0.0, lot.now + dice.seconds(-6, 1)),
        epoch=epoch,
        attempts=dice.between(0, epoch),
        ready_at=lot.now + dice.seconds(-1, 4) if dice.one_in(4) else None,
    )
    return Offered(task, later(dice, lot))


def finished(climate: Climate, dice: Dice, lot: Lot) -> Event:
    """The end of a run; now and then one that is stale, early, doubled or about nobody."""
    ends = [(task.id, task.epoch) for task in lot.known if task.state in HOLDING]
    if not ends or dice.one_in(8):
        ends = [(task.id, task.epoch + off) for task in lot.known for off in (-1, 0, 1)]
        ends += [("nobody", 1), ("t1", 1), ("t2", 1)]
    task_id, epoch = dice.pick(ends)
    outcome = Outcome(
        status=dice.pick(tuple(OutcomeStatus)) if dice.one_in(10) else dice.pick(USUAL_ENDS),
        error=dice.pick((None, "boom")),
        retryable=not dice.one_in(4),
    )
    return Finished(task_id, epoch, outcome, later(dice, lot))


def _named(dice: Dice, lot: Lot) -> str:
    """The id of a task that is there, or rarely of one that is not."""
    return "nobody" if not lot.known or dice.one_in(8) else dice.pick(lot.known).id


def cancelled(climate: Climate, dice: Dice, lot: Lot) -> Event:
    return Cancelled(_named(dice, lot), later(dice, lot))


def withdrawn(climate: Climate, dice: Dice, lot: Lot) -> Event:
    task_id = _named(dice, lot)
    task = lot.get(task_id)
    epoch = 1 if task is None else task.epoch
    return Withdrawn(task_id, epoch + dice.pick((0, 0, 0, 1, -1)), later(dice, lot))


def capacity_changed(climate: Climate, dice: Dice, lot: Lot) -> Event:
    device = "new" if dice.one_in(6) else dice.pick(lot.devices).name
    return CapacityChanged(device, 0 if dice.one_in(5) else dice.between(1, climate.units_max + 1), later(dice, lot))


def tick(climate: Climate, dice: Dice, lot: Lot) -> Event:
    return Tick(later(dice, lot))


Kind: TypeAlias = Callable[[Climate, Dice, Lot], Event]
KINDS: tuple[Kind, ...] = (
    *[submitted] * 8,
    *[finished] * 6,
    *[tick] * 3,
    offered,
    cancelled,
    withdrawn,
    capacity_changed,
)
QUIET: tuple[Kind, ...] = (*[submitted] * 3, *[finished] * 2, tick)
BUSY: tuple[Kind, ...] = (*[submitted] * 5, *[finished] * 8, offered, cancelled, withdrawn, tick)

CLIMATES = {
    "any": Climate(),
    "one device": Climate(devices_max=1, depth=False, kinds=QUIET),
    "several devices": Climate(windows=(1, 3), aging=False, depth=False, kinds=QUIET),
    "without limits": Climate(limits=False, depth=False, kinds=QUIET),
    "with limits": Climate(limits=True, devices_max=1, depth=False, kinds=QUIET),
    "burst": Climate(windows=(1, 3, 8), devices_max=1, burst=15, depth=False, kinds=BUSY),
    "aging": Climate(windows=(1, 3), aging=True, limits=False, burst=8, units_max=5, depth=False, kinds=QUIET),
}
LONG_LINES = Climate(burst=400, units_max=60, depth=False, kinds=BUSY)


@attrs.frozen
class World:
    """A pool and what happens to it."""

    config: PoolConfig
    events: tuple[Event, ...]


def make_world(
    dice: Dice,
    climate: Climate,
    length: int,
    *,
    make: MakeScheduler = Model,
    config: PoolConfig | None = None,
) -> World:
    """A pool, the burst, and about ``length`` events, each made for the lot that the ones before it left.

    The pool is ``config``, or one that the climate has. The events are made by watching what the scheduler does that
    ``make(config)`` gives: so the ends that are reported are those of tasks that it started, whatever its policy. Where
    it raises an error the world ends: whoever runs the world will see it.
    """
    watched = Watched(make(config := config or climate.config(dice)), config)
    lot = watched.history
    for count in range(climate.burst + length):
        event = climate.event(dice, lot)
        if count < climate.burst:
            event = evolve(submitted(climate, dice, lot), at=lot.now)
        while climate.timely and (due := first_due(lot, event.at)):
            if not _happens(watched, ended(*due, dice.pick(USUAL_ENDS))):
                break
        if not _happens(watched, event):
            break
    return World(config, tuple(watched.events))


def _happens(watched: Watched, event: Event) -> bool:
    """Whether the scheduler could take the event."""
    try:
        watched.step(event)
    except Exception:
        return False
    return True


def ended(end: float, task: ScheduledTask, status: OutcomeStatus = OutcomeStatus.SUCCEEDED) -> Event:
    """The end of a run at the moment ``end``."""
    return Finished(task.id, task.epoch, Outcome(status), end)


def first_due(lot: Lot, moment: float) -> tuple[float, ScheduledTask] | None:
    """The run whose limit ends first, with that end, if it is no later than ``moment``."""
    ends = [(end, task) for task in lot.known if (end := planned_end(task)) is not None and end <= moment]
    return min(ends, key=lambda due: due[0], default=None)
