"""``verify``: hold a scheduler to its invariants in many small worlds. Needs neither Hypothesis nor pytest."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any

import attrs

from parking_lot_core import Offered, PoolConfig, ResourceCost, Submitted, TaskMetadata
from parking_lot_core._values import evolve
from parking_lot_core.testing.history import Broken, MakeScheduler, Rank
from parking_lot_core.testing.invariants import chosen, examine, tell
from parking_lot_core.testing.wording import CONFIG, METADATA
from parking_lot_core.testing.worlds import CLIMATES, Climate, Dice, World, make_world


def verify(
    make: MakeScheduler,
    *,
    holds: Collection[str] | None = None,
    climate: Climate | None = None,
    config: PoolConfig | None = None,
    rank: Rank | None = None,
    seeds: Iterable[int] = range(200),
    events_max: int = 30,
) -> None:
    """Examine the scheduler in one world for each seed; the same seed gives the same world, always.

    A world in which something does not hold is cut down to the events that it takes, and told as a story. The longer
    the worlds, the more is found, and the longer it takes: each world is run again for every event in it.

    Args:
        make: ``make(config)`` gives the scheduler, new and empty. It needs ``step(event)``; a class will do.
        holds: names from ``INVARIANTS``; ``None`` for all that this scheduler can be asked about.
        climate: what kind of worlds; ``None`` for each of ``CLIMATES`` in turn.
        config: the pool, in place of those that the climate makes.
        rank: ``rank(task, history)`` orders the line, smallest first, in place of the rules.
        seeds: one world for each.
        events_max: the most events of a world, beside the burst that some begin with.

    Raises:
        Broken: the first invariant that does not hold; ``story`` is the counterexample, and its message ends with it.
        ValueError, TypeError: for names that are none, or that the scheduler cannot be asked about.
        Exception: whatever ``step`` raises, with the story as a note.
    """
    names = chosen(make(config or PoolConfig(max_units=1)), holds)

    def again(world: World) -> None:
        examine(make, world, names, rank=rank)

    climates = list(CLIMATES.values()) if climate is None else [climate]
    for seed in seeds:
        here = climates[seed % len(climates)]
        rng = random.Random(seed)
        world = make_world(Dice(rng.randrange), here, rng.randint(1, events_max), make=make, config=config)

        error = fault(again, world)
        if error is not None:
            raise counterexample(make, world, error, again)


def fault(run: Callable[[World], None], world: World) -> Exception | None:
    """What ``run(world)`` raises, if anything."""
    try:
        run(world)
    except Exception as error:
        return error
    return None


def _fails_alike(run: Callable[[World], None], error: Exception, world: World) -> bool:
    """Whether the same invariant is broken in this world, or an error of the same kind raised."""
    other = fault(run, world)
    if isinstance(error, Broken) and isinstance(other, Broken):
        return error.invariant == other.invariant
    return type(error) is type(other)


def cut_down(world: World, still_fails: Callable[[World], bool]) -> World:
    """Leave out every event that the failure does not need."""
    for size in (16, 4, 1, 1):
        at = len(world.events)
        while at > 0:
            at = max(0, at - size)
            shorter = attrs.evolve(world, events=world.events[:at] + world.events[at + size :])
            if still_fails(shorter):
                world = shorter
    return world


def plainest(world: World, still_fails: Callable[[World], bool]) -> World:
    """The same failure with fewer events, and with as many usual values in them and in the pool as it can have."""
    world = cut_down(world, still_fails)
    for plainer in _plainer(world):
        candidate = plainer(world)
        if candidate is not None and still_fails(candidate):
            world = candidate
    return cut_down(world, still_fails)


def _plainer(world: World) -> Iterator[Callable[[World], World | None]]:
    """One change after the other, each of which makes a world plainer, or gives ``None`` if it cannot be made."""
    for name in sorted(CONFIG.keys() - {"devices", "max_units"}):
        yield partial(_with_usual_policy, name)
    for number in range(len(world.events)):
        yield partial(_without_delay, number)
    for name in sorted(METADATA.keys() - {"id", "cost"}):
        for number in range(len(world.events)):
            yield partial(_with_usual_fact, name, number)


def _with_usual_policy(name: str, world: World) -> World | None:
    usual = getattr(PoolConfig(max_units=1), name)
    return attrs.evolve(world, config=attrs.evolve(world.config, **{name: usual}))


def _without_delay(number: int, world: World) -> World | None:
    return _with(world, number, at=world.events[number - 1].at if number else 0.0)


def _with_usual_fact(name: str, number: int, world: World) -> World | None:
    event, usual = world.events[number], getattr(TaskMetadata("usual", ResourceCost(1)), name)
    match event:
        case Submitted(task=task):
            return _with(world, number, task=evolve(task, **{name: usual}))
        case Offered(task=task):
            return _with(world, number, task=evolve(task, metadata=evolve(task.metadata, **{name: usual})))
        case _:
            return None


def _with(world: World, number: int, **changes: Any) -> World | None:
    """The world with one event changed, if that is a change."""
    event = world.events[number]
    changed = evolve(event, **changes)
    if changed == event:
        return None
    return attrs.evolve(world, events=(*world.events[:number], changed, *world.events[number + 1 :]))


def counterexample(make: MakeScheduler, world: World, error: Exception, run: Callable[[World], None]) -> Exception:
    """The error in the plainest world in which ``run`` raises it, with the story of what led to it.

    The story is in the message of ``Broken``, and a note to an error that the scheduler raised.
    """
    world = plainest(world, partial(_fails_alike, run, error))
    error = fault(run, world) or error
    story = tell(make, world, error)
    if isinstance(error, Broken):
        return Broken(error.invariant, error.what, crashes=error.crashes, story=story)
    error.add_note(story)
    return error
