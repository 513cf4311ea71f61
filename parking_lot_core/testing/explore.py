"""Small worlds, exhaustively: every sequence of events, by breadth-first search over states that count as one.

    python -m parking_lot_core.testing.explore --states 100000
    python -m parking_lot_core.testing.explore --pool "two devices" --depth 7

In each state, everything that may happen there happens to the slow model, to a scheduler that has come all the way
from the empty pool, and to one that was restored in this state. Answers, states, views and deadlines have to agree, and
the invariants of ``checks.py`` have to hold of every step. ``explore`` is the same for any object with the calls of
``Scheduler``::

    report = explore(MyScheduler, WORLDS["window"], states=10_000)
    print(report)
    assert report.counterexample is None

Where to read on: what may happen is in ``explore_worlds.py`` and ``explore_events.py``, when two states count as one in
``explore_states.py``, what is compared in ``explore_judge.py`` and ``explore_steps.py``, the search in
``explore_search.py``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence

import attrs

from parking_lot_core import Scheduler
from parking_lot_core.testing.explore_report import Report, WorldReport, counterexample
from parking_lot_core.testing.explore_search import Bounds, Round, Workers, can_be_sent, search
from parking_lot_core.testing.explore_steps import Fault, Make
from parking_lot_core.testing.explore_worlds import TASKS_MAX, WORLDS, Kind, SmallWorld
from parking_lot_core.testing.model import Model

__all__ = ["WORLDS", "Kind", "Report", "SmallWorld", "explore"]

STATES = 100_000  # distinct states, where no bound is given
FEW = 3  # tasks at a time with which these worlds have some thousands of states
_rounds = itertools.count()


def explore(
    make: Make,
    worlds: SmallWorld | Iterable[SmallWorld],
    *,
    reference: type[Model] = Model,
    states: int | None = None,
    depth: int | None = None,
    seconds: float | None = None,
    processes: int = 1,
) -> Report:
    """Search worlds for a sequence of events at which ``make(config)`` does wrong, and stop at the first.

    ``reference`` is the model that must agree; a policy of one's own is written down as a subclass of ``Model``.
    ``states`` bounds the distinct states and ``seconds`` the time, of all worlds together: each gets its share of what
    is left, by its weight. ``depth`` bounds the events in sequence, in each. Without bounds, the search ends when all
    was tried, which few worlds with more than three tasks live to see. With more than one of ``processes``, ``make``
    must be a class or function that other processes can import.

    Raises ``ValueError`` for a bound that is no positive number, and for a ``make`` that cannot be sent.
    """
    for name, bound in (("states", states), ("depth", depth), ("seconds", seconds), ("processes", processes)):
        if bound is not None and not bound > 0:
            raise ValueError(f"{name}: expected a number > 0, got {bound!r}")
    if processes > 1:
        can_be_sent(make, reference)
    todo = [worlds] if isinstance(worlds, SmallWorld) else list(worlds)
    started = time.monotonic()
    until = math.inf if seconds is None else started + seconds
    left = math.inf if states is None else states
    reports: list[WorldReport] = []
    found = None
    with Workers(processes) as workers:
        for number, world in enumerate(todo):
            share = sum(other.weight for other in todo[number:]) / world.weight
            now = time.monotonic()
            bounds = Bounds(left / share, math.inf if depth is None else depth, now + (until - now) / share)
            report, fault = _explore_world(make, world, reference, bounds, workers)
            reports.append(report)
            left -= report.states
            if fault is not None:
                found = counterexample(make, world.name, world.config, fault)
                break
    return Report(worlds=reports, counterexample=found, processes=processes, seconds=time.monotonic() - started)


def _explore_world(
    make: Make, world: SmallWorld, reference: type[Model], bounds: Bounds, workers: Workers
) -> tuple[WorldReport, Fault | None]:
    started = time.monotonic()
    seen: set[int] = set()
    expanded = transitions = exhausted = 0
    for tasks in _rounds_of(world):
        this = Round(next(_rounds), attrs.evolve(world, tasks_max=tasks), make, reference)
        result = search(this, bounds, workers)
        seen |= result.seen
        expanded = max(expanded, result.expanded)
        transitions += result.transitions
        if result.stopped == "exhausted":
            exhausted = tasks
        elif result.stopped != "depth":
            break
    report = WorldReport(
        pool=world.name,
        states=len(seen),
        expanded=expanded,
        transitions=transitions,
        tasks=tasks,
        exhausted=exhausted,
        depth=result.depth,
        stopped=result.stopped,
        seconds=time.monotonic() - started,
    )
    return report, result.fault


def _rounds_of(world: SmallWorld) -> list[int]:
    """With how many tasks at a time a world is searched: with few, which can be exhausted, and then with all."""
    if not world.few_first:
        return [world.tasks_max]
    return [*range(1, min(FEW, world.tasks_max - 1) + 1), world.tasks_max]


# -- the command line --------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore the scheduler. Returns the exit status: 1 if something is wrong with it."""
    options = _parser().parse_args(arguments)
    states = options.states
    if (states, options.depth, options.seconds) == (None, None, None):
        states = STATES
    worlds = [WORLDS[name] for name in options.pool or WORLDS]
    if options.tasks is not None:
        worlds = [attrs.evolve(world, tasks_max=options.tasks) for world in worlds]
    report = explore(
        Scheduler,
        worlds,
        states=states,
        depth=options.depth,
        seconds=options.seconds,
        processes=options.processes,
    )
    print(json.dumps(report.as_json(), indent=2) if options.json else report)
    return 0 if report.counterexample is None else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m parking_lot_core.testing.explore",
        description="Try every sequence of events in small worlds, on the scheduler and on a slow model of it.",
        epilog=f"Without a bound, the search stops at {STATES:,} states. Exit status 1: something is wrong.",
    )
    parser.add_argument("--states", type=_whole, metavar="N", help="stop at so many distinct states, in all")
    parser.add_argument("--depth", type=_whole, metavar="N", help="stop at so many events in sequence, in each pool")
    parser.add_argument("--seconds", type=_seconds, metavar="S", help="stop after so many seconds, in all")
    parser.add_argument("--tasks", type=_tasks, metavar="N", help="have at most so many tasks at a time (default: 5)")
    parser.add_argument("--processes", type=_whole, metavar="N", default=_cores(), help="default: one for each core")
    parser.add_argument("--pool", type=_pool, metavar="NAME", action="append", help=f"one of: {', '.join(WORLDS)}")
    parser.add_argument("--json", action="store_true", help="report as JSON")
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer ≥ 1, got {text!r}")
    return int(text)


def _tasks(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= TASKS_MAX:
        raise argparse.ArgumentTypeError(f"expected an integer from 1 to {TASKS_MAX}, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds > 0, got {text!r}")
    return seconds


def _pool(text: str) -> str:
    if text not in WORLDS:
        raise argparse.ArgumentTypeError(f"expected one of {', '.join(map(repr, WORLDS))}, got {text!r}")
    return text


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main())
