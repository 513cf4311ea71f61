"""``parking-lot status``: where a task stands, or a whole lot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, PoolName
from parking_lot_drivers.cli.output import print_json

if TYPE_CHECKING:
    from parking_lot_core import Explanation
    from parking_lot_drivers.client import LotClient, Standing
    from parking_lot_drivers.ports import Host


def status(
    config: Config,
    task_id: Annotated[str | None, typer.Argument(metavar="[TASK_ID]", help="One task, instead of the lot.")] = None,
    pool: PoolName = None,
    as_json: AsJson = False,
) -> int:
    """Show where a task stands and what it waits for, or a whole lot.

    \b
    Examples:
      parking-lot status lot.json --pool gpu
      parking-lot status lot.json --pool gpu 3f2a
    """
    from parking_lot_drivers.cli.lots import ask

    if task_id is None:
        _show_lot(config, pool, as_json=as_json)
        return ExitCode.OK
    wanted = task_id

    async def question(client: LotClient) -> tuple[Standing, Explanation | None, Host | None]:
        standing = await client.status(wanted)
        seen = await client.overview(limit=1)
        why = None if standing.task is None else await client.explain(wanted)
        return standing, why, seen.host

    standing, why, host = ask(config, pool, question)
    if as_json:
        print_json(_as_json(standing, why, host))
    else:
        from parking_lot_drivers.cli.standing_words import sentences

        print("\n".join(sentences(standing, why, host, time.time())))
    return ExitCode.OK


def _show_lot(config: Any, pool: str | None, *, as_json: bool) -> None:
    from rich.console import Console

    from parking_lot_drivers.cli.lots import ask, look

    frame = ask(config, pool, lambda client: look(config, client))
    if as_json:
        print_json(frame.as_json())
    else:
        Console(highlight=False, markup=False).print(frame.drawn(rows=10))


def _as_json(standing: Standing, why: Explanation | None, host: Host | None) -> dict[str, Any]:
    import attrs

    from parking_lot_drivers.cli.lot_frame import task_as_json
    from parking_lot_drivers.cli.results_shown import outcome_as_json

    told: dict[str, Any] = {
        "id": standing.task_id,
        "state": standing.state.value,
        "since": standing.since,
        "host": None if host is None else attrs.asdict(host),
    }
    if standing.task is not None:
        told["task"] = task_as_json(standing.task)
    if why is not None:
        told["explanation"] = attrs.asdict(why) | {"reason": why.reason.value}
    if standing.result is not None:
        told["outcome"] = outcome_as_json(standing.result)
    return told
