"""Hypothesis strategies for pools, tasks, events and whole worlds: Hypothesis rolls the dice of ``worlds.py``.

Each takes a ``Climate``, which says what kind of pools, tasks and events there are. Values are small and few, so that
tasks tie, do not fit and get into each other's way; they shrink towards plain ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from parking_lot_core import Event, PoolConfig, TaskMetadata
from parking_lot_core._values import evolve
from parking_lot_core.testing import worlds as making
from parking_lot_core.testing._needs import MissingHypothesis
from parking_lot_core.testing.history import History, MakeScheduler
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.worlds import KINDS, Climate, Dice, Kind, Lot, World, make_world

try:
    from hypothesis import strategies as st
except ModuleNotFoundError as missing:
    raise MissingHypothesis("parking_lot_core.testing.strategies") from missing

ANY = Climate()


@cache
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


def dice(draw: st.DrawFn) -> Dice:
    """Dice whose rolls Hypothesis chooses, remembers and shrinks."""
    return Dice(lambda n: draw(_below(n)))


@st.composite
def configs(draw: st.DrawFn, climate: Climate = ANY) -> PoolConfig:
    """Pools: small devices, and every policy that the climate has."""
    return climate.config(dice(draw))


@st.composite
def tasks(draw: st.DrawFn, climate: Climate = ANY, *, task_id: str = "t1", now: float = 0.0) -> TaskMetadata:
    """What a submitter says about a task at ``now``, in seconds since the Unix epoch."""
    lot = History(PoolConfig(max_units=climate.units_max))
    lot.now = now
    return making.metadata(climate, dice(draw), lot, task_id)


@st.composite
def events(draw: st.DrawFn, climate: Climate = ANY, lot: Lot | None = None, *kinds: Kind) -> Event:
    """One event that may happen next to the tasks in ``lot``, such as ``Watched.history``; without one, to none.

    ``kinds`` are functions of ``worlds.py`` (``submitted``, ``finished``, ...); without any, those of the climate.
    """
    lot = History(PoolConfig(max_units=climate.units_max)) if lot is None else lot
    roll = dice(draw)
    return roll.pick(kinds or climate.kinds or KINDS)(climate, roll, lot)


@st.composite
def submissions(draw: st.DrawFn, climate: Climate, lot: Lot, *, least: int = 1, most: int = 4) -> Sequence[Event]:
    """Several submissions in a row, with an id of its own for each that is new."""
    several = []
    for count in range(draw(_below(most - least + 1)) + least):
        event = making.submitted(climate, dice(draw), lot)
        if lot.get(event.task.id) is None:
            event = evolve(event, task=evolve(event.task, id=f"t{lot.next_sequence + count}"))
        several.append(event)
    return several


@st.composite
def worlds(
    draw: st.DrawFn,
    climate: Climate = ANY,
    *,
    events_max: int = 40,
    make: MakeScheduler = Model,
    config: PoolConfig | None = None,
) -> World:
    """Pools with up to ``events_max`` events, made by watching what ``make(config)`` does (see ``make_world``).

    For lists of events alone, in a pool of one's own: ``worlds(config=config).map(lambda world: world.events)``.
    """
    return make_world(dice(draw), climate, draw(_below(events_max)) + 1, make=make, config=config)
