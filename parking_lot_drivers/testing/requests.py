"""Requests of processes that do not schedule, and what those processes see."""

from __future__ import annotations

import anyio
import attrs
import pytest

from parking_lot_core import Priority, ResourceCost, TaskMetadata
from parking_lot_drivers.errors import StoreInUse, StoreUnavailable
from parking_lot_drivers.testing._fixtures import OnALot
from parking_lot_drivers.testing.lots import Lot
from parking_lot_drivers.testing.samples import (
    DETAILED,
    batch,
    cancellation,
    checkpoint,
    parked,
    running,
    stopping,
    submission,
)


class RequestsContract(OnALot):
    """Requests of processes that do not schedule, and what those processes see."""

    async def test_requests_come_back_in_order_with_their_numbers(self, lot: Lot) -> None:
        posted = [
            submission("a"),
            cancellation("b"),
            submission(DETAILED.id, task=DETAILED.metadata, payload=b""),
            submission("plain", task=TaskMetadata("plain", ResourceCost(1), Priority.LOW)),
        ]
        async with lot.opened() as queue:
            numbers = [await queue.post(request) for request in posted]
            assert numbers == sorted(set(numbers))
            wanted = [attrs.evolve(request, number=number) for request, number in zip(posted, numbers, strict=True)]
            assert await queue.requests() == wanted
            assert await queue.requests(limit=2) == wanted[:2]
            assert await queue.requests(after=numbers[0], limit=2) == wanted[1:3]
            assert await queue.requests(after=numbers[-1]) == []

    async def test_several_requests_are_posted_in_order(self, lot: Lot) -> None:
        posted = [submission("a"), cancellation("b"), submission("c", payload=b"")]
        async with lot.opened() as queue:
            first = await queue.post(cancellation("earlier"))
            await queue.post_all(posted)
            await queue.post_all([])
            found = await queue.requests(after=first)
            assert [attrs.evolve(request, number=0) for request in found] == posted
            assert [request.number for request in found] == sorted({request.number for request in found})

    async def test_an_answered_request_is_gone(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            first, second = await queue.post(submission("a")), await queue.post(cancellation("a"))
            await queue.save(batch(added=[parked("a")], answered=[first]))
            assert [request.number for request in await queue.requests()] == [second]
            await queue.save(batch(answered=[second, 4711]))
            assert await queue.requests() == []

    async def test_numbers_are_never_used_again(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            first = await queue.post(submission("a"))
            await queue.save(batch(answered=[first]))
            assert await queue.post(submission("b")) > first

    async def test_waiting_ends_with_a_request(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            assert await queue.requests() == []
            with anyio.fail_after(self.notice_within):
                async with anyio.create_task_group() as group:
                    group.start_soon(queue.wait_for_requests)
                    await anyio.sleep(0.2)  # It has looked, and found nothing.
                    await queue.post(cancellation("a"))

    async def test_waiting_goes_on_while_there_is_nothing_new(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.post(cancellation("a"))
            with anyio.fail_after(self.notice_within):
                await queue.wait_for_requests()
            assert len(await queue.requests()) == 1
            with anyio.move_on_after(0.3) as scope:
                await queue.save(batch(added=[parked("b")]))
                await queue.wait_for_requests()
            assert scope.cancelled_caught

    async def test_after_loading_every_request_is_new(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.post(cancellation("a"))
            await queue.requests()
            await queue.load()
            with anyio.fail_after(self.notice_within):
                await queue.wait_for_requests()

    async def test_loading_wakes_whoever_waits(self, lot: Lot) -> None:
        async with lot.opened() as queue:
            await queue.post(cancellation("a"))
            await queue.requests()
            with anyio.fail_after(self.notice_within):
                async with anyio.create_task_group() as group:
                    group.start_soon(queue.wait_for_requests)
                    await anyio.sleep(0.01)
                    await queue.load()

    async def test_overview(self, lot: Lot) -> None:
        tasks = [
            parked("low", 1, priority=Priority.LOW),
            parked("second", 2, tag=2**70),
            parked("first", 3, tag=7),
            parked("third", 4, tag=2**70 + 1),
            parked("urgent", 5, priority=Priority.CRITICAL),
            parked("fourth", 8, tag=2**96 - 1),
        ]
        begun, ending = running(parked("begun", 6)), stopping(running(parked("ending", 7)))
        async with lot.opened() as queue:
            await queue.save(batch(added=[*tasks, ending, begun], next_sequence=9))
            await queue.post(cancellation("low"))
            seen = await queue.overview(limit=5)
            assert [task.id for task in seen.waiting] == ["urgent", "first", "second", "third", "fourth"]
            assert list(seen.running) == [begun, ending]
            assert (seen.parked, seen.requests, seen.set_aside) == (6, 1, 0)
            assert seen.checkpoint == checkpoint(9)
            assert seen.host is not None
            assert seen.host.pid > 0
            assert (await queue.overview(limit=0)).waiting == []

    async def test_overview_of_an_empty_lot(self, lot: Lot) -> None:
        async with lot.opened(schedule=False) as queue:
            seen = await queue.overview()
            assert (seen.parked, list(seen.running), list(seen.waiting), seen.requests) == (0, [], [], 0)
            assert seen.checkpoint is None
            assert seen.host is None

    async def test_a_second_scheduler_is_refused_unless_hosts_share_the_queue(self, lot: Lot) -> None:
        async with lot.opened() as first:
            if not lot.exclusive:
                with pytest.raises(StoreInUse):
                    await first.open()
                async with lot.opened() as other:
                    await other.save(batch(added=[parked("b")]))
                return
            second = lot.queue()
            with pytest.raises(StoreInUse):
                await second.open()
        async with lot.opened() as third:
            await third.save(batch(added=[parked("a")]))

    async def test_another_object_posts_and_looks_while_one_schedules(self, shared_lot: Lot) -> None:
        async with shared_lot.opened() as scheduling, shared_lot.opened(schedule=False) as looking:
            await scheduling.save(batch(added=[parked("a", 1), running(parked("b", 2))]))
            seen = await looking.overview()
            assert (seen.parked, len(seen.running)) == (1, 1)
            assert seen.host == (await scheduling.overview()).host
            assert await looking.get("a") == parked("a", 1)

            assert await scheduling.requests() == []
            with anyio.fail_after(self.notice_within):
                async with anyio.create_task_group() as group:
                    group.start_soon(scheduling.wait_for_requests)
                    await anyio.sleep(0.2)
                    number = await looking.post(submission("c"))
            assert [request.number for request in await scheduling.requests()] == [number]
            await scheduling.save(batch(answered=[number]))
            assert (await looking.overview()).requests == 0

    async def test_an_object_that_does_not_schedule_saves_nothing(self, shared_lot: Lot) -> None:
        async with shared_lot.opened(schedule=False) as looking:
            with pytest.raises(StoreUnavailable):
                await looking.save(batch(added=[parked("a")]))
            assert (await looking.overview()).parked == 0

    async def test_requests_wait_for_a_scheduler(self, shared_lot: Lot) -> None:
        async with shared_lot.opened(schedule=False) as looking:
            number = await looking.post(submission("a"))
            assert (await looking.overview()).host is None
        async with shared_lot.opened() as queue:
            assert [request.number for request in await queue.requests()] == [number]
