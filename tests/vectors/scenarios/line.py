"""A long line."""

from __future__ import annotations

from parking_lot_core import Cancelled, Event, Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import offer, pool


def _line(number: int) -> Event:
    """One of a hundred tasks that differ in cost, and partly in run limit."""
    limit = 1.0 + number * 7 % 30 if number % 3 else None
    return submit(f"t{number}", 8 + number * 37 % 50, at=1, run_timeout=limit)


SCENARIOS = [
    Scenario(
        "a long line",
        "A hundred tasks wait behind one; many are cancelled out of the middle of the line, and room comes bit by bit.",
        pool(devices={"0": 64, "1": 20}, backfill_window=30.0),
        [
            submit("a", 64, at=0),
            submit("b", 20, at=0, run_timeout=40.0),
            *(_line(number) for number in range(100)),
            *(Cancelled(f"t{number}", 2) for number in range(20, 75)),
            *(offer(f"o{number}", 9, sequence=40 + number, at=3, run_timeout=2.0) for number in range(8)),
            finish("b", at=4),
            finish("a", at=5),
            Check(),
            Tick(9),
            Tick(40),
        ],
    ),
]
