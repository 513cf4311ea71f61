"""``parking-lot cancel``: ask for a task to be stopped, from any process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, PoolName, Wait, chosen_pool
from parking_lot_drivers.cli.output import print_json

if TYPE_CHECKING:
    from parking_lot_drivers.client import LotClient, Standing
    from parking_lot_drivers.handle import TaskResult


def cancel(
    config: Config,
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="The task.")],
    pool: PoolName = None,
    wait: Wait = None,
    as_json: AsJson = False,
) -> int:
    """Ask for a task to be stopped.

    The request is safe in the lot when this returns; the process that serves the lot obeys it, now or when there is
    one. A task that has ended stays as it is. With --wait, the exit code says whether the task has ended in time.

    \b
    Example:
      parking-lot cancel lot.json --pool gpu 3f2a
    """
    from parking_lot_drivers.cli.lots import ask, note_if_idle, outcome_within

    _, name = chosen_pool(config, pool)

    async def question(client: LotClient) -> tuple[Standing, TaskResult | None]:
        standing = await client.cancel(task_id)
        if standing.result is None:
            note_if_idle(await client.overview(limit=1), config, name)
        result = standing.result
        if result is None and wait is not None:
            result = await outcome_within(client, task_id, wait)
        return standing, result

    standing, result = ask(config, name, question, outcomes=wait is not None)
    state = standing.state.value if result is None else result.status.value
    asked = standing.result is None
    if as_json:
        print_json({"id": task_id, "asked": asked, "state": state})
    elif asked:
        print(f"asked to stop task {task_id}" if result is None else f"task {task_id}: {state.replace('_', ' ')}")
    else:
        print(f"task {task_id} had ended: {state.replace('_', ' ')}")
    return ExitCode.NOT_YET if wait is not None and result is None else ExitCode.OK
