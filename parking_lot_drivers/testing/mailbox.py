"""What a mailbox keeps, and in which order it gives it back."""

from __future__ import annotations

import time
from typing import Any

import pytest

from parking_lot_core import MailboxKey, OutcomeStatus
from parking_lot_drivers.ports import Delivery, Mailbox
from parking_lot_drivers.testing._fixtures import OnALot
from parking_lot_drivers.testing.lots import Lot
from parking_lot_drivers.testing.samples import BOX, delivery

DETAILED = Delivery(
    task_id="aufgabe ä-名前",
    epoch=2**40,
    mailbox=MailboxKey("té", "", "🚗"),
    status=OutcomeStatus.FAILED,
    error="ValueError: 'ß'\n  line two",
    result=None,
    submitted_at=1795447128.8274746,
    started_at=None,
    finished_at=1795447129.0000002,
)


async def deliveries_of(mailbox: Mailbox, key: MailboxKey = BOX) -> list[Delivery]:
    return [message.delivery for message in await mailbox.fetch(key)]


class MailboxContract(OnALot):
    """What a mailbox keeps, and in which order it gives it back."""

    async def test_an_outcome_comes_back_as_it_was_delivered(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([DETAILED, delivery("other", result=b"")])
            found = await mailbox.get(DETAILED.task_id)
            assert found is not None
            assert found.delivery == DETAILED
            assert await mailbox.fetch(DETAILED.mailbox) == [found]
            assert await deliveries_of(mailbox) == [delivery("other", result=b"")]

    @pytest.mark.parametrize("status", OutcomeStatus)
    async def test_every_status(self, lot: Lot, status: OutcomeStatus) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery("a", status=status, error="", started_at=None)])
            assert await deliveries_of(mailbox) == [delivery("a", status=status, error="", started_at=None)]

    async def test_an_unknown_task_has_no_outcome(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            assert await mailbox.get("never") is None
            assert await mailbox.fetch(BOX) == []

    async def test_the_first_outcome_of_a_task_stays(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery("a", result=b"1"), delivery("a", result=b"2", epoch=2), delivery("b")])
            first = await mailbox.fetch(BOX)
            elsewhere = MailboxKey("else")
            await mailbox.deliver([delivery("b", result=b"late", mailbox=elsewhere), delivery("c"), delivery("a")])
            assert [message.delivery for message in first] == [delivery("a", result=b"1"), delivery("b")]
            assert (await mailbox.fetch(BOX))[:2] == first
            assert await deliveries_of(mailbox) == [delivery("a", result=b"1"), delivery("b"), delivery("c")]
            assert await mailbox.fetch(elsewhere) == []

    async def test_which_tasks_have_ended(self, lot: Lot) -> None:
        names = [f"t{number}" for number in range(200)]
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery(name) for name in names[:150]])
            assert await mailbox.ended(names) == set(names[:150])
            assert await mailbox.ended(["t3", "t3", "t199"]) == {"t3"}
            assert await mailbox.ended([]) == set()

    async def test_delivering_nothing(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([])
            assert await mailbox.fetch(BOX) == []

    async def test_messages_come_in_the_order_of_delivery(self, lot: Lot) -> None:
        names = ["m", "a", "z", "b", "y"]
        async with lot.opened_mailbox() as mailbox:
            kinds: list[dict[str, Any]] = [{"error": None}, {"error": "e"}, {"result": None}, {"started_at": None}, {}]
            wanted = [delivery(name, **kind) for name, kind in zip(names, kinds, strict=True)]
            await mailbox.deliver(wanted[:2])
            await mailbox.deliver(wanted[2:])
            assert await deliveries_of(mailbox) == wanted
            cursors = [message.cursor for message in await mailbox.fetch(BOX)]
            assert cursors == sorted(set(cursors))
            assert cursors[0] >= 1

    async def test_a_reader_goes_on_after_its_cursor(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery(f"t{number}", mailbox=MailboxKey(str(number % 2))) for number in range(10)])
            read: list[str] = []
            after = 0
            for size in (2, 2, 1):
                some = await mailbox.fetch(MailboxKey("1"), after=after, limit=2)
                assert len(some) == size
                read += [message.delivery.task_id for message in some]
                after = some[-1].cursor
            assert await mailbox.fetch(MailboxKey("1"), after=after) == []
            assert read == ["t1", "t3", "t5", "t7", "t9"]
            await mailbox.deliver([delivery("t11", mailbox=MailboxKey("1"))])
            assert [m.delivery.task_id for m in await mailbox.fetch(MailboxKey("1"), after=after)] == ["t11"]

    async def test_cursors_grow_over_all_boxes_of_the_pool(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            for name in ("a", "b", "c"):
                await mailbox.deliver([delivery(name, mailbox=MailboxKey(name))])
            found = [(await mailbox.fetch(MailboxKey(name)))[0].cursor for name in ("a", "b", "c")]
            assert found == sorted(set(found))

    async def test_boxes_differ_in_each_part_of_their_key(self, lot: Lot) -> None:
        keys = [MailboxKey("a", "b", "c"), MailboxKey("a", "b"), MailboxKey("a", "", "b"), MailboxKey("ab", "", "c")]
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery(f"t{n}", mailbox=key) for n, key in enumerate(keys)])
            for n, key in enumerate(keys):
                assert [d.task_id for d in await deliveries_of(mailbox, key)] == [f"t{n}"]

    @pytest.mark.parametrize("limit", [0, -1])
    async def test_a_limit_must_be_positive(self, lot: Lot, limit: int) -> None:
        async with lot.opened_mailbox() as mailbox:
            with pytest.raises(ValueError, match="limit"):
                await mailbox.fetch(BOX, limit=limit)

    async def test_reading_destroys_nothing(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery("a")])
            assert await mailbox.fetch(BOX) == await mailbox.fetch(BOX)
            assert await mailbox.get("a") == await mailbox.get("a")

    async def test_a_result_of_several_mebibytes(self, lot: Lot) -> None:
        large = bytes(range(256)) * (4 * 4 * 1024)  # 4 MiB
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery("a", result=large)])
            found = await mailbox.get("a")
            assert found is not None
            assert found.delivery.result == large

    async def test_an_error_may_quote_what_is_not_text(self, lot: Lot) -> None:
        error = "no such file: caf\udce9\0.txt"
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery("a", error=error)])
            found = await mailbox.get("a")
            assert found is not None
            # As it was, or with backslash escapes for what the store cannot keep.
            assert found.delivery.error in (error, "no such file: caf\\udce9\\x00.txt")

    async def test_pruning_deletes_what_is_old_and_nothing_else(self, lot: Lot) -> None:
        now = time.time()
        ages = {"young": 50.0, "old": 200.0, "younger": 0.0, "oldest": 1e6}
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery(name, finished_at=now - age) for name, age in ages.items()])
            elsewhere = delivery("old too", finished_at=now - 300, mailbox=MailboxKey("else"))
            await mailbox.deliver([elsewhere])
            before = await mailbox.fetch(BOX)
            assert await mailbox.prune(older_than=100) == 3
            assert await mailbox.fetch(BOX) == [before[0], before[2]]
            assert await mailbox.fetch(MailboxKey("else")) == []
            assert await mailbox.get("old") is None
            assert await mailbox.ended([*ages, "old too"]) == {"young", "younger"}
            assert await mailbox.prune(older_than=100) == 0

    async def test_cursors_go_on_after_pruning(self, lot: Lot) -> None:
        given: list[int] = []
        async with lot.opened_mailbox() as mailbox:
            for turn in range(4):
                names = [f"t{turn}-{number}" for number in range(3)]
                await mailbox.deliver([delivery(name, finished_at=1.0) for name in names])
                found = await mailbox.fetch(BOX, after=given[-1] if given else 0)
                assert [message.delivery.task_id for message in found] == names
                given += [message.cursor for message in found]
                for _ in range(turn):
                    await mailbox.prune(older_than=0)
            assert given == sorted(set(given))
            assert await mailbox.fetch(BOX) == []
            assert await mailbox.get(names[0]) is None

    async def test_more_than_one_transaction_prunes(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery(f"t{number}", finished_at=1.0) for number in range(2500)])
            await mailbox.deliver([delivery("last", finished_at=time.time())])
            assert await mailbox.prune(older_than=1000) == 2500
            assert [d.task_id for d in await deliveries_of(mailbox)] == ["last"]

    async def test_a_pruned_task_may_come_again(self, lot: Lot) -> None:
        async with lot.opened_mailbox() as mailbox:
            await mailbox.deliver([delivery("a", result=b"1", finished_at=1.0)])
            assert await mailbox.prune(older_than=0) == 1
            await mailbox.deliver([delivery("a", result=b"2", epoch=2)])
            assert await deliveries_of(mailbox) == [delivery("a", result=b"2", epoch=2)]

    async def test_closing_a_mailbox_twice_and_without_opening(self, lot: Lot) -> None:
        await lot.mailbox().aclose()
        mailbox = lot.mailbox()
        await mailbox.open()
        await mailbox.aclose()
        await mailbox.aclose()

    async def test_outcomes_outlive_the_object(self, shared_lot: Lot) -> None:
        if shared_lot.mailbox() is shared_lot.mailbox():
            pytest.skip(f"not tried: {type(shared_lot).__name__}.mailbox returns the same object each time")
        async with shared_lot.opened_mailbox() as mailbox:
            await mailbox.deliver([DETAILED, delivery("a")])
            before = await mailbox.fetch(BOX)
        async with shared_lot.opened_mailbox() as mailbox:
            assert await mailbox.fetch(BOX) == before
            await mailbox.deliver([delivery("a", result=b"again"), delivery("b")])
            after = await mailbox.fetch(BOX)
            assert after[:1] == before
            assert [message.delivery.task_id for message in after] == ["a", "b"]
