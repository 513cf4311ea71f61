"""Waiting for outcomes: all who wait in one client share one watcher, which is one of them."""

from __future__ import annotations

import anyio

from parking_lot_drivers.ports import Mailbox
from parking_lot_drivers.shared_ports import News, SharedQueue


class _Waiter:
    """Waits for the outcome of ``task_id``; ``None``: for any."""

    def __init__(self, task_id: str | None) -> None:
        self.task_id = task_id
        self.arrived = False
        self.event = anyio.Event()


class Arrivals:
    """Tells those who wait that there are outcomes: when hosts say so, and from time to time anyway."""

    def __init__(self, queue: SharedQueue, mailbox: Mailbox) -> None:
        self._queue = queue
        self._mailbox = mailbox
        self._waiters: set[_Waiter] = set()
        self._watching = False

    def expect(self, task_id: str | None) -> _Waiter:
        """Note what happens from now on. In the end, ``leave``."""
        waiter = _Waiter(task_id)
        self._waiters.add(waiter)
        return waiter

    def leave(self, waiter: _Waiter) -> None:
        """Wait no longer."""
        self._waiters.discard(waiter)
        if not self._watching:
            self._call_another()

    async def wait(self, waiter: _Waiter) -> None:
        """Return when its outcome is there; for any outcome: when there may be one. Raises ``StoreError``."""
        while not waiter.arrived:
            if self._watching:
                await waiter.event.wait()
                waiter.event = anyio.Event()
                continue
            self._watching = True
            try:
                while not waiter.arrived:
                    await self._watch()
            finally:
                self._watching = False

    async def _watch(self) -> None:
        news = await self._queue.wait_for_news()
        if News.OUTCOMES not in news:
            return
        wanted = {waiter.task_id for waiter in self._waiters if waiter.task_id is not None}
        ended = await self._mailbox.ended(list(wanted)) if wanted else set()
        for waiter in self._waiters:
            if waiter.task_id is None or waiter.task_id in ended:
                waiter.arrived = True
                waiter.event.set()

    def _call_another(self) -> None:
        """Somebody else must watch now."""
        other = next((each for each in self._waiters if not each.arrived), None)
        if other is not None:
            other.event.set()
