"""Tasks that somebody here waits for, and that other hosts have: their outcomes are looked for in the mailbox."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from weakref import WeakValueDictionary

from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.errors import UnknownTask
from parking_lot_drivers.ports import Mailbox, TaskQueue

# How many tasks are looked for in the queue at a time.
_DOUBTS = 50


class Elsewhere:
    """Tickets by task id, for as long as anybody holds them."""

    def __init__(self, queue: TaskQueue, mailbox: Mailbox) -> None:
        self._queue = queue
        self._mailbox = mailbox
        self._tickets: WeakValueDictionary[str, Ticket] = WeakValueDictionary()
        # Those of which nobody has seen yet that the queue has them.
        self._doubtful: set[str] = set()

    def __len__(self) -> int:
        return len(self._tickets)

    def follow(self, ticket: Ticket, *, doubtful: bool = False) -> Ticket:
        """Look for the outcome of a task from now on. Returns the ticket to wait on. ``doubtful``: it may not exist."""
        if ticket.ended:
            return ticket
        known = self._tickets.setdefault(ticket.task_id, ticket)
        if doubtful and known is ticket:
            self._doubtful.add(ticket.task_id)
        return known

    def get(self, task_id: str) -> Ticket | None:
        """The ticket of a task that is followed."""
        return self._tickets.get(task_id)

    def take(self, task_id: str) -> Ticket:
        """The ticket of a task that this host has now; it is no longer followed."""
        ticket = self._tickets.pop(task_id, None)
        if ticket is None:
            ticket = Ticket(task_id)
            ticket.acknowledge()
        return ticket

    def take_all(self, task_ids: Iterable[str]) -> dict[str, Ticket]:
        """As ``take``, of those that are followed."""
        return {task_id: self.take(task_id) for task_id in task_ids if task_id in self._tickets}

    def tickets(self) -> list[Ticket]:
        """All of them."""
        return list(self._tickets.values())

    async def look(self, *, all_there: bool = True) -> None:
        """Deliver the outcomes that there are. Raises ``StoreError``.

        Unless they are ``all_there``, it is also looked whether the queue still has the tasks, some at a time: another
        client of the queue may have removed one.
        """
        waiting = list(self._tickets)
        if not waiting:
            return
        ended = await self._mailbox.ended(waiting)
        for task_id in filter(ended.__contains__, waiting):  # not in the order of a hash
            message = await self._mailbox.get(task_id)
            if message is not None:
                self._doubtful.discard(task_id)
                ticket = self._tickets.pop(task_id, None)
                if ticket is not None:
                    ticket.deliver(message.delivery)
        if not all_there:
            self._doubtful.update(islice((task_id for task_id in waiting if task_id in self._tickets), _DOUBTS))
        await self._doubt()

    async def _doubt(self) -> None:
        doubtful, self._doubtful = self._doubtful, set()
        for task_id in filter(doubtful.__contains__, list(self._tickets)):
            if await self._queue.get(task_id) is not None or await self._mailbox.get(task_id) is not None:
                ticket = self._tickets.pop(task_id, None)
                if ticket is not None:
                    self._tickets[task_id] = ticket  # at the end of the line of those that are looked for
                continue
            ticket = self._tickets.pop(task_id, None)
            if ticket is not None:
                ticket.refuse(UnknownTask(f"neither queue nor mailbox knows task {task_id!r}"))
