"""``python -m tests.mutation``: run mutants, and say which survived. ``--help`` tells more."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

import attrs

from tests.mutation.runner import Result, Verdict, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for. Returns 1 if a mutant that is not on the list survived, or the list is out of date."""
    asked = _parser().parse_args(arguments)
    try:
        result = run(
            sample=asked.sample,
            seconds=asked.seconds,
            seed=asked.seed,
            names=asked.module,
            jobs=asked.jobs,
            deep=asked.deep,
            report=_say if asked.verbose else None,
        )
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(figures(result)) if asked.json else _text(result))
    return 1 if result.survived or result.stale else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description="Mutation testing of the core.")
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants instead of all")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: 0)")
    parser.add_argument("--seconds", type=float, metavar="S", help="begin no further mutant after S seconds")
    parser.add_argument("--module", action="append", default=[], metavar="NAME", help="of this module; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes (default: 1)")
    parser.add_argument("--deep", action="store_true", help="show survivors to thousands of random worlds, too: slow")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--verbose", action="store_true", help="print what became of each mutant, as it is known")
    return parser


def figures(result: Result) -> dict[str, object]:
    """The result in values that JSON has."""
    return {
        "mutants": result.mutants,
        "mutants_killed": result.killed,
        "mutants_survived": [attrs.asdict(mutant.key) for mutant in result.survived],
        "mutants_equivalent": result.listed,
        "list_out_of_date": [attrs.asdict(entry.key) for entry in result.stale],
        "mutation_score": round(result.score, 4),
        "mutation_score_raw": round(result.raw_score, 4),
        "seconds": round(result.seconds, 1),
    }


def _text(result: Result) -> str:
    lines = [f"survived: {mutant}" for mutant in result.survived]
    lines += [f"on the list, but killed or gone: {entry.key}" for entry in result.stale]
    no_end = sum(verdict.by == "no end" for verdict in result.verdicts)
    lines.append(
        f"{result.mutants} mutants: {result.killed} killed ({no_end} of them did not end), "
        f"{len(result.survived)} survived, {result.listed} on the list of those that change nothing"
    )
    lines.append(
        f"score {result.score:.2%} of those that change something, {result.raw_score:.2%} of all; "
        f"{result.seconds:.0f} s"
    )
    return "\n".join(lines)


def _say(verdict: Verdict) -> None:
    print(f"{verdict.seconds:6.2f} s  {verdict.by or 'SURVIVED'}  {verdict.mutant}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
