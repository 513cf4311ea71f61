"""Requests of other processes on the same lot: from the queue's inbox into the loop."""

from __future__ import annotations

import logging

import anyio

from parking_lot_core import Cancelled, Tick
from parking_lot_drivers._admission import Ask, Word
from parking_lot_drivers._loop import Loop
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.clock import Clock
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Mailbox, Request, TaskQueue

_log = logging.getLogger("parking_lot")
_PAUSE_S = 0.5


class Requests:
    """Hands requests to the loop. A request leaves the inbox in the batch that answers it, and not before."""

    def __init__(self, loop: Loop, queue: TaskQueue, mailbox: Mailbox, clock: Clock) -> None:
        self._loop = loop
        self._queue = queue
        self._mailbox = mailbox
        self._clock = clock
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    def stop(self) -> None:
        """End ``watch``."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def watch(self) -> None:
        """Run until ``stop``."""
        with anyio.CancelScope() as self._scope:
            while not self._stopped:
                try:
                    await self._collect()
                    await self._queue.wait_for_requests()
                except StoreUnavailable as error:
                    _log.warning("requests of other processes cannot be read now: %s", error)
                    await anyio.sleep(_PAUSE_S)

    async def _collect(self) -> None:
        for request in await self._queue.requests():
            if request.number not in self._loop.requests:
                await self._hand_over(request)

    async def _hand_over(self, request: Request) -> None:
        now = self._clock.now()
        if request.task is None:
            self._cancel(request, now)
        elif request.task_id in self._loop.admission.live or await self._mailbox.get(request.task_id) is not None:
            self._loop.put(Word(Tick(now), request.number))  # the same key was submitted before: same task, same answer
        else:
            ticket = Ticket(request.task_id)
            self._loop.put(Ask(request.task, request.payload, request.mailbox, ticket, request.number))

    def _cancel(self, request: Request, now: float) -> None:
        for ask in self._loop.lobby:
            if ask.metadata.id == request.task_id and ask.request is not None:
                self._loop.lobby.remove(ask)
                ask.cancelled = True
                self._loop.put(ask)
                break
        self._loop.put(Word(Cancelled(request.task_id, now), request.number))
