"""Requests of other processes on the same lot: from the queue's inbox into the loop."""

from __future__ import annotations

import logging

import anyio

from parking_lot_core import Cancelled, Tick
from parking_lot_drivers._loop import Loop
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask, Word
from parking_lot_drivers.clock import Clock
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Request, TaskQueue

_log = logging.getLogger("parking_lot")
_PAUSE_S = 0.5
_NOTHING_PAUSE_S = 0.05

#: How many requests are read at a time.
PAGE = 1000


class Requests:
    """Hands requests to the loop. A request leaves the inbox in the batch that answers it, and not before."""

    def __init__(self, loop: Loop, queue: TaskQueue, clock: Clock) -> None:
        self._loop = loop
        self._queue = queue
        self._clock = clock
        self._scope: anyio.CancelScope | None = None
        self._stopped = False
        self._after = 0
        self._read_for = loop.admission

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
                    if not await self._collect():
                        await anyio.sleep(_NOTHING_PAUSE_S)  # a queue that is being read again may wake us for nothing
                    await self._queue.wait_for_requests()
                except StoreUnavailable as error:
                    _log.warning("requests of other processes cannot be read now: %s", error)
                    await anyio.sleep(_PAUSE_S)

    async def _collect(self) -> bool:
        """Hand over what is new, and say whether there was anything.

        After a recovery that may be everything: what was not saved has to be done again.
        """
        any_new = False
        while True:
            if self._read_for is not self._loop.admission:
                self._read_for = self._loop.admission
                self._after = 0
            found = await self._queue.requests(after=self._after, limit=PAGE)
            if not found:
                return any_new
            any_new = True
            for request in found:
                if request.number not in self._loop.requests:
                    await self._hand_over(request)
                self._after = request.number

    async def _hand_over(self, request: Request) -> None:
        if request.task is None:
            self._loop.put(Word(Cancelled(request.task_id, self._clock.now()), request.number))
        elif await self._loop.knows(request.task_id):
            # The same key was submitted before: same task, same answer.
            self._loop.put(Word(Tick(self._clock.now()), request.number))
        else:
            ticket = Ticket(request.task_id)
            self._loop.put(Ask(request.task, request.payload, request.mailbox, ticket, request.number))
