"""How far the parts of ``python -m benchmarks proof`` go, as values and as options of the command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import attrs

PARTS = ("explore", "simulate", "mutate")


@attrs.frozen(kw_only=True)
class Bounds:
    """How far each part goes. ``None``: as far as its seconds allow; a part that is not in ``parts`` is left out."""

    parts: Sequence[str] = PARTS
    states: int | None = None
    explore_seconds: float | None = 60.0
    seeds: int | None = None
    first_seed: int = 0
    simulate_seconds: float | None = 60.0
    mutants: int | None = 40
    mutate_seconds: float | None = 180.0
    processes: int = 1


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options for every bound. 0 stands for no bound; a count leaves the time unbound, unless that is given too."""
    parser.add_argument("--only", action="append", choices=PARTS, help="this part alone; may be repeated")
    for name, part, what in (
        ("states", "explore", "distinct states to explore (default: by time)"),
        ("seeds", "simulate", "worlds to simulate (default: by time)"),
        ("mutants", "mutate", "mutants to examine (default: 40)"),
    ):
        parser.add_argument(f"--{name}", type=_count, metavar="N", help=what)
        usual = getattr(Bounds(), f"{part}_seconds")
        words = f"time to {part} (default: {usual:g}, or no bound with --{name})"
        parser.add_argument(f"--{part}-seconds", type=_seconds, metavar="S", help=words)
    parser.add_argument(
        "--first-seed", type=_count, default=0, metavar="N", help="seed of the first world (default: 0)"
    )
    parser.add_argument(
        "--processes", type=_count, default=1, metavar="N", help="for explorer and mutants (default: 1)"
    )


def read(asked: argparse.Namespace) -> Bounds:
    """The bounds that the options say."""
    usual = Bounds()
    return Bounds(
        parts=tuple(asked.only or usual.parts),
        states=asked.states or None,
        explore_seconds=_time(asked.explore_seconds, usual.explore_seconds, asked.states),
        seeds=asked.seeds or None,
        first_seed=asked.first_seed,
        simulate_seconds=_time(asked.simulate_seconds, usual.simulate_seconds, asked.seeds),
        mutants=usual.mutants if asked.mutants is None else asked.mutants or None,
        mutate_seconds=_time(asked.mutate_seconds, usual.mutate_seconds, asked.mutants),
        processes=asked.processes or 1,
    )


def _time(asked: float | None, usual: float | None, count: int | None) -> float | None:
    if asked is None:
        return usual if count is None else None
    return asked or None


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected an integer ≥ 0, got {text}")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds ≥ 0, got {text}")
    return number
