"""``python -m examples.identify [FOLDER]``: identify the files of a folder, as ``parking-lot batch``.

Writes one job for each file, runs them all under the budget of ``lot.json``, and prints how many files of which kind
there are. Stop it or kill it at any moment and run it again: it continues, and each file keeps its one result.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.identify.jobs import Walk, walk, write_jobs
from examples.identify.summary import read_results, show, summarise
from parking_lot_drivers.build import section_of
from parking_lot_drivers.cli import main as parking_lot
from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.config import load_settings
from parking_lot_drivers.errors import ParkingLotError

CONFIG = Path(__file__).with_name("lot.json")
POOL = "identify"
DEFAULT_LIMIT = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example. Returns the exit code of ``parking-lot batch``, or 2 if there is nothing to run."""
    asked = _parser().parse_args(arguments)
    folder = Path(asked.folder or sysconfig.get_path("stdlib")).resolve()
    limit = asked.limit or (None if asked.folder else DEFAULT_LIMIT)
    data = asked.config.resolve().parent / "data"
    console = Console(highlight=False)
    try:
        max_units = section_of(load_settings(asked.config), POOL).max_units
        found = walk(folder, limit=limit, leave_out=data)
    except (ParkingLotError, NotADirectoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_USAGE
    if not found.jobs or max_units is None:
        print(f"error: {folder}: no files in it, or none that may be read", file=sys.stderr)
        return ExitCode.BAD_USAGE
    jobs, results = _files_for(data, folder)
    write_jobs(found.jobs, jobs, max_units=max_units)
    _announce(found, folder, console)
    code = parking_lot(
        ["batch", str(asked.config), "--pool", POOL, "--input", str(jobs), "--output", str(results)],
    )
    if code in (ExitCode.OK, ExitCode.TASKS_FAILED, ExitCode.INTERRUPTED):
        show(summarise(read_results(results), [job.id for job in found.jobs]), console)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.identify", description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument(
        "folder",
        nargs="?",
        help=f"the folder; without it, {DEFAULT_LIMIT:,} files of this Python's standard library",
    )
    parser.add_argument("--limit", type=_limit, help="only so many files, spread over the folder")
    parser.add_argument("--config", type=Path, default=CONFIG, help=f"a configuration with the pool {POOL}")
    return parser


def _limit(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer ≥ 1, got {text!r}")
    return int(text)


def _files_for(data: Path, folder: Path) -> tuple[Path, Path]:
    """Where jobs and results of this folder go: a place of its own for each folder."""
    mark = hashlib.sha256(str(folder).encode(errors="surrogateescape")).hexdigest()[:8]
    place = data / f"{folder.name}-{mark}"
    return place / "jobs.jsonl", place / "results.jsonl"


def _announce(found: Walk, folder: Path, console: Console) -> None:
    console.print(f"{len(found.jobs):,} files of {folder}", soft_wrap=True, markup=False)
    for reason in found.skipped:
        console.print(f"left out: {reason}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    sys.exit(main())
