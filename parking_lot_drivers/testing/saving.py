"""What a queue keeps of a batch, and what it gives back."""

from __future__ import annotations

import pytest

from parking_lot_core import MailboxKey, ScheduledTask, TaskState
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import StoredTask, TaskQueue
from parking_lot_drivers.testing._fixtures import OnALot
from parking_lot_drivers.testing.lots import Lot
from parking_lot_drivers.testing.samples import (
    BOX,
    DETAILED,
    MOVES,
    batch,
    checkpoint,
    parked,
    retried,
    running,
    stopping,
)


async def tasks_of(queue: TaskQueue) -> list[ScheduledTask]:
    return [task for task, _ in (await queue.load()).tasks]


class SavingContract(OnALot):
    """What a queue keeps of a batch, and what it gives back."""

    async def test_a_new_lot_is_empty(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            loaded = await queue.load()
            assert (list(loaded.tasks), loaded.checkpoint, list(loaded.set_aside)) == ([], None, [])
            assert await queue.get("any") is None
            assert await queue.payloads(["any"]) == {}

    async def test_a_task_comes_back_as_it_was_saved(self, lot: Lot) -> None:
        box = MailboxKey("tenant ü", "", "séance")
        async with lot.opened() as queue:
            await queue.save(batch(added=[StoredTask(DETAILED, b"\x00payload\xff", box)], next_sequence=8))
            loaded = await queue.load()
            assert list(loaded.tasks) == [(DETAILED, box)]
            assert loaded.checkpoint == checkpoint(8)
            assert await queue.get(DETAILED.id) == DETAILED
            assert await queue.payloads([DETAILED.id]) == {DETAILED.id: b"\x00payload\xff"}

    async def test_a_task_may_be_added_in_any_state(self, lot: Lot) -> None:
        began = running(parked("began", 1))
        states = [
            began,
            stopping(running(parked("stopped", 2))),
            retried(running(parked("retried", 3))),
            parked("new", 4),
        ]
        async with lot.opened() as queue:
            await queue.save(batch(added=states))
            assert await tasks_of(queue) == states

    async def test_tasks_are_loaded_in_the_order_of_their_sequence(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked("a", 30), parked("c", 10)]))
            await queue.save(batch(added=[parked("b", 20)]))
            assert [task.id for task in await tasks_of(queue)] == ["c", "b", "a"]

    @pytest.mark.parametrize("move", MOVES)
    async def test_a_change_replaces_where_the_task_stands(self, lot: Lot, move: str) -> None:
        changed = MOVES[move](DETAILED)
        async with lot.opened() as queue:
            await queue.save(
                batch(added=[StoredTask(DETAILED, b"kept", BOX), StoredTask(parked("other", 7), b"", BOX)])
            )
            await queue.save(batch(changed=[changed]))
            assert await queue.get(DETAILED.id) == changed
            assert await queue.get("other") == parked("other", 7)
            assert await queue.payloads([DETAILED.id]) == {DETAILED.id: b"kept"}

    async def test_changes_of_many_kinds_in_one_batch(self, lot: Lot) -> None:
        tasks = [parked(f"t{number}", number) for number in range(1, 7)]
        moves = list(MOVES.values())
        changed = [moves[index % 3](task) for index, task in enumerate(tasks)]
        async with lot.opened() as queue:
            await queue.save(batch(added=tasks))
            await queue.save(batch(changed=changed))
            assert await tasks_of(queue) == changed

    async def test_a_removed_task_takes_its_payload_with_it(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked("goes", 1), parked("stays", 2)]))
            await queue.save(batch(removed=["goes"]))
            assert await tasks_of(queue) == [parked("stays", 2)]
            assert await queue.get("goes") is None
            assert set(await queue.payloads(["goes", "stays"])) == {"stays"}

    async def test_removing_what_is_not_there_is_no_fault(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(removed=["never"], next_sequence=3))
            assert (await queue.load()).checkpoint == checkpoint(3)

    async def test_one_batch_adds_changes_and_removes(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked("a", 1), parked("b", 2)]))
            begun = running(parked("b", 2))
            await queue.save(batch(removed=["a"], changed=[begun], added=[parked("c", 3)]))
            assert await tasks_of(queue) == [begun, parked("c", 3)]

    async def test_an_id_may_be_used_again_in_the_batch_that_removes_it(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[StoredTask(parked("a", 1), b"old", BOX)]))
            await queue.save(batch(removed=["a"], added=[StoredTask(parked("a", 9), b"new", BOX)]))
            assert await tasks_of(queue) == [parked("a", 9)]
            assert await queue.payloads(["a"]) == {"a": b"new"}

    async def test_the_checkpoint_is_always_the_latest(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            for number in (5, 6, 7):
                await queue.save(batch(next_sequence=number))
            assert (await queue.load()).checkpoint == checkpoint(7)

    async def test_many_tasks_and_their_payloads(self, lot: Lot) -> None:
        count = 300
        tasks = [StoredTask(parked(f"t{n:03}", n + 1), b"payload %d" % n, BOX) for n in range(count)]
        async with lot.opened() as queue:
            await queue.save(batch(added=tasks))
            ids = [item.task.id for item in tasks]
            assert [task.id for task in await tasks_of(queue)] == ids
            wanted = [*ids[:130], "missing"]
            assert await queue.payloads(wanted) == {item.task.id: item.payload for item in tasks[:130]}
            assert await queue.payloads([ids[5], ids[5]]) == {ids[5]: b"payload 5"}
            assert await queue.payloads([]) == {}

    async def test_a_payload_of_several_mebibytes(self, lot: Lot) -> None:
        large = bytes(range(256)) * (4 * 4 * 1024)  # 4 MiB
        async with lot.opened() as queue:
            await queue.save(batch(added=[StoredTask(parked("large"), large, BOX)]))
            assert await queue.payloads(["large"]) == {"large": large}

    @pytest.mark.parametrize("payload", [b"", b"\x00", b"null"])
    async def test_small_payloads(self, lot: Lot, payload: bytes) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[StoredTask(parked("a"), payload, BOX)]))
            assert await queue.payloads(["a"]) == {"a": payload}

    async def test_ids_that_differ_in_case_only_are_different(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.save(batch(added=[parked("Task", 1), parked("task", 2), parked("task ", 3)]))
            assert [(await queue.get(name)) is not None for name in ("Task", "task", "task ", "TASK")] == [
                True,
                True,
                True,
                False,
            ]

    async def test_a_queue_that_is_not_open_saves_nothing(self, lot: Lot) -> None:
        queue = lot.queue()
        with pytest.raises(StoreUnavailable):
            await queue.save(batch(added=[parked("a")]))
        async with lot.opened() as opened:
            assert await tasks_of(opened) == []

    async def test_closing_twice_and_without_opening(self, lot: Lot) -> None:
        await lot.queue().aclose()
        queue = lot.queue()
        await queue.open()
        await queue.aclose()
        await queue.aclose()

    async def test_a_closed_queue_may_be_opened_again(self, lot: Lot) -> None:
        queue = lot.queue()
        await queue.open()
        await queue.save(batch(added=[DETAILED]))
        await queue.aclose()
        await queue.open()
        assert await tasks_of(queue) == [DETAILED]
        await queue.save(batch(removed=[DETAILED.id]))
        assert await tasks_of(queue) == []
        await queue.aclose()

    async def test_another_object_finds_everything(self, shared_lot: Lot) -> None:
        begun = running(DETAILED)
        async with shared_lot.opened() as queue:
            await queue.save(batch(added=[StoredTask(DETAILED, b"payload", BOX), parked("waits", 4)]))
            await queue.save(batch(changed=[begun], next_sequence=9))
        async with shared_lot.opened() as queue:
            loaded = await queue.load()
            assert list(loaded.tasks) == [(parked("waits", 4), BOX), (begun, BOX)]
            assert loaded.checkpoint == checkpoint(9)
            assert await queue.payloads([DETAILED.id]) == {DETAILED.id: b"payload"}
            assert begun.state is TaskState.RUNNING

    async def test_objects_that_schedule_in_turns(self, shared_lot: Lot) -> None:
        queues = [shared_lot.queue(), shared_lot.queue()]
        for turn in range(6):
            queue = queues[turn % 2]
            await queue.open()
            await queue.save(batch(added=[StoredTask(parked(f"t{turn}", turn + 1), b"payload %d" % turn, BOX)]))
            await queue.aclose()
        async with shared_lot.opened() as queue:
            assert await queue.payloads([f"t{turn}" for turn in range(6)]) == {
                f"t{turn}": b"payload %d" % turn for turn in range(6)
            }
