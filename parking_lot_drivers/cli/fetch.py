"""``parking-lot fetch``: outcomes, of one task or out of a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, PoolName, Wait
from parking_lot_drivers.cli.output import note, print_json

if TYPE_CHECKING:
    from parking_lot_drivers.client import LotClient
    from parking_lot_drivers.handle import TaskResult


def fetch(
    config: Config,
    task_id: Annotated[str | None, typer.Argument(metavar="[TASK_ID]", help="One task, instead of a box.")] = None,
    pool: PoolName = None,
    tenant: Annotated[str, typer.Option(help="Of the box.")] = "",
    user: Annotated[str, typer.Option(help="Of the box.")] = "",
    session: Annotated[str, typer.Option(help="Of the box.")] = "",
    after: Annotated[int, typer.Option(min=0, help="Only outcomes past this cursor.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="The most outcomes.")] = 100,
    wait: Wait = None,
    as_json: AsJson = False,
) -> int:
    """Show how tasks ended.

    With a task id, print the result of that task as JSON. Without one, list a box, oldest first: that of the given
    tenant, user and session, or of tasks that were submitted without any. Nothing is removed by looking.

    \b
    Examples:
      parking-lot fetch lot.json --pool gpu 3f2a --wait 1m
      parking-lot fetch lot.json --pool gpu --tenant acme --after 120 --json
    """
    from parking_lot_drivers.cli.lots import ask
    from parking_lot_drivers.cli.results_shown import print_outcome

    if task_id is not None:
        wanted = task_id
        result = ask(config, pool, lambda client: _one(client, wanted, wait), outcomes=True)
        return print_outcome(task_id, result, as_json=as_json)

    async def question(client: LotClient) -> list[TaskResult]:
        from parking_lot_core import MailboxKey

        return await client.fetch(MailboxKey(tenant, user, session), after=after, limit=limit, timeout=wait or 0)

    results = ask(config, pool, question, outcomes=True)
    _print(results, after, limit, as_json=as_json)
    return ExitCode.OK if results or wait is None else ExitCode.NOT_YET


async def _one(client: LotClient, task_id: str, wait: float | None) -> TaskResult | None:
    from parking_lot_drivers.cli.lots import outcome_within

    if wait is not None:
        return await outcome_within(client, task_id, wait)
    standing = await client.status(task_id)
    if standing.result is None:
        note(f"it is {standing.state.value}; --wait 1m waits for it")
    return standing.result


def _print(results: list[TaskResult], after: int, limit: int, *, as_json: bool) -> None:
    from parking_lot_drivers.cli.results_shown import outcome_as_json, print_outcomes

    last = results[-1].cursor if results else after
    if as_json:
        print_json({"outcomes": [outcome_as_json(result) for result in results], "after": last})
    elif not results:
        note("no outcomes" if after == 0 else f"no outcomes past cursor {after}")
    else:
        print_outcomes(results)
        if len(results) == limit:
            note(f"there may be more: --after {last}")
