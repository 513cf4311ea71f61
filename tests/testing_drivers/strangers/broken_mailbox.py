"""Mailboxes that lose outcomes, or deliver them twice. ``fails``: tests that must notice."""

from __future__ import annotations

import time
from collections.abc import Sequence

import attrs
from lots import ForgetfulLot, lot_of

from parking_lot_core import MailboxKey
from parking_lot_drivers.ports import Delivery, Message
from parking_lot_drivers.stores.memory import MemoryMailbox
from parking_lot_drivers.testing import MailboxContract


def having(mailbox_type: type[MemoryMailbox]) -> type:
    """A lot with such a mailbox."""
    return lot_of(mailbox_type=mailbox_type)


class TheLastOutcomeStays(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            old = self._by_task.pop(delivery.task_id, None)
            if old is not None:
                self._by_box[old.delivery.mailbox].remove(old)
        super().keep(deliveries)


class TestTheLastOutcomeStays(MailboxContract):
    lot_type = having(TheLastOutcomeStays)
    fails = ("test_the_first_outcome_of_a_task_stays",)


class DeliversTwice(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._by_task.pop(delivery.task_id, None)
            super().keep([delivery])


class TestDeliversTwice(MailboxContract):
    lot_type = having(DeliversTwice)
    fails = ("test_the_first_outcome_of_a_task_stays",)


class ReadsOnce(MemoryMailbox):
    """As a plain queue does."""

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        found = await super().fetch(key, after=after, limit=limit)
        self._by_box[key] = [message for message in self._by_box.get(key, []) if message not in found]
        return found


class TestReadsOnce(MailboxContract):
    lot_type = having(ReadsOnce)
    fails = ("test_reading_destroys_nothing",)


class SortsByTask(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        super().keep(sorted(deliveries, key=lambda delivery: delivery.task_id))


class TestSortsByTask(MailboxContract):
    lot_type = having(SortsByTask)
    fails = ("test_messages_come_in_the_order_of_delivery",)


class CountsFromTheStartAfterPruning(MemoryMailbox):
    async def prune(self, *, older_than: float) -> int:
        count = await super().prune(older_than=older_than)
        self._last_cursor = max((message.cursor for message in self._by_task.values()), default=0)
        return count


class TestCountsFromTheStartAfterPruning(MailboxContract):
    lot_type = having(CountsFromTheStartAfterPruning)
    fails = ("test_cursors_go_on_after_pruning",)


class CountsForEveryBox(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._last_cursor = len(self._by_box.get(delivery.mailbox, []))
            super().keep([delivery])


class TestCountsForEveryBox(MailboxContract):
    lot_type = having(CountsForEveryBox)
    fails = ("test_cursors_grow_over_all_boxes_of_the_pool",)


class AlwaysReadsFromTheStart(MemoryMailbox):
    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        return await super().fetch(key, limit=limit)


class TestAlwaysReadsFromTheStart(MailboxContract):
    lot_type = having(AlwaysReadsFromTheStart)
    fails = ("test_a_reader_goes_on_after_its_cursor",)


class TakesAnyLimit(MemoryMailbox):
    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        return await super().fetch(key, after=after, limit=max(limit, 1))


class TestTakesAnyLimit(MailboxContract):
    lot_type = having(TakesAnyLimit)
    fails = ("test_a_limit_must_be_positive",)


class JoinsTheParts(MemoryMailbox):
    """Of a key, into one text."""

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        found = [
            message for box in self._by_box.values() for message in box if text(message.delivery.mailbox) == text(key)
        ]
        wanted = sorted((message for message in found if message.cursor > after), key=lambda message: message.cursor)
        return wanted[:limit]


def text(key: MailboxKey) -> str:
    return f"{key.tenant}{key.user}{key.session}"


class TestJoinsTheParts(MailboxContract):
    lot_type = having(JoinsTheParts)
    fails = ("test_boxes_differ_in_each_part_of_their_key",)


class PrunesEverything(MemoryMailbox):
    async def prune(self, *, older_than: float) -> int:
        return await super().prune(older_than=-1e9)


class TestPrunesEverything(MailboxContract):
    lot_type = having(PrunesEverything)
    fails = ("test_pruning_deletes_what_is_old_and_nothing_else",)


class NeverForgetsAnId(MemoryMailbox):
    def __init__(self) -> None:
        super().__init__()
        self._ever: set[str] = set()

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        new = [delivery for delivery in deliveries if delivery.task_id not in self._ever]
        super().keep(new)
        self._ever.update(delivery.task_id for delivery in new)


class TestNeverForgetsAnId(MailboxContract):
    lot_type = having(NeverForgetsAnId)
    fails = ("test_a_pruned_task_may_come_again",)


class PrunesAThousandAtMost(MemoryMailbox):
    async def prune(self, *, older_than: float) -> int:
        before = time.time() - older_than
        old = [message for message in self._by_task.values() if message.delivery.finished_at < before]
        for message in old[:1000]:
            del self._by_task[message.delivery.task_id]
            self._by_box[message.delivery.mailbox].remove(message)
        return len(old[:1000])


class TestPrunesAThousandAtMost(MailboxContract):
    lot_type = having(PrunesAThousandAtMost)
    fails = ("test_more_than_one_transaction_prunes",)


class WritesQuestionMarks(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        super().keep([attrs.evolve(each, error=asked(each.error)) for each in deliveries])


def asked(error: str | None) -> str | None:
    return None if error is None else error.encode("utf-8", "replace").decode()


class TestWritesQuestionMarks(MailboxContract):
    lot_type = having(WritesQuestionMarks)
    fails = ("test_an_error_may_quote_what_is_not_text",)


class TakesEmptyForNothing(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        super().keep([attrs.evolve(each, error=each.error or None, result=each.result or None) for each in deliveries])


class TestTakesEmptyForNothing(MailboxContract):
    lot_type = having(TakesEmptyForNothing)
    fails = ("test_every_status", "test_an_outcome_comes_back_as_it_was_delivered")


class CutsResults(MemoryMailbox):
    def keep(self, deliveries: Sequence[Delivery]) -> None:
        super().keep([attrs.evolve(each, result=each.result and each.result[:65536]) for each in deliveries])


class TestCutsResults(MailboxContract):
    lot_type = having(CutsResults)
    fails = ("test_a_result_of_several_mebibytes",)


class HasEndedAll(MemoryMailbox):
    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        return set(task_ids)


class TestHasEndedAll(MailboxContract):
    lot_type = having(HasEndedAll)
    fails = ("test_which_tasks_have_ended",)


class RaisesForTheUnknown(MemoryMailbox):
    async def get(self, task_id: str) -> Message | None:
        return self._by_task[task_id]


class TestRaisesForTheUnknown(MailboxContract):
    lot_type = having(RaisesForTheUnknown)
    fails = ("test_an_unknown_task_has_no_outcome",)


class WantsSomethingToDeliver(MemoryMailbox):
    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        assert deliveries[0].task_id
        await super().deliver(deliveries)


class TestWantsSomethingToDeliver(MailboxContract):
    lot_type = having(WantsSomethingToDeliver)
    fails = ("test_delivering_nothing",)


class ClosesOnlyOnce(MemoryMailbox):
    is_open = False

    async def open(self) -> None:
        self.is_open = True

    async def aclose(self) -> None:
        if not self.is_open:
            raise RuntimeError("not open")
        self.is_open = False


class TestClosesOnlyOnce(MailboxContract):
    lot_type = having(ClosesOnlyOnce)
    fails = ("test_closing_a_mailbox_twice_and_without_opening",)


class TestEveryObjectForItself(MailboxContract):
    lot_type = ForgetfulLot
    fails = ("test_outcomes_outlive_the_object",)
