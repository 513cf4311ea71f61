"""How the callers of a pool hand their submissions to its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

import anyio

from parking_lot_core import PoolConfig
from parking_lot_drivers._loop import Loop, duplicate
from parking_lot_drivers._submission import Prepared
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask
from parking_lot_drivers.errors import DuplicateTask, QueueFull
from parking_lot_drivers.ports import Message


class Asking:
    """Submits to one pool. ``check_open`` raises ``PoolClosed`` once it is not running."""

    def __init__(self, loop: Loop, policy: PoolConfig, check_open: Callable[[], None]) -> None:
        self._loop = loop
        self._limit = policy.max_queue_depth
        self._check_open = check_open
        self._being_submitted: dict[str, anyio.Event] = {}

    async def submit(self, tasks: Sequence[Prepared], *, wait: bool) -> list[Ticket | None]:
        """Submit all, in one turn of the loop; their tickets, in order, when all are durable.

        A task whose id is known gives the ticket of the one that is there, or none if that has ended. If one is
        refused, the error is raised when the others have been answered.
        """
        if len(tasks) == 1 and not tasks[0].named:
            return [await self._send(tasks, wait=wait)]
        async with self._alone({task.metadata.id for task in tasks if task.named}):
            found = await self._known(tasks)
            self._check_open()
            new: dict[str, Prepared] = {}
            for task in tasks:
                if task.metadata.id not in found:
                    new.setdefault(task.metadata.id, task)  # of those with one key, the first counts
            if len(tasks) > 1 and not wait and self._loop.room < len(new):
                raise QueueFull(self._limit - self._loop.room, self._limit)
            found |= await self._send_all(list(new.values()), wait=wait)
        return [found[task.metadata.id] for task in tasks]

    @asynccontextmanager
    async def _alone(self, ids: Collection[str]) -> AsyncIterator[None]:
        """Two callers with one id take turns, so that the second finds the first."""
        while busy := [self._being_submitted[task_id] for task_id in ids if task_id in self._being_submitted]:
            await busy[0].wait()
        self._being_submitted.update((task_id, anyio.Event()) for task_id in ids)
        try:
            yield
        finally:
            for task_id in ids:
                self._being_submitted.pop(task_id).set()

    async def _known(self, tasks: Sequence[Prepared]) -> dict[str, Ticket | None]:
        known: dict[str, Ticket | None] = {}
        for task in tasks:
            if task.named and (found := await self._loop.find(task.metadata.id)) is not None:
                known[task.metadata.id] = await _acknowledged(task, found)
        return known

    async def _send(self, tasks: Sequence[Prepared], *, wait: bool) -> Ticket | None:
        (ticket,) = (await self._send_all(tasks, wait=wait)).values()
        return ticket

    async def _send_all(self, tasks: Sequence[Prepared], *, wait: bool) -> dict[str, Ticket | None]:
        asks = [
            Ask(task.metadata, task.payload, task.mailbox, Ticket(task.metadata.id), waits_for_room=wait)
            for task in tasks
        ]
        for ask in asks:
            self._loop.put(ask)
        tickets: dict[str, Ticket | None] = {}
        error: Exception | None = None
        try:
            for task, ask in zip(tasks, asks, strict=True):
                try:
                    tickets[task.metadata.id] = await self._answer(task, ask)
                except Exception as refusal:
                    error = error or refusal
        except anyio.get_cancelled_exc_class():
            for ask in asks:
                self._loop.forget(ask)
            raise
        if error is not None:
            raise error
        return tickets

    async def _answer(self, task: Prepared, ask: Ask) -> Ticket | None:
        try:
            await ask.ticket.answered()
        except DuplicateTask:  # another process was faster
            if not task.again_is_fine:
                raise
            # Until its next turn, the loop still has this very submission under that id.
            await self._loop.until(lambda: self._loop.admission.find(task.metadata.id) is not ask.ticket)
            found = await self._loop.find(task.metadata.id)
            if found is None:
                raise
            return await _acknowledged(task, found)
        return ask.ticket


async def _acknowledged(task: Prepared, found: Ticket | Message) -> Ticket | None:
    """The ticket of a task that was there already, once it is durable. Raises ``DuplicateTask`` if it must be new."""
    ticket = found if isinstance(found, Ticket) else None
    if ticket is not None:
        await ticket.answered()  # raises if the task that was found could not be saved
    if not task.again_is_fine:
        raise duplicate(task.metadata.id)
    return ticket
