"""Queues that lose or change something that was saved. ``fails``: tests that must notice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from lots import ForgetfulLot, lot_of

from parking_lot_core import Checkpoint, ScheduledTask, TaskState
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Loaded
from parking_lot_drivers.stores.memory import MemoryQueue
from parking_lot_drivers.testing.saving import SavingContract


class ForgetsChanges(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(attrs.evolve(batch, changed=()))


class TestForgetsChanges(SavingContract):
    lot_type = lot_of(ForgetsChanges)
    fails = ("test_a_change_replaces_where_the_task_stands", "test_one_batch_adds_changes_and_removes")


class KeepsOneChangeOfABatch(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(attrs.evolve(batch, changed=batch.changed[:1]))


class TestKeepsOneChangeOfABatch(SavingContract):
    lot_type = lot_of(KeepsOneChangeOfABatch)
    fails = ("test_changes_of_many_kinds_in_one_batch",)


class LosesTheOrder(MemoryQueue):
    async def load(self) -> Loaded:
        loaded = await super().load()
        return attrs.evolve(loaded, tasks=sorted(loaded.tasks, key=lambda pair: pair[0].id))


class TestLosesTheOrder(SavingContract):
    lot_type = lot_of(LosesTheOrder)
    fails = ("test_tasks_are_loaded_in_the_order_of_their_sequence",)


class KeepsPayloads(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        before = dict(self._rest)
        await super().save(batch)
        self._rest = before | self._rest


class TestKeepsPayloads(SavingContract):
    lot_type = lot_of(KeepsPayloads)
    fails = ("test_a_removed_task_takes_its_payload_with_it",)


class KeepsTheFirstCheckpoint(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(attrs.evolve(batch, checkpoint=self._checkpoint or batch.checkpoint))


class TestKeepsTheFirstCheckpoint(SavingContract):
    lot_type = lot_of(KeepsTheFirstCheckpoint)
    fails = ("test_the_checkpoint_is_always_the_latest",)


class RoundsTimes(MemoryQueue):
    """To a microsecond, as a database without double precision does."""

    async def save(self, batch: Batch) -> None:
        await super().save(
            attrs.evolve(batch, added=[attrs.evolve(each, task=rounded(each.task)) for each in batch.added])
        )


def rounded(task: ScheduledTask) -> ScheduledTask:
    return attrs.evolve(task, admitted_at=round(task.admitted_at, 6))


class TestRoundsTimes(SavingContract):
    lot_type = lot_of(RoundsTimes)
    fails = ("test_a_task_comes_back_as_it_was_saved",)


class ParksWhatIsAdded(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        added = [
            attrs.evolve(each, task=attrs.evolve(each.task, state=TaskState.PARKED, device=None, started_at=None))
            for each in batch.added
        ]
        await super().save(attrs.evolve(batch, added=added))


class TestParksWhatIsAdded(SavingContract):
    lot_type = lot_of(ParksWhatIsAdded)
    fails = ("test_a_task_may_be_added_in_any_state",)


class IgnoresCase(MemoryQueue):
    async def get(self, task_id: str) -> ScheduledTask | None:
        found = [task for known, task in self._tasks.items() if known.casefold() == task_id.casefold()]
        return found[0] if found else None


class TestIgnoresCase(SavingContract):
    lot_type = lot_of(IgnoresCase)
    fails = ("test_ids_that_differ_in_case_only_are_different",)


class CutsPayloads(MemoryQueue):
    """After 64 KiB, as some column types do."""

    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        return {task_id: payload[:65536] for task_id, payload in (await super().payloads(task_ids)).items()}


class TestCutsPayloads(SavingContract):
    lot_type = lot_of(CutsPayloads)
    fails = ("test_a_payload_of_several_mebibytes",)


class TakesEmptyForMissing(MemoryQueue):
    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        return {task_id: payload for task_id, payload in (await super().payloads(task_ids)).items() if payload}


class TestTakesEmptyForMissing(SavingContract):
    lot_type = lot_of(TakesEmptyForMissing)
    fails = ("test_small_payloads",)


class FindsAHundredAtMost(MemoryQueue):
    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        return await super().payloads(task_ids[:100])


class TestFindsAHundredAtMost(SavingContract):
    lot_type = lot_of(FindsAHundredAtMost)
    fails = ("test_many_tasks_and_their_payloads",)


class SavesWhileClosed(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        for added in batch.added:
            self._tasks[added.task.id] = added.task
            self._rest[added.task.id] = (added.payload, added.mailbox)
        await super().save(attrs.evolve(batch, added=()))


class TestSavesWhileClosed(SavingContract):
    lot_type = lot_of(SavesWhileClosed)
    fails = ("test_a_queue_that_is_not_open_saves_nothing",)


class ForgetsWhenClosed(MemoryQueue):
    async def aclose(self) -> None:
        await super().aclose()
        self._tasks.clear()


class TestForgetsWhenClosed(SavingContract):
    lot_type = lot_of(ForgetsWhenClosed)
    fails = ("test_a_closed_queue_may_be_opened_again",)


class ClosesOnlyOnce(MemoryQueue):
    async def aclose(self) -> None:
        if self._host is None:
            raise RuntimeError("not open")
        await super().aclose()


class TestClosesOnlyOnce(SavingContract):
    lot_type = lot_of(ClosesOnlyOnce)
    fails = ("test_closing_twice_and_without_opening",)


class RefusesToRemoveWhatIsNotThere(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        if not self._tasks.keys() >= set(batch.removed):
            raise StoreUnavailable("no such task")
        await super().save(batch)


class TestRefusesToRemoveWhatIsNotThere(SavingContract):
    lot_type = lot_of(RefusesToRemoveWhatIsNotThere)
    fails = ("test_removing_what_is_not_there_is_no_fault",)


class RemovesLast(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        removed, batch = batch.removed, attrs.evolve(batch, removed=())
        old = {added.task.id: self._tasks.pop(added.task.id, None) for added in batch.added}
        await super().save(batch)
        for task_id in {*removed, *(task_id for task_id, task in old.items() if task is not None)}:
            self._tasks.pop(task_id, None)


class TestRemovesLast(SavingContract):
    lot_type = lot_of(RemovesLast)
    fails = ("test_an_id_may_be_used_again_in_the_batch_that_removes_it",)


class BeginsWithACheckpoint(MemoryQueue):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._checkpoint = Checkpoint()


class TestBeginsWithACheckpoint(SavingContract):
    lot_type = lot_of(BeginsWithACheckpoint)
    fails = ("test_a_new_lot_is_empty",)


class TestEveryObjectForItself(SavingContract):
    lot_type = ForgetfulLot
    fails = ("test_another_object_finds_everything", "test_objects_that_schedule_in_turns")


class ForgetsTheTenant(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        added = [attrs.evolve(each, mailbox=attrs.evolve(each.mailbox, tenant="")) for each in batch.added]
        await super().save(attrs.evolve(batch, added=added))


class TestForgetsTheTenant(SavingContract):
    lot_type = lot_of(ForgetsTheTenant)
    fails = ("test_a_task_comes_back_as_it_was_saved",)
