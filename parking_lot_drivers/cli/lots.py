"""Commands that look at a lot, or ask something of it, without scheduling it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio

from parking_lot_drivers.build import build_client, is_shared, queue_file
from parking_lot_drivers.cli.options import chosen_pool
from parking_lot_drivers.cli.output import note
from parking_lot_drivers.config import HostBudget, Settings
from parking_lot_drivers.errors import StoreUnavailable

if TYPE_CHECKING:
    from parking_lot_drivers.cli.lot_frame import Frame
    from parking_lot_drivers.client import LotClient
    from parking_lot_drivers.handle import TaskResult
    from parking_lot_drivers.ports import Overview

_T = TypeVar("_T")


def ask(
    config: Path,
    pool: str | None,
    question: Callable[[LotClient], Awaitable[_T]],
    *,
    make_lot: bool = False,
    outcomes: bool = False,
) -> _T:
    """Open the lot of a pool, put a question to it, close it, and return the answer.

    Only ``make_lot`` makes a lot that does not exist. ``outcomes`` says that the question is about outcomes: then a
    pool whose outcomes cannot be seen from here is refused first. Raises ``ParkingLotError``.
    """
    settings, name = chosen_pool(config, pool)
    client = build_client(settings, name)
    if outcomes:
        client.check_mailbox()
    if not make_lot:
        _check_exists(settings, name)

    async def main() -> _T:
        async with client:
            return await question(client)

    return anyio.run(main)


async def outcome_within(client: LotClient, task_id: str, seconds: float) -> TaskResult | None:
    """The outcome of a task, if it has one in time."""
    try:
        return await client.wait(task_id, seconds)
    except TimeoutError:
        return None


async def look(config: Path, client: LotClient, *, limit: int = 20) -> Frame:
    """The lot as it is now, with the first ``limit`` waiting tasks."""
    from parking_lot_drivers.cli.lot_frame import Frame
    from parking_lot_drivers.cli.pools import queue

    settings, name = chosen_pool(config, client.pool)
    section = settings.pools[name]
    seen = await client.overview(limit=limit)
    shared = is_shared(section)
    hosts = await client.hosts() if shared else [seen.host] if seen.host is not None else []
    return Frame(
        pool=name,
        where=queue(section, name),
        policy=client.policy,
        seen=seen,
        at=time.time(),
        hosts=hosts,
        apart=shared and isinstance(section.budget, HostBudget),
    )


def _check_exists(settings: Settings, name: str) -> None:
    file = queue_file(settings.pools[name], name)
    if file is not None and not file.exists():
        raise StoreUnavailable(
            f"{file} does not exist: nothing was submitted to pool {name!r} yet, or it lies elsewhere"
        )


def note_if_idle(seen: Overview, config: Path, name: str) -> None:
    """Say so if nobody schedules the lot."""
    if seen.host is None:
        note(f"no process serves this lot now; one that does: parking-lot work {config} --pool {name}")
