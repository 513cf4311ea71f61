"""Where one pool's tasks and outcomes are kept, as the tests of a store need it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from parking_lot_core import MailboxKey
from parking_lot_drivers.ports import Delivery, Mailbox, Message, TaskQueue
from parking_lot_drivers.stores.memory import MemoryMailbox


class Lot:
    """One lot: what the author of a store writes so that the contract can be tried on it.

    Every test gets a lot of its own, in an empty ``folder``. ``queue`` and ``mailbox`` make objects that are not opened
    yet; several of them look at the same tasks and outcomes, wherever the store keeps those. Of a store that is only a
    queue, or only a mailbox, only that one need be written.
    """

    #: Whether several objects, in several processes, may look at the lot. If not, ``queue`` and ``mailbox`` return the
    #: same object each time, and what only a second object can see is not tried.
    shared = True
    #: Whether only one object at a time may be open to schedule the lot.
    exclusive = True
    #: Whether the queue adopts the mailbox: one transaction keeps what a batch says of both.
    together = True

    def __init__(self, folder: Path) -> None:
        """``folder``: an empty directory for this lot alone."""
        self.folder = folder

    def drop(self) -> None:
        """After the test: leave nothing behind outside of ``folder``."""

    def queue(self) -> TaskQueue:
        """The queue."""
        raise NotImplementedError(
            f"{type(self).__qualname__}.queue: write it, to return a queue of this lot, not open; of a store that is "
            "a mailbox only, subclass MailboxContract"
        )

    def mailbox(self) -> Mailbox:
        """The mailbox; with ``together``, the one that the queue adopts."""
        raise NotImplementedError(
            f"{type(self).__qualname__}.mailbox: write it, to return a mailbox of this lot, not open; of a store that "
            "is a queue only, subclass QueueContract"
        )

    def stranger(self) -> Mailbox:
        """A mailbox that the queue cannot adopt. Better than this one: one of the store's own kind in another place."""
        return _Stranger()

    @asynccontextmanager
    async def opened(self, *, schedule: bool = True) -> AsyncIterator[TaskQueue]:
        """A queue, opened."""
        queue = self.queue()
        await queue.open(schedule=schedule)
        try:
            yield queue
        finally:
            await queue.aclose()

    @asynccontextmanager
    async def opened_mailbox(self) -> AsyncIterator[Mailbox]:
        """A mailbox, opened."""
        mailbox = self.mailbox()
        await mailbox.open()
        try:
            yield mailbox
        finally:
            await mailbox.aclose()


class _Stranger(Mailbox):
    """A mailbox of a kind that no queue knows."""

    def __init__(self) -> None:
        self._inner = MemoryMailbox()

    async def open(self) -> None:
        await self._inner.open()

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        await self._inner.deliver(deliveries)

    async def get(self, task_id: str) -> Message | None:
        return await self._inner.get(task_id)

    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        return await self._inner.ended(task_ids)

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        return await self._inner.fetch(key, after=after, limit=limit)

    async def prune(self, *, older_than: float) -> int:
        return await self._inner.prune(older_than=older_than)

    async def aclose(self) -> None:
        await self._inner.aclose()
