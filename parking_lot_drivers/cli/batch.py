"""``parking-lot batch``: a list of jobs in, one result a line out."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, Grace, PoolName, chosen_pool
from parking_lot_drivers.cli.output import note, print_json
from parking_lot_drivers.cli.words import counted, per_second, span
from parking_lot_drivers.errors import BatchError, StoreUnavailable

if TYPE_CHECKING:
    from parking_lot_drivers.cli.batch_run import Batch, Tally
    from parking_lot_drivers.config import PoolSettings


def batch(
    config: Config,
    source: Annotated[
        Path,
        typer.Option("--input", "-i", metavar="FILE", help="Job list, one JSON object a line; - is standard input."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where results go, one JSON object a line.")
    ],
    pool: PoolName = None,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines instead of a progress bar.")] = False,
    grace: Grace = 10.0,
    as_json: AsJson = False,
) -> int:
    """Run a list of jobs, and write one result for each.

    \b
    A line of the list, of which only the payload must be there:
      {"id": "a1", "payload": {"path": "a.png"}, "units": 2, "priority": "high",
       "tenant": "acme", "timeout": "1h", "run_timeout": "5m", "delay": 0,
       "max_attempts": 3}
    \b
    A result (or "error" instead of "result"; times in seconds since 1970):
      {"id": "a1", "line": 1, "status": "succeeded", "submitted_at": ...,
       "started_at": ..., "finished_at": ..., "result": ...}

    Results come in the order in which tasks end. Stop it or kill it at any moment and run the same command again: it
    continues, and nothing that has finished runs again. A line without an id is known by its text. A job with a known
    id is not run twice, whatever output you name: to run it again, give it another id.

    \b
    Example:
      parking-lot batch lot.json --pool gpu -i jobs.jsonl -o results.jsonl
    """
    from parking_lot_drivers.build import build_pool
    from parking_lot_drivers.cli.batch_jobs import count_lines, index_jobs, read_jobs
    from parking_lot_drivers.cli.batch_results import ResultsWriter, examine
    from parking_lot_drivers.cli.batch_run import Batch, Tally
    from parking_lot_drivers.cli.hosting import host

    settings, name = chosen_pool(config, pool)
    section = settings.pools[name]
    with _opened(source, output) as file:
        found = examine(output, lambda: index_jobs(file, name))
        tally = Tally(total=count_lines(file), statuses=Counter(found.statuses), earlier=found.statuses.total())
        _say_notes(section, name, output, found.others)
        jobs = read_jobs(file, name, unit=section.unit, done=found.done)

        def make() -> Batch:
            return Batch(
                build_pool(settings, name, grace=grace), jobs, tally, lambda: ResultsWriter.open(output, found)
            )

        started = time.monotonic()
        try:
            host(make, plain=plain, grace=grace)
        except (StoreUnavailable, BatchError) as error:
            error.add_note("run the same command again to continue")
            raise
        seconds = time.monotonic() - started
    code = _exit_code(tally)
    if as_json:
        print_json(_summary(tally, seconds, code) | {"input": str(source), "output": str(output), "pool": name})
    else:
        _print_summary(tally, seconds, output)
        _print_advice(tally, config, name)
    return code


@contextlib.contextmanager
def _opened(source: Path, output: Path) -> Iterator[BinaryIO]:
    """The job list as a file that can be read twice. Standard input is kept in a temporary file."""
    if str(source) == "-":
        with tempfile.TemporaryFile() as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
            yield kept
        return
    if output.exists() and source.exists() and output.samefile(source):
        raise BatchError(f"{output} is the input too: name another output")
    try:
        file = source.open("rb")
    except OSError as error:
        raise BatchError(f"{source}: {error.strerror}: name a file with one JSON object a line") from None
    with file:
        yield file


def _say_notes(section: PoolSettings, name: str, output: Path, others: int) -> None:
    from parking_lot_drivers.config import InMemoryMailbox, InMemoryQueue

    if isinstance(section.queue, InMemoryQueue):
        note(f"pool {name} keeps its queue in memory: if this run is killed, what has no result yet starts over")
    elif isinstance(section.mailbox, InMemoryMailbox):
        note(
            f"pool {name} keeps outcomes in memory: if this run is killed, some that are not in {output} are run again"
        )
    if others:
        note(
            f"{output} holds {counted(others, 'result')} of tasks that are not in the input; they stay, without a line"
        )


def _exit_code(tally: Tally) -> ExitCode:
    if tally.ended < tally.total:
        return ExitCode.INTERRUPTED
    return ExitCode.TASKS_FAILED if tally.failed else ExitCode.OK


def _summary(tally: Tally, seconds: float, code: ExitCode) -> dict[str, Any]:
    here = tally.ended - tally.earlier
    return {
        "lines": tally.total,
        "results": tally.ended,
        "results_from_earlier_runs": tally.earlier,
        "by_status": dict(tally.statuses),
        "seconds": round(seconds, 3),
        "results_per_s": round(here / seconds, 3),
        "other_tasks_in_the_lot": tally.others,
        "exit_code": int(code),
    }


def _print_summary(tally: Tally, seconds: float, output: Path) -> None:
    from parking_lot_drivers.cli.pools import near

    print(f"{tally.ended:,} of {counted(tally.total, 'line')} ended, with results in {near(output)}:")
    width = max([len(f"{count:,}") for count in tally.statuses.values()], default=0)
    for status, count in tally.statuses.most_common():
        print(f"  {count:>{width},} {status.replace('_', ' ')}")
    here = tally.ended - tally.earlier
    earlier = f"; {tally.earlier:,} from earlier runs" if tally.earlier else ""
    print(f"{counted(here, 'result')} in {span(seconds)}, {per_second(here / seconds)}/s{earlier}")


def _print_advice(tally: Tally, config: Path, name: str) -> None:
    if tally.ended < tally.total:
        note("stopped; run the same command again to continue")
    if tally.others:
        note(f"the lot holds {counted(tally.others, 'other task')}: parking-lot work {config} --pool {name}")
