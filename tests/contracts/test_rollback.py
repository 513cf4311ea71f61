"""A batch is kept whole or not at all."""

from __future__ import annotations

import anyio
import pytest

from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch
from tests.contracts.registry import Lot
from tests.contracts.samples import DETAILED, batch, cancellation, checkpoint, delivery, parked, running

pytestmark = pytest.mark.anyio


def refused(number: int, **fault: object) -> Batch:
    """A batch with something of every kind, and one thing that cannot be."""
    return batch(
        added=[parked("new", 10), *fault.get("added", ())],  # type: ignore[misc]
        changed=[running(parked("waits", 2)), *fault.get("changed", ())],  # type: ignore[misc]
        removed=["done"],
        delivered=[delivery("done")],
        answered=[number],
        next_sequence=11,
    )


FAULTS = {
    "a task that is there already": {"added": [parked("waits", 12)]},
    "the same task twice": {"added": [parked("twice", 12), parked("twice", 13)]},
    "a change of an unknown task": {"changed": [running(parked("unknown", 14))]},
    "a change of a removed task": {"changed": [running(parked("done", 1))]},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_save_leaves_nothing(lot: Lot, fault: str) -> None:
    async with lot.opened() as queue, lot.opened_mailbox() as mailbox:
        assert queue.adopt(mailbox)
        await queue.save(batch(added=[parked("done", 1), parked("waits", 2), DETAILED], next_sequence=3))
        number = await queue.post(cancellation("waits"))
        before = await queue.load()

        with pytest.raises(StoreUnavailable):
            await queue.save(refused(number, **FAULTS[fault]))

        assert await queue.load() == before
        assert before.checkpoint == checkpoint(3)
        assert set(await queue.payloads(["done", "waits", "new", "twice"])) == {"done", "waits"}
        assert await mailbox.get("done") is None
        assert [request.number for request in await queue.requests()] == [number]


async def test_after_a_failed_save_the_next_one_works(lot: Lot) -> None:
    async with lot.opened() as queue:
        await queue.save(batch(added=[parked("a", 1)]))
        with pytest.raises(StoreUnavailable):
            await queue.save(batch(added=[parked("b", 2), parked("a", 3)]))
        await queue.save(batch(added=[parked("b", 2)], next_sequence=5))
        loaded = await queue.load()
        assert [task.id for task, _ in loaded.tasks] == ["a", "b"]
        assert loaded.checkpoint == checkpoint(5)


async def test_a_cancelled_save_is_kept_whole_or_not_at_all(lot: Lot) -> None:
    async with lot.opened() as queue:
        for number in range(1, 30):
            with anyio.move_on_after(0.0002 * (number % 5)):
                await queue.save(batch(added=[parked(f"a{number}", number), parked(f"b{number}", 100 + number)]))
        ids = {task.id for task, _ in (await queue.load()).tasks}
        assert {name[1:] for name in ids if name[0] == "a"} == {name[1:] for name in ids if name[0] == "b"}
        await queue.save(batch(added=[parked("after", 1000)]))
        assert await queue.get("after") == parked("after", 1000)
