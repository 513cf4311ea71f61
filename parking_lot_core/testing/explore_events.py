"""What may happen next in a small world: every event that its state gives a meaning to, each once.

A choice names an event without times, ids and epochs of its own: the place of a task in the description of the state
(``explore_states.py``), and quarters of a second from now. So the same choices are there in states that count as one,
they come to the same, and a path of choices leads from the empty pool to a state. A choice is one whole number.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Event,
    Finished,
    Offered,
    ResourceCost,
    ScheduledTask,
    Submitted,
    TaskMetadata,
    Tick,
    Withdrawn,
)
from parking_lot_core.testing.explore_states import Canon
from parking_lot_core.testing.explore_worlds import QUARTERS, SUCCEEDED, Kind, SmallWorld
from parking_lot_core.testing.ledger import HOLDING
from parking_lot_core.testing.model import Model

OFFERED = "o"  # how the ids of offered tasks begin


class Verb(enum.IntEnum):
    """Kinds of choices. What ``a`` and ``b`` mean: see ``Happenings``."""

    TICK = 0
    SUBMIT = 1
    SUBMIT_AGAIN = 2
    FINISH = 3
    FINISH_STALE = 4
    CANCEL = 5
    WITHDRAW = 6
    WITHDRAW_STALE = 7
    CAPACITY = 8
    OFFER = 9
    STRANGER = 10
    PEEK = 11


def packed(verb: Verb, a: int = 0, b: int = 0, quarters: int = 0) -> int:
    """A choice as one number: verb, two small numbers, and quarters of a second from now."""
    return verb << 28 | a << 22 | b << 16 | quarters


def is_a_peek(choice: int) -> bool:
    """Whether a choice is looked at, but nothing is looked for behind it."""
    return choice >> 28 == Verb.PEEK


class Happenings:
    """The choices of one world, and the events that they come to."""

    def __init__(self, world: SmallWorld, canon: Canon) -> None:
        self._world = world
        self._canon = canon
        self._changes = [(device, units) for device, options in world.capacities.items() for units in options]
        self._costs = {units: ResourceCost(units) for units in range(1, self.largest + 2)}
        self._events: dict[int, Callable[[Model, list[ScheduledTask], int, int, float], Event]] = {
            Verb.TICK: self._tick,
            Verb.SUBMIT: self._submit,
            Verb.SUBMIT_AGAIN: self._submit_again,
            Verb.FINISH: self._finish,
            Verb.FINISH_STALE: self._finish_stale,
            Verb.CANCEL: self._cancel,
            Verb.WITHDRAW: self._withdraw,
            Verb.WITHDRAW_STALE: self._withdraw_stale,
            Verb.CAPACITY: self._capacity,
            Verb.OFFER: self._offer,
            Verb.STRANGER: self._stranger,
            Verb.PEEK: self._tick,
        }

    @property
    def largest(self) -> int:
        """Most units that any kind of task costs, or any device ever has."""
        world = self._world
        units = [kind.units for kind in world.kinds + world.offered] + list(world.config.budgets.values())
        return max(units + [units for options in world.capacities.values() for units in options])

    # -- which there are -----------------------------------------------------------------------------------------

    def choices(self, state: Model, order: list[ScheduledTask]) -> list[int]:
        """Every choice in this state, given its tasks in the order of its description."""
        moments = [round((moment - state.now) * QUARTERS) for moment in state.moments()]
        ticks = sorted({0, round(self._world.step * QUARTERS), *moments})
        # Everything else happens now, or at the next moment that matters, before any tick.
        times = [0, *moments[:1]]
        found = [packed(Verb.TICK, quarters=quarters) for quarters in ticks]
        if moments and moments[0] > 1:
            # What comes too early would be seen just before the moment. Following it would double every world.
            found.append(packed(Verb.PEEK, quarters=moments[0] - 1))
        found.append(packed(Verb.TICK, 1))
        found += [packed(Verb.STRANGER, a) for a in range(3)]
        found += self._about_tasks(order, times)
        if order:
            found.append(packed(Verb.SUBMIT_AGAIN, 0))
        room = len(order) < self._world.tasks_max
        for quarters in times:
            if room:
                found += [packed(Verb.SUBMIT, a, quarters=quarters) for a in self._submissions(state)]
                offered = len(self._world.offered)
                found += [packed(Verb.OFFER, a, b, quarters) for a in range(offered) for b in range(2)]
            found += [packed(Verb.CAPACITY, a, quarters=quarters) for a in range(len(self._changes))]
        if self._world.offered and order:
            found += [packed(Verb.OFFER, 0, 2), packed(Verb.OFFER, 0, 3)]
        return found

    def _about_tasks(self, order: list[ScheduledTask], times: list[int]) -> Iterator[int]:
        for a, task in enumerate(order):
            holds = task.state in HOLDING
            endings = range(len(self._world.endings)) if holds else ()
            for quarters in times:
                yield from (packed(Verb.FINISH, a, b, quarters) for b in endings)
                yield packed(Verb.CANCEL, a, quarters=quarters)
                if self._world.withdrawals:
                    yield packed(Verb.WITHDRAW, a, quarters=quarters)
            yield from (packed(Verb.FINISH_STALE, a, b) for b in (0, 2))
            if not holds:
                yield packed(Verb.FINISH_STALE, a, 1)
            if self._world.withdrawals:
                yield packed(Verb.WITHDRAW_STALE, a)

    def _submissions(self, state: Model) -> Iterator[int]:
        """Kinds that may be submitted, and one after the last: a task that no device is large enough for."""
        for a, kind in enumerate(self._world.kinds):
            ahead = state.finish_tags.get(kind.tenant, 0) - state.virtual_time
            if ahead < self._world.lead_max * 2**20:
                yield a
        yield len(self._world.kinds)

    # -- what they come to ---------------------------------------------------------------------------------------

    def event(self, state: Model, order: list[ScheduledTask], choice: int) -> Event:
        """What a choice comes to in this state."""
        at = state.now + (choice & 0xFFFF) / QUARTERS
        return self._events[choice >> 28](state, order, choice >> 22 & 63, choice >> 16 & 63, at)

    def _tick(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: seconds by which the clock has gone back."""
        return Tick(at - a)

    def _submit(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which kind."""
        kinds = self._world.kinds
        kind = kinds[a] if a < len(kinds) else Kind(self.largest + 1)
        return Submitted(self._metadata(kind, f"t{state.next_sequence}", at), at)

    def _submit_again(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: whose id."""
        return Submitted(self._metadata(self._world.kinds[0], order[a].id, at), at)

    def _metadata(self, kind: Kind, task_id: str, at: float) -> TaskMetadata:
        return TaskMetadata(
            id=task_id,
            cost=self._costs[kind.units],
            priority=kind.priority,
            tenant=kind.tenant,
            start_by=None if kind.start_by is None else at + kind.start_by,
            run_timeout=kind.run_timeout,
            not_before=None if kind.not_before is None else at + kind.not_before,
        )

    def _finish(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which task; ``b``: how."""
        return Finished(order[a].id, order[a].epoch, self._world.endings[b], at)

    def _finish_stale(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which task; ``b``: one epoch before (0), the same, for a task that does not run (1), one ahead (2)."""
        return Finished(order[a].id, order[a].epoch + b - 1, SUCCEEDED, at)

    def _cancel(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which task."""
        return Cancelled(order[a].id, at)

    def _withdraw(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which task."""
        return Withdrawn(order[a].id, order[a].epoch, at)

    def _withdraw_stale(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which task."""
        return Withdrawn(order[a].id, order[a].epoch + 1, at)

    def _capacity(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which of the world's changes."""
        device, units = self._changes[a]
        return CapacityChanged(device, units, at)

    def _offer(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """``a``: which kind; ``b``: before all (0), after all (1), with a sequence (2) or an id (3) that is there."""
        kind = self._world.offered[a]
        sequences = [task.sequence for task in order]
        first = min([*sequences, state.next_sequence])
        sequence = (first - 1, state.next_sequence, first, state.next_sequence)[b]
        task_id = order[0].id if b == 3 else f"{OFFERED}{sequence}.{state.next_sequence}"
        tag = state.virtual_time if self._world.config.tenants else 0
        task = ScheduledTask(self._metadata(kind, task_id, at), sequence, tag, at)
        return Offered(task, at)

    def _stranger(self, state: Model, order: list[ScheduledTask], a: int, b: int, at: float) -> Event:
        """A task that is gone, or never was: its end (``a`` = 0), a cancel (1), a withdrawal (2)."""
        there = {task.id for task in order}
        gone = (f"t{number}" for number in range(1, state.next_sequence) if f"t{number}" not in there)
        task_id = next(gone, "nobody")
        stray: tuple[Event, ...] = (
            Finished(task_id, 1, SUCCEEDED, at),
            Cancelled(task_id, at),
            Withdrawn(task_id, 1, at),
        )
        return stray[a]
