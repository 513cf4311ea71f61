"""What the tests with several hosts share."""

from __future__ import annotations

from typing import Any

import anyio

from parking_lot_drivers import ResourcePool
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.errors import StoreUnavailable

_AT_ONCE = 50


async def submit(
    pool: ResourcePool | LotClient, count: int, *, work: float, do: str | None = None, **wishes: Any
) -> list[str]:
    """Submit ``count`` tasks of ``work`` seconds each. Returns their ids, all acknowledged."""
    ids: list[str] = []
    left = iter(range(count))

    async def some() -> None:
        for _ in left:
            handle = await pool.submit({"work": work, "do": do}, **wishes)
            ids.append(handle if isinstance(handle, str) else handle.task_id)

    async with anyio.create_task_group() as group:
        for _ in range(min(_AT_ONCE, count)):
            group.start_soon(some)
    return ids


async def submit_somehow(pool: ResourcePool, count: int, ids: list[str]) -> None:
    """Submit tasks one after the other, again where the store fails, under the same key; note the ids."""
    for number in range(count):
        while True:
            try:
                handle = await pool.submit({"work": 0.01}, idempotency_key=f"somehow {number}")
            except StoreUnavailable:
                await anyio.sleep(0.02)
            else:
                break
        ids.append(handle.task_id)
