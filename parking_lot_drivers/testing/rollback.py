"""A batch is kept whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel
import pytest

from parking_lot_core import ScheduledTask
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch
from parking_lot_drivers.testing._fixtures import OnALot
from parking_lot_drivers.testing.lots import Lot
from parking_lot_drivers.testing.samples import DETAILED, batch, cancellation, checkpoint, delivery, parked, running

#: What no queue can keep, as tasks that a batch adds and changes.
FAULTS: Mapping[str, tuple[Sequence[ScheduledTask], Sequence[ScheduledTask]]] = {
    "a task that is there already": ([parked("waits", 12)], []),
    "the same task twice": ([parked("twice", 12), parked("twice", 13)], []),
    "a change of an unknown task": ([], [running(parked("unknown", 14))]),
    "a change of a removed task": ([], [running(parked("done", 1))]),
}


def refused(fault: str, number: int) -> Batch:
    """A batch with something of every kind, and one fault. ``number``: of a request that it answers."""
    added, changed = FAULTS[fault]
    return batch(
        added=[parked("new", 10), *added],
        changed=[running(parked("waits", 2)), *changed],
        removed=["done"],
        delivered=[delivery("done")],
        answered=[number],
        next_sequence=11,
    )


class RollbackContract(OnALot):
    """A batch is kept whole or not at all."""

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_a_failed_save_leaves_nothing(self, lot: Lot, fault: str) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked("done", 1), parked("waits", 2), DETAILED], next_sequence=3))
            number = await queue.post(cancellation("waits"))
            before = await queue.load()

            with pytest.raises(StoreUnavailable):
                await queue.save(refused(fault, number))

            assert await queue.load() == before
            assert before.checkpoint == checkpoint(3)
            assert set(await queue.payloads(["done", "waits", "new", "twice"])) == {"done", "waits"}
            assert [request.number for request in await queue.requests()] == [number]

    async def test_readers_never_see_half_a_batch(self, lot: Lot) -> None:
        count = 40
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked(f"t{n}", n + 1) for n in range(count)]))
            done = anyio.Event()
            looks = 0

            async def look() -> None:
                nonlocal looks
                while not done.is_set():
                    seen = await queue.overview()
                    assert seen.parked + len(seen.running) == count
                    looks += 1
                    await anyio.lowlevel.checkpoint()

            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(look)
                for n in range(count):
                    await queue.save(batch(removed=[f"t{n}"], added=[running(parked(f"n{n}", count + n + 1))]))
                    await anyio.lowlevel.checkpoint()
                done.set()
            assert looks >= 3

    async def test_after_a_failed_save_the_next_one_works(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked("a", 1)]))
            with pytest.raises(StoreUnavailable):
                await queue.save(batch(added=[parked("b", 2), parked("a", 3)]))
            await queue.save(batch(added=[parked("b", 2)], next_sequence=5))
            loaded = await queue.load()
            assert [task.id for task, _ in loaded.tasks] == ["a", "b"]
            assert loaded.checkpoint == checkpoint(5)

    async def test_a_cancelled_save_is_kept_whole_or_not_at_all(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            for number in range(1, 30):
                with anyio.move_on_after(0.0002 * (number % 5)):
                    await queue.save(batch(added=[parked(f"a{number}", number), parked(f"b{number}", 100 + number)]))
            ids = {task.id for task, _ in (await queue.load()).tasks}
            assert {name[1:] for name in ids if name[0] == "a"} == {name[1:] for name in ids if name[0] == "b"}
            await queue.save(batch(added=[parked("after", 1000)]))
            assert await queue.get("after") == parked("after", 1000)
