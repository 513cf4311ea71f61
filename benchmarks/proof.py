"""How far the scheduler and its pools are proven: small worlds explored, pools simulated, mutants killed.

Three parts, each with a bound of its own. The explorer tries every sequence of events in small worlds against the slow
model; the simulator runs whole pools in virtual time and injects faults; mutation testing makes mistakes in the core
and sees whether a test notices. The bounds that stand here give a look in some minutes; the goals are for the bounds
of continuous integration: ``python -m benchmarks proof --states 1000000 --seeds 2000 --mutants 0`` (0: no bound).
What is found to be wrong is told on standard error, with what is needed to see it again.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from benchmarks._proof_bounds import Bounds
from parking_lot_core import Scheduler
from parking_lot_core.testing.explore import WORLDS, SmallWorld, explore
from parking_lot_core.testing.explore_steps import Make

GOALS = {
    "states_explored": (">=", 1_000_000),
    "seeds_run": (">=", 2_000),
    "violations": ("<=", 0),
    "mutation_score": (">=", 0.95),
}

Figures = Mapping[str, float | Mapping[str, float]]
Found = tuple[Figures, int]  # the figures of a part, and how many times something was wrong


def run(bounds: Bounds = Bounds()) -> Figures:  # noqa: B008 - a value
    """Run the parts that are asked for, one after the other."""
    figures: dict[str, float | Mapping[str, float]] = {}
    violations = 0
    for part in bounds.parts:
        found, broken = _PARTS[part](bounds)
        figures |= found
        violations += broken
    return figures | {"violations": violations}


# The parts


def explored(bounds: Bounds, make: Make = Scheduler, worlds: Iterable[SmallWorld] = tuple(WORLDS.values())) -> Found:
    """Distinct states, and how many a second, the start and the end of processes included; whether one was wrong."""
    report = explore(make, worlds, states=bounds.states, seconds=bounds.explore_seconds, processes=bounds.processes)
    if report.counterexample is not None:
        print(report.counterexample, file=sys.stderr)
    figures = {"states_explored": report.states, "states_per_s": report.states / report.seconds}
    return figures, int(report.counterexample is not None)


def simulated(bounds: Bounds) -> Found:
    """Worlds by seed, in turns on asyncio and trio; virtual hours for each minute that they took."""
    from tests.simulator.run import BACKENDS, simulate

    began = time.monotonic()
    until = None if bounds.simulate_seconds is None else began + bounds.simulate_seconds
    seeds = itertools.count(bounds.first_seed)
    count = violations = 0
    virtual = 0.0
    faults: Counter[str] = Counter()
    for seed in seeds if bounds.seeds is None else itertools.islice(seeds, bounds.seeds):
        if until is not None and time.monotonic() >= until:
            break
        one = simulate(seed, backend=sorted(BACKENDS)[seed % len(BACKENDS)])
        count += 1
        virtual += one.seconds
        faults += one.faults
        violations += len(one.violations)
        for invariant, what in one.violations:
            print(f"seed {seed}: {invariant}: {what}\n  {one.again}", file=sys.stderr)
    minutes = max(time.monotonic() - began, 1e-9) / 60
    figures = {
        "seeds_run": count,
        "simulated_hours_per_minute": virtual / 3600 / minutes,
        "faults_injected": dict(sorted(faults.items())),
    }
    return figures, violations


def examined(bounds: Bounds) -> Found:
    """Mutants of the core, and how many a test killed. Those that are listed as changing nothing are not counted."""
    from tests.mutation.runner import run as run_mutants

    result = run_mutants(sample=bounds.mutants, seconds=bounds.mutate_seconds, jobs=bounds.processes)
    for mutant in result.survived:
        print(f"survived: {mutant}", file=sys.stderr)
    counted = result.mutants - result.listed
    score = {"mutation_score": result.score} if counted else {}
    return {"mutants": counted, "mutants_killed": result.killed, **score}, 0


_PARTS = {"explore": explored, "simulate": simulated, "mutate": examined}
