"""``python -m benchmarks NAME [--json]``: run one benchmark and say which goals it meets.

A benchmark is a module of this package with ``run()``, which returns figures by key, and ``GOALS``, which gives the
bound of those keys that have one. They are never run as tests: machines are noisy.
"""

from __future__ import annotations

import argparse
import importlib
import json
import operator
import sys
from collections.abc import Mapping, Sequence

BENCHMARKS = {
    "core": "nanoseconds per life of a task in the scheduler alone, beside heapq and dict",
    "durable": "the pool on its embedded queue, beside huey, litequeue and bare sqlite3",
    "postgres": "queues on Postgres, beside procrastinate, PgQueuer and DBOS",
    "pool": "the pool in memory, beside anyio.CapacityLimiter",
}
_MEETS = {">=": operator.ge, "<=": operator.le}
_SIGNS = {">=": "≥", "<=": "≤"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for. Returns the exit code: 0, or 2 if a package is missing."""
    asked = _parser().parse_args(arguments)
    try:
        module = importlib.import_module(f"benchmarks.{asked.name}")
        found: Mapping[str, float] = module.run()
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is not installed: pip install -e '.[bench]'", file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps({key: _rounded(figure) for key, figure in found.items()}))
    else:
        _show(found, module.GOALS)
    return 0


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {name:<9}{what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure beside a floor or a peer, in the same run.",
        epilog=f"benchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _show(found: Mapping[str, float], goals: Mapping[str, tuple[str, float]]) -> None:
    width = max(map(len, found))
    for key, figure in found.items():
        print(f"{key:<{width}}  {_rounded(figure):>14,}{_verdict(figure, goals.get(key))}")


def _verdict(figure: float, goal: tuple[str, float] | None) -> str:
    if goal is None:
        return ""
    sign, bound = goal
    return f"   goal {_SIGNS[sign]} {bound:g}: {'met' if _MEETS[sign](figure, bound) else 'missed'}"


def _rounded(figure: float) -> float:
    """Three decimals for small figures, none for large ones."""
    return round(figure, 3) if abs(figure) < 100 else round(figure)


if __name__ == "__main__":
    sys.exit(main())
