"""Queues and mailboxes that do not keep a batch together. ``fails``: tests that must notice."""

from __future__ import annotations

from collections.abc import Sequence

import anyio.lowlevel
import attrs
from lots import lot_of

from parking_lot_drivers.ports import Batch, Delivery, Mailbox
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.testing import AdoptionContract


class AdoptsNothing(MemoryQueue):
    def adopt(self, mailbox: Mailbox) -> bool:
        return False


class TestAdoptsNothing(AdoptionContract):
    lot_type = lot_of(AdoptsNothing)
    fails = ("test_a_queue_says_whether_it_adopts_the_mailbox",)


class AdoptsAnything(MemoryQueue):
    def adopt(self, mailbox: Mailbox) -> bool:
        super().adopt(mailbox)
        return True


class TestAdoptsAnything(AdoptionContract):
    lot_type = lot_of(AdoptsAnything)
    fails = ("test_a_queue_says_whether_it_adopts_the_mailbox",)


class LosesOutcomes(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(attrs.evolve(batch, delivered=()))


class TestLosesOutcomes(AdoptionContract):
    lot_type = lot_of(LosesOutcomes)
    fails = ("test_an_adopted_mailbox_gets_the_outcomes_of_saved_batches",)


class DeliversBeforeItFails(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        if self._mailbox is not None:
            self._mailbox.keep(batch.delivered)
        await super().save(batch)


class TestDeliversBeforeItFails(AdoptionContract):
    lot_type = lot_of(DeliversBeforeItFails)
    fails = ("test_a_failed_save_delivers_nothing",)


class LosesTheOutcomeForEver(MemoryQueue):
    """A failed batch leaves its outcome marked as delivered, so that the next one is taken for a repetition."""

    def __init__(self) -> None:
        super().__init__()
        self._delivered: set[str] = set()

    async def save(self, batch: Batch) -> None:
        new = [each for each in batch.delivered if each.task_id not in self._delivered]
        self._delivered.update(each.task_id for each in batch.delivered)
        await super().save(attrs.evolve(batch, delivered=new))


class TestLosesTheOutcomeForEver(AdoptionContract):
    lot_type = lot_of(LosesTheOutcomeForEver)
    fails = ("test_a_failed_save_delivers_nothing",)


THE_MAILBOX: list[MemoryMailbox] = []


class KnownMailbox(MemoryMailbox):
    def __init__(self) -> None:
        super().__init__()
        THE_MAILBOX[:] = [self]


class DeliversUnasked(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(batch)
        THE_MAILBOX[0].keep(batch.delivered)


class TestDeliversUnasked(AdoptionContract):
    lot_type = lot_of(DeliversUnasked, KnownMailbox)
    fails = ("test_what_is_not_adopted_gets_nothing",)


class CountsWhatWasPruned(MemoryMailbox):
    def __init__(self) -> None:
        super().__init__()
        self._ever = 0

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        before = len(self._by_task)
        super().keep(deliveries)
        self._ever += len(self._by_task) - before

    def __len__(self) -> int:
        return self._ever


class TestCountsWhatWasPruned(AdoptionContract):
    lot_type = lot_of(MemoryQueue, CountsWhatWasPruned)
    fails = ("test_pruning_is_not_seen_in_the_overview",)


class DeliversFirst(MemoryQueue):
    """In a transaction of its own."""

    async def save(self, batch: Batch) -> None:
        if self._mailbox is not None and batch.delivered:
            self._check(batch)
            self._mailbox.keep(batch.delivered)
            await anyio.lowlevel.checkpoint()
        await super().save(attrs.evolve(batch, delivered=()))


class TestDeliversFirst(AdoptionContract):
    lot_type = lot_of(DeliversFirst)
    fails = ("test_readers_never_see_a_task_beside_its_outcome",)
