"""A pool deletes outcomes that are older than its mailbox keeps them."""

from __future__ import annotations

import anyio
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers.pool import ResourcePool
from tests.contracts.registry import Lot
from tests.drivers.tools import echo

pytestmark = pytest.mark.anyio


async def test_outcomes_go_when_their_time_is_over_and_not_before(lot: Lot) -> None:
    mailbox = lot.mailbox()
    mailbox.ttl = 1.0
    async with ResourcePool(PoolConfig(max_units=1), echo, queue=lot.queue(), mailbox=mailbox) as pool:
        task = await pool.submit("old")
        assert await task.result() == "old"
        with anyio.fail_after(30):
            while await pool.mailbox.fetch():  # noqa: ASYNC110
                await anyio.sleep(0.05)
        seen = await pool.submit("new")
        assert await seen.result() == "new"


async def test_without_a_time_to_live_outcomes_stay(lot: Lot) -> None:
    async with ResourcePool(PoolConfig(max_units=1), echo, queue=lot.queue(), mailbox=lot.mailbox()) as pool:
        await (await pool.submit("kept")).result()
        await anyio.sleep(1.2)
        assert len(await pool.mailbox.fetch()) == 1
