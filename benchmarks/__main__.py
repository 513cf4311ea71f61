"""``python -m benchmarks NAME [--json]``: run one benchmark and say which goals it meets.

A benchmark is a module of this package with ``run()``, which returns figures by key, and ``GOALS``, which gives the
bound of those keys that have one; a figure may be a mapping of figures by kind. They are never run as tests: machines
are noisy.
"""

from __future__ import annotations

import argparse
import importlib
import json
import operator
import sys
from collections.abc import Mapping, Sequence

from benchmarks import _proof_bounds

BENCHMARKS = {
    "core": "nanoseconds per life of a task in the scheduler alone, beside heapq and dict",
    "durable": "the pool on its embedded queue, beside huey, litequeue and bare sqlite3",
    "postgres": "queues on Postgres, beside procrastinate, PgQueuer and DBOS",
    "proof": "states explored, pools simulated with faults, mutants killed",
    "pool": "the pool in memory, beside anyio.CapacityLimiter",
}
Figures = Mapping[str, float | Mapping[str, float]]
_MEETS = {">=": operator.ge, "<=": operator.le}
_SIGNS = {">=": "≥", "<=": "≤"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for. Returns the exit code: 0, 1 if a proof fails, or 2 if a package is missing."""
    asked = _parser().parse_args(arguments)
    try:
        module = importlib.import_module(f"benchmarks.{asked.name}")
        found: Figures = module.run(_proof_bounds.read(asked)) if asked.name == "proof" else module.run()
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is not installed: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps(_all_rounded(found)))
    else:
        _show(_flat(found), module.GOALS)
    return int(bool(found.get("violations")))


def _all_rounded(found: Figures) -> dict[str, object]:
    return {
        key: {kind: _rounded(one) for kind, one in figure.items()} if isinstance(figure, Mapping) else _rounded(figure)
        for key, figure in found.items()
    }


def _flat(found: Figures) -> dict[str, float]:
    """Figures by kind under keys of their own."""
    flat: dict[str, float] = {}
    for key, figure in found.items():
        flat |= (
            {f"{key}: {kind}": one for kind, one in figure.items()} if isinstance(figure, Mapping) else {key: figure}
        )
    return flat


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure beside a floor or a peer, in the same run."
    )
    names = parser.add_subparsers(dest="name", metavar="NAME", required=True, title="benchmarks")
    for name, what in BENCHMARKS.items():
        benchmark = names.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        benchmark.add_argument("--json", action="store_true", help="print one JSON object")
        if name == "proof":
            _proof_bounds.add_options(benchmark)
    return parser


def _show(found: Mapping[str, float], goals: Mapping[str, tuple[str, float]]) -> None:
    width = max(map(len, found))
    for key, figure in found.items():
        print(f"{key:<{width}}  {_rounded(figure):>14,}{_verdict(figure, goals.get(key))}")


def _verdict(figure: float, goal: tuple[str, float] | None) -> str:
    if goal is None:
        return ""
    sign, bound = goal
    return f"   goal {_SIGNS[sign]} {bound:,.10g}: {'met' if _MEETS[sign](figure, bound) else 'missed'}"


def _rounded(figure: float) -> float:
    """Three decimals for small figures, none for large ones."""
    return round(figure, 3) if abs(figure) < 100 else round(figure)


if __name__ == "__main__":
    sys.exit(main())
