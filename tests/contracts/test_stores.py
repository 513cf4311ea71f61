"""Every store of this project under the contract that authors of stores run on theirs."""

from __future__ import annotations

import pytest

from parking_lot_drivers.errors import StoreInUse, StoreUnavailable
from parking_lot_drivers.testing import Lot, StoreContract
from parking_lot_drivers.testing.samples import BOX, batch, delivery, parked
from tests.contracts.registry import STORES, MemoryLot, PgmqLot, PostgresLot, SharedSqliteLot, SqliteLot


class OurContract(StoreContract):
    """What our own stores do beyond the contract: the words of their errors, and the text that they keep."""

    async def test_what_a_queue_says_that_cannot_be_used(self, lot: Lot) -> None:
        queue = lot.queue()
        with pytest.raises(StoreUnavailable, match="not open"):
            await queue.save(batch(added=[parked("a")]))
        if lot.shared:
            async with lot.opened(schedule=False) as looking:
                with pytest.raises(StoreUnavailable, match="not open to schedule"):
                    await looking.save(batch(added=[parked("a")]))
        if not lot.exclusive:
            async with lot.opened() as scheduling:
                with pytest.raises(StoreInUse, match="a queue of its own"):
                    await scheduling.open()

    async def test_what_a_mailbox_says_of_limits_and_keeps_of_errors(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            for limit in (0, -1):
                with pytest.raises(ValueError, match=f"limit: expected an integer ≥ 1, got {limit}"):
                    await mailbox.fetch(BOX, limit=limit)
            await mailbox.deliver([delivery("a", error="no such file: caf\udce9\0.txt")])
            found = await mailbox.get("a")
            assert found is not None
            assert found.delivery.error == "no such file: caf\\udce9\\x00.txt"


class TestMemory(OurContract):
    lot_type = MemoryLot


class TestSqlite(OurContract):
    lot_type = SqliteLot


class TestSharedSqlite(OurContract):
    lot_type = SharedSqliteLot


class TestPostgres(OurContract):
    lot_type = PostgresLot


@pytest.mark.slow  # much of it once more what Postgres does
class TestPgmq(OurContract):
    lot_type = PgmqLot


def test_every_store_runs_the_contract() -> None:
    assert {case.lot_type for case in OurContract.__subclasses__()} == set(STORES.values())
