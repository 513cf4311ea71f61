"""Queues that keep batches by half. ``fails``: tests that must notice."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import attrs
from lots import lot_of

from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch
from parking_lot_drivers.stores.memory import MemoryQueue
from parking_lot_drivers.testing.rollback import RollbackContract


class KeepsWhatCameBeforeTheFault(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        for added in batch.added:
            if added.task.id in self._tasks and added.task.id not in batch.removed:
                raise StoreUnavailable("there already")
            self._tasks[added.task.id] = added.task
            self._rest[added.task.id] = (added.payload, added.mailbox)
        await super().save(attrs.evolve(batch, added=()))


class TestKeepsWhatCameBeforeTheFault(RollbackContract):
    lot_type = lot_of(KeepsWhatCameBeforeTheFault)
    fails = ("test_a_failed_save_leaves_nothing", "test_after_a_failed_save_the_next_one_works")


class WritesOverWhatIsThere(MemoryQueue):
    def _check(self, batch: Batch) -> None:
        """An upsert never fails."""


class TestWritesOverWhatIsThere(RollbackContract):
    lot_type = lot_of(WritesOverWhatIsThere)
    fails = ("test_a_failed_save_leaves_nothing",)


class AnswersRequestsOfAFailedBatch(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        for number in batch.answered:
            self._requests.pop(number, None)
        await super().save(batch)


class TestAnswersRequestsOfAFailedBatch(RollbackContract):
    lot_type = lot_of(AnswersRequestsOfAFailedBatch)
    fails = ("test_a_failed_save_leaves_nothing",)


class NeverRecovers(MemoryQueue):
    failed = False

    async def save(self, batch: Batch) -> None:
        if self.failed:
            raise StoreUnavailable("the transaction was aborted")
        try:
            await super().save(batch)
        except StoreUnavailable:
            self.failed = True
            raise


class TestNeverRecovers(RollbackContract):
    lot_type = lot_of(NeverRecovers)
    fails = ("test_after_a_failed_save_the_next_one_works",)


class KeepsHalfWhenCancelled(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        half = len(batch.added) // 2
        await super().save(attrs.evolve(batch, added=batch.added[:half]))
        await anyio.sleep(0.0005)
        await super().save(attrs.evolve(batch, added=batch.added[half:], changed=(), removed=(), delivered=()))


class TestKeepsHalfWhenCancelled(RollbackContract):
    lot_type = lot_of(KeepsHalfWhenCancelled)
    fails = ("test_a_cancelled_save_is_kept_whole_or_not_at_all",)


class LetsReadersIn(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(Batch(removed=batch.removed, checkpoint=batch.checkpoint))
        await anyio.lowlevel.checkpoint()
        await super().save(attrs.evolve(batch, removed=()))


class TestLetsReadersIn(RollbackContract):
    lot_type = lot_of(LetsReadersIn)
    fails = ("test_readers_never_see_half_a_batch",)
