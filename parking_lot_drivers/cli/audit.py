"""``parking-lot audit``: what happened to tasks, move by move."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import Config, PoolName, chosen_pool
from parking_lot_drivers.cli.output import note

if TYPE_CHECKING:
    from parking_lot_drivers.config import PoolSettings
    from parking_lot_drivers.shared_ports import AuditFilter, AuditRecord, SharedQueue

_COLUMNS = ("time", "task", "move", "epoch", "units", "device", "host", "tenant", "detail")


def moment(text: str) -> float:
    """A time in Unix seconds, from so long ago (``90s``, ``1h``, ``7d``), a date and time, or Unix seconds."""
    from parking_lot_drivers.config.quantities import seconds

    ago = seconds(text)
    if ago is not None:
        return time.time() - ago
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"expected how long ago, such as 90s, 1h, 7d; or a time such as 2026-11-24T12:30, or in Unix seconds; "
            f"got {text!r}"
        ) from None


def audit(
    config: Config,
    pool: PoolName = None,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Only of this task.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this tenant.")] = None,
    host: Annotated[str | None, typer.Option(metavar="ID", help="Only of this host.")] = None,
    epoch: Annotated[int | None, typer.Option(min=0, help="Only of this start of a task.")] = None,
    since: Annotated[
        float | None,
        typer.Option(
            parser=moment, metavar="TIME", help="Only from then on: 1h (ago), 2026-11-24T12:30, Unix seconds."
        ),
    ] = None,
    until: Annotated[
        float | None, typer.Option(parser=moment, metavar="TIME", help="Only before then; written like --since.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most records: the last ones.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> int:
    """Show what happened to tasks, move by move, oldest first.

    Queues in Postgres write every move down, unless their configuration says "audit": false; lot files do where
    processes share a budget. Times are those of the database's clock.

    \b
    Examples:
      parking-lot audit lot.json --pool gpu --task 3f2a
      parking-lot audit lot.json --pool gpu --since 1h --json
    """
    import anyio

    from parking_lot_drivers.build import build_queue
    from parking_lot_drivers.errors import ConfigError
    from parking_lot_drivers.shared_ports import AuditFilter, SharedQueue

    settings, name = chosen_pool(config, pool)
    queue = build_queue(settings, name)
    if not isinstance(queue, SharedQueue):
        raise ConfigError(
            f"pools.{name}.queue: {settings.pools[name].queue.tags[0]} keeps no audit trail; postgres, postgres_pgmq "
            "and, with a shared budget, yaque do"
        )
    wanted = AuditFilter(pool=name, task_id=task, tenant=tenant, host=host, epoch=epoch, since=since, until=until)
    records = anyio.run(_read, queue, wanted, limit)
    if as_json:
        _print_json(records)
    else:
        _print(records)
        _say_notes(settings.pools[name], records, limit)
    return ExitCode.OK


async def _read(queue: SharedQueue, wanted: AuditFilter, limit: int) -> Sequence[AuditRecord]:
    try:
        await queue.open(schedule=False)
        return await queue.audit(wanted, limit=limit)
    finally:
        await queue.aclose()


def _print_json(records: Sequence[AuditRecord]) -> None:
    import attrs

    for record in records:
        print(json.dumps(attrs.asdict(record)))


def _print(records: Sequence[AuditRecord]) -> None:
    rows = [_COLUMNS, *(_row(record) for record in records)] if records else []
    widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))] if rows else []
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(record: AuditRecord) -> tuple[str, ...]:
    from parking_lot_drivers.config.problems import printable

    at = datetime.datetime.fromtimestamp(record.at, tz=datetime.UTC).isoformat(sep=" ", timespec="milliseconds")
    cells = (
        at.replace("+00:00", "Z"),
        record.task_id,
        record.move,
        str(record.epoch),
        str(record.units),
        record.device or "",
        record.host or "",
        record.tenant,
        record.detail or "",
    )
    return tuple(printable(cell) for cell in cells)


def _say_notes(section: PoolSettings, records: Sequence[AuditRecord], limit: int) -> None:
    if not getattr(section.queue, "audit", True):
        note("the audit trail of this pool is switched off now: its queue has audit false")
    if not records:
        note("no records")
    elif len(records) == limit:
        note(f"there may be more before these: --limit {10 * limit}")
