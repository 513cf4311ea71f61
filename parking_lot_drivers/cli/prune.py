"""``parking-lot prune``: delete what ended long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, OnlyPool, chosen_pools, duration
from parking_lot_drivers.cli.output import note, print_json
from parking_lot_drivers.cli.words import counted

if TYPE_CHECKING:
    from parking_lot_drivers.config import Settings

_ONE = {"outcomes": "outcome", "archived tasks": "archived task", "audit records": "audit record"}


def prune(
    config: Config,
    older_than: Annotated[
        float,
        typer.Option("--older-than", parser=duration, metavar="SECONDS", help="How old it must be: 3600, 12h, 7d."),
    ],
    pool: OnlyPool = None,
    as_json: AsJson = False,
) -> int:
    """Delete outcomes, archived tasks and audit records that are older than so long.

    Tasks that have not ended are never touched, and pools may run meanwhile. A task whose outcome is gone may be
    submitted again under the same id or key.

    \b
    Example:
      parking-lot prune lot.json --older-than 7d
    """
    import anyio

    settings, names = chosen_pools(config, pool)
    pruned: dict[str, dict[str, int]] = {}
    for name in names:
        pruned[name] = anyio.run(_prune, settings, name, older_than)
        if not as_json:
            told = ", ".join(counted(count, _ONE.get(what, what), what) for what, count in pruned[name].items())
            print(f"pool {name}: {told or 'nothing to prune'}")
    if as_json:
        print_json({"pools": pruned})
    return ExitCode.OK


async def _prune(settings: Settings, name: str, older_than: float) -> dict[str, int]:
    """How many there were of what."""
    from parking_lot_drivers.build import build_mailbox, build_queue, mailbox_file, queue_file
    from parking_lot_drivers.config import InMemoryMailbox
    from parking_lot_drivers.shared_ports import SharedQueue

    section = settings.pools[name]
    counts: dict[str, int] = {}
    file = mailbox_file(section, name)
    if isinstance(section.mailbox, InMemoryMailbox):
        note(f"pool {name} keeps outcomes in the memory of its process, which alone can delete them")
    elif file is None or file.exists():
        mailbox = build_mailbox(settings, name)
        try:
            await mailbox.open()
            counts["outcomes"] = await mailbox.prune(older_than=older_than)
        finally:
            await mailbox.aclose()
    file = queue_file(section, name)
    queue = build_queue(settings, name)
    if isinstance(queue, SharedQueue) and (file is None or file.exists()):
        try:
            await queue.open(schedule=False)
            counts |= await queue.prune(older_than=older_than)
        finally:
            await queue.aclose()
    return counts
