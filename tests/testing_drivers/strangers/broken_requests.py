"""Queues that lose requests, or wake nobody. ``fails``: tests that must notice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
from lots import ForgetfulLot, lot_of

from parking_lot_drivers.ports import Batch, Host, Loaded, Overview, Request, TaskQueue
from parking_lot_drivers.stores.memory import MemoryQueue
from parking_lot_drivers.testing import Lot
from parking_lot_drivers.testing.requests import RequestsContract


class TurnsRequestsRound(MemoryQueue):
    async def requests(self, *, after: int = 0, limit: int = 1000) -> list[Request]:
        return (await super().requests(after=after, limit=limit))[::-1]


class TestTurnsRequestsRound(RequestsContract):
    lot_type = lot_of(TurnsRequestsRound)
    fails = ("test_requests_come_back_in_order_with_their_numbers", "test_several_requests_are_posted_in_order")


class PostsTheFirstOfSeveral(MemoryQueue):
    async def post_all(self, requests: Sequence[Request]) -> None:
        await super().post_all(requests[:1])


class TestPostsTheFirstOfSeveral(RequestsContract):
    lot_type = lot_of(PostsTheFirstOfSeveral)
    fails = ("test_several_requests_are_posted_in_order",)


class KeepsAnsweredRequests(MemoryQueue):
    async def save(self, batch: Batch) -> None:
        await super().save(attrs.evolve(batch, answered=()))


class TestKeepsAnsweredRequests(RequestsContract):
    lot_type = lot_of(KeepsAnsweredRequests)
    fails = ("test_an_answered_request_is_gone",)


class UsesNumbersAgain(MemoryQueue):
    async def post(self, request: Request) -> int:
        self._last_number = max(self._requests, default=0)
        return await super().post(request)


class TestUsesNumbersAgain(RequestsContract):
    lot_type = lot_of(UsesNumbersAgain)
    fails = ("test_numbers_are_never_used_again",)


class WakesNobody(MemoryQueue):
    async def wait_for_requests(self) -> None:
        await anyio.sleep_forever()


class TestWakesNobody(RequestsContract):
    lot_type = lot_of(WakesNobody)
    notice_within = 0.5
    fails = ("test_waiting_ends_with_a_request", "test_after_loading_every_request_is_new")


class NeverWaits(MemoryQueue):
    async def wait_for_requests(self) -> None:
        await anyio.lowlevel.checkpoint()


class TestNeverWaits(RequestsContract):
    lot_type = lot_of(NeverWaits)
    fails = ("test_waiting_goes_on_while_there_is_nothing_new",)


class RemembersWhatWasSeenBeforeLoading(MemoryQueue):
    async def load(self) -> Loaded:
        seen = self._last_seen
        loaded = await super().load()
        self._last_seen = seen
        return loaded


class TestRemembersWhatWasSeenBeforeLoading(RequestsContract):
    lot_type = lot_of(RemembersWhatWasSeenBeforeLoading)
    notice_within = 0.5
    fails = ("test_after_loading_every_request_is_new", "test_loading_wakes_whoever_waits")


class ShowsTasksByTheirSequence(MemoryQueue):
    async def overview(self, *, limit: int = 20) -> Overview:
        seen = await super().overview(limit=1000)
        return attrs.evolve(seen, waiting=sorted(seen.waiting, key=lambda task: task.sequence)[:limit])


class TestShowsTasksByTheirSequence(RequestsContract):
    lot_type = lot_of(ShowsTasksByTheirSequence)
    fails = ("test_overview",)


class HasAHostAlways(MemoryQueue):
    async def overview(self, *, limit: int = 20) -> Overview:
        return attrs.evolve(await super().overview(limit=limit), host=Host(pid=1, hostname="here", renewed_at=0.0))


class TestHasAHostAlways(RequestsContract):
    lot_type = lot_of(HasAHostAlways)
    fails = ("test_overview_of_an_empty_lot",)


class TakesTwoSchedulers(MemoryQueue):
    async def open(self, *, schedule: bool = True) -> None:
        self._host = None
        await super().open(schedule=schedule)


class TestTakesTwoSchedulers(RequestsContract):
    lot_type = lot_of(TakesTwoSchedulers)
    fails = ("test_a_second_scheduler_is_refused_unless_hosts_share_the_queue",)


class LetsAnybodySave(MemoryQueue):
    def _check(self, batch: Batch) -> None:
        """Anything goes."""


class LetsAnybodySaveLot(Lot):
    """Objects that share all that they have."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._common: dict[str, Any] = MemoryQueue().__dict__

    def queue(self) -> TaskQueue:
        queue = LetsAnybodySave()
        queue.__dict__ = self._common
        return queue


class TestLetsAnybodySave(RequestsContract):
    lot_type = LetsAnybodySaveLot
    fails = ("test_an_object_that_does_not_schedule_saves_nothing",)


class TestEveryObjectForItself(RequestsContract):
    lot_type = ForgetfulLot
    notice_within = 0.5
    fails = ("test_another_object_posts_and_looks_while_one_schedules", "test_requests_wait_for_a_scheduler")
