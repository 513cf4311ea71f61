"""What a queue and a mailbox keep together."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest

from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.testing._fixtures import OnALot
from parking_lot_drivers.testing.lots import Lot
from parking_lot_drivers.testing.mailbox import deliveries_of
from parking_lot_drivers.testing.rollback import FAULTS, refused
from parking_lot_drivers.testing.samples import BOX, batch, delivery, parked, running


class AdoptionContract(OnALot):
    """What a queue and a mailbox keep together."""

    @pytest.fixture
    def joint_lot(self, lot: Lot) -> Lot:
        """The lot, of a store whose queue adopts its mailbox."""
        if not lot.together:
            pytest.skip(f"not tried: {type(lot).__name__}.together is False")
        return lot

    async def test_an_adopted_mailbox_gets_the_outcomes_of_saved_batches(self, joint_lot: Lot) -> None:
        async with joint_lot.opened() as queue, joint_lot.opened_mailbox() as mailbox:
            assert queue.adopt(mailbox)
            await queue.save(batch(added=[parked("a"), parked("b", 2)]))
            await mailbox.deliver([delivery("earlier")])
            await queue.save(batch(removed=["a", "b"], delivered=[delivery("b"), delivery("a"), delivery("earlier")]))
            assert [d.task_id for d in await deliveries_of(mailbox)] == ["earlier", "b", "a"]
            assert (await queue.overview()).outcomes == 3

    async def test_a_failed_save_delivers_nothing(self, joint_lot: Lot) -> None:
        async with joint_lot.opened() as queue, joint_lot.opened_mailbox() as mailbox:
            assert queue.adopt(mailbox)
            await queue.save(batch(added=[parked("done", 1), parked("waits", 2)]))
            for fault in FAULTS:
                with pytest.raises(StoreUnavailable):
                    await queue.save(refused(fault, 4711))
                assert await mailbox.get("done") is None
                assert await mailbox.fetch(BOX) == []
            await queue.save(batch(removed=["done"], delivered=[delivery("done", result=b"again")]))
            assert await deliveries_of(mailbox) == [delivery("done", result=b"again")]

    async def test_a_queue_says_whether_it_adopts_the_mailbox(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            assert queue.adopt(lot.mailbox()) is lot.together
            assert queue.adopt(lot.stranger()) is False

    async def test_what_is_not_adopted_gets_nothing(self, lot: Lot) -> None:
        async with lot.opened() as queue, lot.opened_mailbox() as mailbox:
            assert not queue.adopt(lot.stranger())
            await queue.save(batch(added=[parked("a")]))
            await queue.save(batch(removed=["a"], delivered=[delivery("a")]))
            assert await mailbox.get("a") is None
            assert await queue.get("a") is None

    async def test_pruning_is_not_seen_in_the_overview(self, joint_lot: Lot) -> None:
        async with joint_lot.opened() as queue, joint_lot.opened_mailbox() as mailbox:
            assert queue.adopt(mailbox)
            await mailbox.deliver([delivery("a", finished_at=1.0), delivery("b", finished_at=time.time())])
            assert await mailbox.prune(older_than=1000) == 1
            assert (await queue.overview()).outcomes == 1

    async def test_readers_never_see_a_task_beside_its_outcome(self, joint_lot: Lot) -> None:
        count = 40
        async with joint_lot.opened() as queue, joint_lot.opened_mailbox() as mailbox:
            assert queue.adopt(mailbox)
            await queue.save(batch(added=[parked(f"t{n}", n + 1) for n in range(count)]))
            done = anyio.Event()
            looks = 0

            async def look() -> None:
                nonlocal looks
                while not done.is_set():
                    seen = await queue.overview()
                    assert seen.parked + len(seen.running) + seen.outcomes == count
                    looks += 1
                    await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(look)
                for n in range(count):
                    await queue.save(batch(changed=[running(parked(f"t{n}", n + 1))]))
                    await queue.save(batch(removed=[f"t{n}"], delivered=[delivery(f"t{n}")]))
                    await anyio.lowlevel.checkpoint()
                done.set()
            assert looks >= 3
            assert (await queue.overview()).outcomes == count
