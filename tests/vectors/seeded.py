"""Vectors from seeded small worlds, with crashes and checks between the events."""

from __future__ import annotations

import random

from parking_lot_core.testing.worlds import CLIMATES, LONG_LINES, Climate, Dice, make_world
from tests.vectors.play import Check, Crash, Scenario, Step

EVENTS = 28
WORLDS = 4  # of each climate
LONG_LINE = 80  # tasks that are submitted at once in the one world with a long line
_ABOUT = "A seeded world: events as tests make them, with checks on the way and restores."


def scenarios() -> dict[str, tuple[str, list[Scenario]]]:
    """The scenarios by the file that they are for."""
    files = {
        f"worlds_{name.replace(' ', '_')}": (
            f"Seeded worlds of the kind '{name}'.",
            [_scenario(f"{name} {seed}", climate, seed, EVENTS) for seed in range(WORLDS)],
        )
        for name, climate in CLIMATES.items()
    }
    long_line = Climate(burst=LONG_LINE, units_max=LONG_LINES.units_max, depth=False, kinds=LONG_LINES.kinds)
    files["worlds_long_line"] = ("A line of many tasks.", [_scenario("long line", long_line, 7, 40, checks=300)])
    return files


def _scenario(name: str, climate: Climate, seed: int, length: int, *, checks: int = 7) -> Scenario:
    """A check after so many events each, and a restore at every other one."""
    world = make_world(Dice(random.Random(seed).randrange), climate, length)
    steps: list[Step] = []
    for number, event in enumerate(world.events, start=1):
        steps.append(event)
        if number % checks == 0:
            steps.append(Check() if number // checks % 2 else Crash())
    return Scenario(name, _ABOUT, world.config, steps)
