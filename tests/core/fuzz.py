"""Try worlds by the thousand: ``python -m tests.core.fuzz [SECONDS] [FIRST_SEED]``.

Faster than Hypothesis, and without its memory. A seed and a commit give the same world again; a world in which an
invariant does not hold, or in which scheduler and model disagree, is cut down to the events that it needs and printed.
Exits with 1 if there was one.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections.abc import Callable

import attrs

from parking_lot_core import Scheduler
from parking_lot_core.testing import properties
from parking_lot_core.testing.agreement import agrees_in_a_long_line, agrees_with_model
from parking_lot_core.testing.history import MakeScheduler
from parking_lot_core.testing.properties import Property
from parking_lot_core.testing.worlds import CLIMATES, LONG_LINES, Dice, World, make_world

LONG_LINE = 100  # events; more than that, and only agreement is looked at, because the rest would take minutes
EVERYWHERE: tuple[Property, ...] = (
    agrees_with_model,
    properties.budget,
    properties.fencing,
    properties.conservation,
    properties.depth,
    properties.order,
    properties.work_conservation,
    properties.no_delay,
    properties.bounded_bypass,
    properties.expiry,
    properties.clamps_time,
    properties.repeated_tick_does_nothing,
    properties.deadlines_suffice,
    properties.everything_ends,
    properties.restores,
)


def world_of(seed: int, length: int = 60) -> World:
    """The same world for the same seed, always."""
    rng = random.Random(seed)
    if rng.randrange(100) == 0:
        return make_world(Dice(rng.randrange), LONG_LINES, 200)
    return make_world(Dice(rng.randrange), rng.choice(list(CLIMATES.values())), rng.randint(1, length))


def fault(make: MakeScheduler, world: World) -> str | None:
    """What does not hold in this world, if anything."""
    for holds in EVERYWHERE if len(world.events) <= LONG_LINE else (agrees_in_a_long_line,):
        try:
            holds(make, world)
        except Exception as error:
            return f"{holds.__name__}: {type(error).__name__}: {error}"
    return None


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


def main(seconds: float = 60, first_seed: int = 0) -> int:
    stop_at = time.monotonic() + seconds
    for seed in itertools.count(first_seed):
        if time.monotonic() > stop_at:
            print(f"{seed - first_seed} worlds, seeds {first_seed} to {seed - 1}: every invariant holds")
            return 0
        world = world_of(seed)
        if fault(Scheduler, world):
            world = cut_down(world, lambda shorter: fault(Scheduler, shorter) is not None)
            print(f"seed {seed}", world.config, *world.events, fault(Scheduler, world), sep="\n")
            return 1
    raise AssertionError("seeds never end")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
