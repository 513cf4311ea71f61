"""``python -m tests.simulator --seeds 1000``; see the package."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from tests.simulator.run import BACKENDS, Run, Summary, run_seeds, simulate
from tests.simulator.stores import KINDS


def _whole(least: int) -> type:
    class Number(int):
        def __new__(cls, text: str) -> Number:
            number = int(text)
            if number < least:
                raise ValueError(text)
            return super().__new__(cls, number)

    Number.__name__ = f"integer ≥ {least}"
    return Number


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator",
        description="Run whole pools in simulated worlds, with faults, and check what must always be true.",
    )
    parser.add_argument("--seeds", type=_whole(1), default=100, metavar="N", help="how many worlds (default: 100)")
    parser.add_argument("--first", type=_whole(0), default=0, metavar="N", help="the first seed (default: 0)")
    parser.add_argument("--seed", type=_whole(0), metavar="N", help="run this one only")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happened")
    parser.add_argument("--store", choices=KINDS, help="instead of the one that is drawn from the seed")
    parser.add_argument("--hosts", type=_whole(1), metavar="N", help="how many, of stores that hosts share")
    parser.add_argument("--seconds", type=float, metavar="S", help="virtual seconds of the part with faults")
    parser.add_argument("--backend", choices=[*BACKENDS, "both"], default="asyncio", help="default: asyncio")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    given = parser.parse_args(arguments)
    if given.trace and given.seed is None:
        parser.error("--trace: expected together with --seed, which says what to show")
    if given.seconds is not None and not given.seconds > 0:
        parser.error(f"--seconds: expected a number > 0, got {given.seconds:g}")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 1 if anything happened that must not."""
    given = _arguments(arguments)
    backends = list(BACKENDS) if given.backend == "both" else [given.backend]
    options = {"store": given.store, "hosts": given.hosts, "seconds": given.seconds}
    if given.trace:
        runs = [simulate(given.seed, backend=backend, **options) for backend in backends]
        for run in runs:
            print(f"seed {run.seed} on {run.backend}: {run.store}, {run.hosts} hosts; trace {run.digest}")
            print(run.text())
        return int(any(run.violations for run in runs))

    def tell(run: Run) -> None:
        if run.violations:
            print(_failure(run), file=sys.stderr, flush=True)

    seeds = range(given.first, given.first + given.seeds) if given.seed is None else [given.seed]
    summary = run_seeds(seeds, backends=backends, progress=tell, **options)
    print(json.dumps(summary.as_dict(), indent=2) if given.json else _words(summary))
    return int(bool(summary.failures))


def _failure(run: Run) -> str:
    shown = [f"  {invariant}: {words[:400]}" for invariant, words in run.violations[:5]]
    return "\n".join([f"seed {run.seed} on {run.backend} ({run.store}): {run.again}", *shown])


def _words(summary: Summary) -> str:
    lines = [
        f"{summary.seeds_run} worlds, {summary.simulated_s / 3600:.2f} virtual hours in {summary.real_s:.1f} s: "
        f"{summary.simulated_hours_per_minute:.2f} virtual hours per minute",
        f"{summary.faults_injected.total()} faults injected:",
    ]
    lines += [f"  {count:7}  {kind}" for kind, count in sorted(summary.faults_injected.items())]
    lines.append(f"violations: {summary.violations}, in {len(summary.failures)} of these worlds")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
