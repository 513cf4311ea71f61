"""``parking-lot work``: be the process that schedules a lot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, Grace, PoolName, chosen_pool
from parking_lot_drivers.cli.output import note, print_json
from parking_lot_drivers.cli.words import counted, span

if TYPE_CHECKING:
    from parking_lot_drivers.cli.work_run import Worker


def work(
    config: Config,
    pool: PoolName = None,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="End when no task is left, instead of waiting for more.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines instead of a live line.")] = False,
    grace: Grace = 10.0,
    as_json: AsJson = False,
) -> int:
    """Run what others submit to a lot.

    Any number of processes may do this for a lot in Postgres, or with a shared budget; else one at a time; batch does
    it too while it runs. Others submit, look, fetch and cancel meanwhile. Ctrl-C or SIGTERM stops it in order: what has
    not finished stays in the lot.

    \b
    Example:
      parking-lot work lot.json --pool gpu &
      parking-lot submit lot.json --pool gpu '{"path": "a.png"}' --wait 1m
    """
    from parking_lot_drivers.build import build_client, build_pool
    from parking_lot_drivers.cli.hosting import host
    from parking_lot_drivers.cli.work_run import Worker

    settings, name = chosen_pool(config, pool)
    client = build_client(settings, name)  # first, because it says why nobody could submit to a pool in memory

    def make() -> Worker:
        return Worker(build_pool(settings, name, grace=grace), client, until_empty=until_empty)

    started = time.monotonic()
    worker = host(make, plain=plain, grace=grace)
    seconds = time.monotonic() - started
    code = _exit_code(worker, until_empty=until_empty)
    statuses = {status.value: count for status, count in worker.outcomes.items()}
    if as_json:
        print_json({"pool": name, "by_status": statuses, "left": worker.left, "seconds": seconds, "exit_code": code})
    else:
        told = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in statuses.items())
        print(f"{counted(sum(statuses.values()), 'task')} ended in {span(seconds)}{told and ': '}{told}")
        if worker.left:
            note(f"{counted(worker.left, 'task')} left in the lot")
    return code


def _exit_code(worker: Worker, *, until_empty: bool) -> ExitCode:
    if not until_empty:
        return ExitCode.OK  # a signal is how it ends
    if worker.interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.TASKS_FAILED if worker.failed else ExitCode.OK
