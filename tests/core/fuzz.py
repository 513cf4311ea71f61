"""Try worlds by the thousand: ``python -m tests.core.fuzz [SECONDS] [FIRST_SEED]``.

Faster than Hypothesis, and without its memory; with longer worlds than ``verify`` makes, and some with a long line. A
seed and a commit give the same world again; one in which an invariant does not hold, or in which scheduler and model
disagree, is told as a story. Exits with 1 if there was one.
"""

from __future__ import annotations

import itertools
import random
import sys
import time

from parking_lot_core import Scheduler
from parking_lot_core.testing.agreement import agrees_in_a_long_line
from parking_lot_core.testing.history import MakeScheduler
from parking_lot_core.testing.invariants import examine
from parking_lot_core.testing.verification import counterexample, fault
from parking_lot_core.testing.worlds import CLIMATES, LONG_LINES, Dice, World, make_world

LONG_LINE = 100  # events; more than that, and only agreement is looked at, because the rest would take minutes


def world_of(seed: int, length: int = 60) -> World:
    """The same world for the same seed, always."""
    rng = random.Random(seed)
    if rng.randrange(100) == 0:
        return make_world(Dice(rng.randrange), LONG_LINES, 200)
    return make_world(Dice(rng.randrange), rng.choice(list(CLIMATES.values())), rng.randint(1, length))


def complaint(make: MakeScheduler, world: World) -> str | None:
    """What does not hold in this world, if anything, and the story of it."""

    def run(world: World) -> None:
        if len(world.events) > LONG_LINE:
            agrees_in_a_long_line(make, world)
        else:
            examine(make, world)

    error = fault(run, world)
    if error is None:
        return None
    error = counterexample(make, world, error, run)
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])


def main(seconds: float = 60, first_seed: int = 0) -> int:
    stop_at = time.monotonic() + seconds
    for seed in itertools.count(first_seed):
        if time.monotonic() > stop_at:
            print(f"{seed - first_seed} worlds, seeds {first_seed} to {seed - 1}: every invariant holds")
            return 0
        found = complaint(Scheduler, world_of(seed))
        if found is not None:
            print(f"seed {seed}", found, sep="\n")
            return 1
    raise AssertionError("seeds never end")


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
