"""Every store of this project under the contract that authors of stores run on theirs."""

from __future__ import annotations

import pytest

from parking_lot_drivers.errors import StoreInUse, StoreUnavailable
from parking_lot_drivers.testing import Lot, StoreContract
from tests.contracts.registry import STORES, MemoryLot, PgmqLot, PostgresLot, SharedSqliteLot, SqliteLot
from tests.contracts.samples import batch, delivery, parked


class OurContract(StoreContract):
    """What our own stores do beyond the contract: the words of their errors, and the text that they keep."""

    async def test_what_a_queue_that_is_not_open_says(self, lot: Lot) -> None:
        with pytest.raises(StoreUnavailable, match="not open"):
            await lot.queue().save(batch(added=[parked("a")]))

    async def test_what_a_queue_that_is_not_open_to_schedule_says(self, shared_lot: Lot) -> None:
        async with shared_lot.opened(schedule=False) as looking:
            with pytest.raises(StoreUnavailable, match="not open to schedule"):
                await looking.save(batch(added=[parked("a")]))

    async def test_what_an_object_that_schedules_already_says(self, lot: Lot) -> None:
        if not lot.exclusive:
            async with lot.opened() as queue:
                with pytest.raises(StoreInUse, match="a queue of its own"):
                    await queue.open()

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_what_is_said_of_a_limit(self, lot: Lot, limit: int) -> None:
        async with lot.opened_mailbox() as mailbox:
            with pytest.raises(ValueError, match=f"limit: expected an integer ≥ 1, got {limit}"):
                await mailbox.fetch(delivery("a").mailbox, limit=limit)

    async def test_what_is_not_text_in_an_error_is_escaped(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
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


class TestPgmq(OurContract):
    lot_type = PgmqLot


def test_every_store_runs_the_contract() -> None:
    assert {case.lot_type for case in OurContract.__subclasses__()} == set(STORES.values())
