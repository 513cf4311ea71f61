"""``parking-lot submit``: put a task into a lot, from any process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, PoolName, Wait, chosen_pool
from parking_lot_drivers.cli.output import note, print_json

if TYPE_CHECKING:
    from parking_lot_drivers.client import LotClient
    from parking_lot_drivers.handle import TaskResult
    from parking_lot_drivers.ports import Host

_SECONDS = "seconds, or as in 90s, 15m, 2h"


def submit(
    config: Config,
    payload: Annotated[
        str,
        typer.Argument(metavar="PAYLOAD", help="What the task gets: JSON, @FILE with JSON, or - for standard input."),
    ],
    pool: PoolName = None,
    units: Annotated[str, typer.Option(help="What it takes while it runs; a size if the pool has a unit.")] = "1",
    priority: Annotated[str, typer.Option(help="critical, high, normal or low.")] = "normal",
    tenant: Annotated[str, typer.Option(help="Whose share it counts against, and whose box gets the outcome.")] = "",
    user: Annotated[str, typer.Option(help="Of the box that gets the outcome.")] = "",
    session: Annotated[str, typer.Option(help="Of the box that gets the outcome.")] = "",
    timeout: Annotated[str | None, typer.Option(help=f"It expires if it has not started by then: {_SECONDS}.")] = None,
    run_timeout: Annotated[str | None, typer.Option(help=f"How long each run may take: {_SECONDS}.")] = None,
    delay: Annotated[str | None, typer.Option(help=f"It does not start before: {_SECONDS}.")] = None,
    max_attempts: Annotated[str | None, typer.Option(help="Starts that may fail before it is given up.")] = None,
    key: Annotated[
        str | None, typer.Option(help="The same key again gives the same task, and the same answer.")
    ] = None,
    task_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Its id; by default a random one.")] = None,
    wait: Wait = None,
    as_json: AsJson = False,
) -> int:
    """Put a task into a lot, and print its id.

    The task is safe in the lot when the id appears, also if no process serves the lot now: the next batch or work that
    does will run it. With --wait, the result is printed instead.

    \b
    Example:
      parking-lot submit lot.json --pool gpu --units 2 '{"path": "a.png"}'
    """
    from parking_lot_drivers.cli.lots import ask, note_if_idle, outcome_within
    from parking_lot_drivers.cli.results_shown import print_outcome

    settings, name = chosen_pool(config, pool)
    given = {
        "units": units,
        "priority": priority,
        "tenant": tenant,
        "timeout": timeout,
        "run_timeout": run_timeout,
        "delay": delay,
        "max_attempts": max_attempts,
    }
    options = _options(given, settings.pools[name].unit)
    value = _payload(payload)

    async def question(client: LotClient) -> tuple[str, Host | None, TaskResult | None]:
        from parking_lot_core import MailboxKey

        box = MailboxKey(tenant, user, session)
        submitted = await client.submit(value, mailbox=box, task_id=task_id, idempotency_key=key, **options)
        seen = await client.overview(limit=1)
        note_if_idle(seen, config, name)
        if wait is None:
            return submitted, seen.host, None
        note(f"task {submitted} is in the lot; waiting for its outcome")
        return submitted, seen.host, await outcome_within(client, submitted, wait)

    submitted, host, result = ask(config, name, question, make_lot=True, outcomes=wait is not None)
    if wait is not None:
        return print_outcome(submitted, result, as_json=as_json)
    if as_json:
        print_json({"id": submitted, "pool": name, "served": host is not None})
    else:
        print(submitted)
    return ExitCode.OK


def _options(given: dict[str, str | None], unit: str | None) -> dict[str, Any]:
    from parking_lot_drivers.cli.task_options import OptionsReader

    said: dict[str, Any] = {option: _number(text) for option, text in given.items() if text is not None}
    try:
        return vars(OptionsReader(unit).read(said | {"tenant": given["tenant"]}))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="options of the task") from None


def _number(text: str) -> object:
    """The number that the text is, if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _payload(text: str) -> Any:
    from parking_lot_drivers.cli.json_text import read_json

    try:
        if text == "-":
            return read_json(sys.stdin.buffer.read())
        return read_json(Path(text[1:]).read_bytes() if text.startswith("@") else text)
    except OSError as error:
        raise typer.BadParameter(f"{text[1:]}: {error.strerror}", param_hint="PAYLOAD") from None
    except ValueError as error:
        hint = "; text needs quotes inside the shell's: '\"text\"'" if text[:1].isalpha() else ""
        raise typer.BadParameter(f"{error}{hint}", param_hint="PAYLOAD") from None
