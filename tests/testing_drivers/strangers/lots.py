"""Lots of the broken stores: in memory, and wrong in one respect each."""

from __future__ import annotations

from pathlib import Path

from parking_lot_drivers.ports import Mailbox, TaskQueue
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.testing import Lot


def lot_of(queue_type: type[MemoryQueue] = MemoryQueue, mailbox_type: type[MemoryMailbox] = MemoryMailbox) -> type[Lot]:
    """Lots with one queue and one mailbox of these kinds."""

    class BrokenLot(Lot):
        shared = False

        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            self._mailbox = mailbox_type()
            self._queue = queue_type()

        def queue(self) -> TaskQueue:
            return self._queue

        def mailbox(self) -> Mailbox:
            return self._mailbox

    return BrokenLot


class ForgetfulLot(Lot):
    """Every object has tasks and outcomes of its own."""

    def queue(self) -> TaskQueue:
        return MemoryQueue()

    def mailbox(self) -> Mailbox:
        return MemoryMailbox()
