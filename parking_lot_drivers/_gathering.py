"""Group commit for callers of any event loop: what arrives while one commit is under way is the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import anyio

from parking_lot_drivers.errors import StoreUnavailable

_T = TypeVar("_T")


class Gathered(Generic[_T]):
    """What one caller has brought, and what became of it."""

    __slots__ = ("_event", "error", "given", "leads")

    def __init__(self, given: _T) -> None:
        self.given = given
        #: Why it was not kept.
        self.error: Exception | None = None
        self.leads = False
        self._event = anyio.Event()

    async def turn(self) -> None:
        """Wait until somebody has dealt with it, or it is this caller's turn to lead."""
        await self._event.wait()

    def wake(self) -> None:
        """See ``turn``."""
        self._event.set()


class Gathering(Generic[_T]):
    """Calls ``flush`` with what has come together, one call at a time. One caller alone waits for nothing.

    ``flush`` says by ``Gathered.error`` what it has refused; what it raises is the error of all. One of the callers
    runs it, for all; being cancelled, it sees the flush through.
    """

    def __init__(self, flush: Callable[[Sequence[Gathered[_T]]], Awaitable[None]]) -> None:
        self._flush = flush
        self._waiting: list[Gathered[_T]] = []
        self._busy = False

    async def __call__(self, given: _T) -> None:
        """Have ``given`` flushed. Raises its error. Cancelled while it still waits, it is dropped."""
        mine = Gathered(given)
        self._waiting.append(mine)
        if self._busy:
            await self._until_turn(mine)
        else:
            mine.leads = True
        if mine.leads:
            self._busy = True
            await self._lead()
        if mine.error is not None:
            raise mine.error

    async def _until_turn(self, mine: Gathered[_T]) -> None:
        try:
            await mine.turn()
        except anyio.get_cancelled_exc_class():
            if mine in self._waiting:
                self._waiting.remove(mine)
            if mine.leads:
                self._hand_over()
            raise

    async def _lead(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            with anyio.CancelScope(shield=True):
                await self._flush(batch)
        except Exception as error:
            for each in batch:
                each.error = error
        except BaseException:
            for each in batch:
                each.error = StoreUnavailable("the program was interrupted while tasks were being saved")
            raise
        finally:
            for each in batch:
                each.wake()
            self._hand_over()

    def _hand_over(self) -> None:
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].wake()
        else:
            self._busy = False
