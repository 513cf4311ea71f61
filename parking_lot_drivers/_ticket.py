"""What a submitter waits on: first for the acknowledgement, then for the outcome."""

from __future__ import annotations

import anyio

from parking_lot_drivers.ports import Delivery


class Ticket:
    """One per task in this process. Events are made only when somebody has to wait; few need the second."""

    __slots__ = (
        "__weakref__",
        "_accepted",
        "_answered",
        "_ended",
        "_waiting_for_answer",
        "_waiting_for_end",
        "delivery",
        "error",
        "task_id",
    )

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.delivery: Delivery | None = None
        self.error: Exception | None = None
        self._accepted = False  # only looked at once there is an error
        self._answered = False
        self._ended = False
        self._waiting_for_answer: anyio.Event | None = None
        self._waiting_for_end: anyio.Event | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for: an outcome, or an error that says why there will be none."""
        return self._ended

    def acknowledge(self) -> None:
        """The submission is durable."""
        self._answered = True
        if self._waiting_for_answer is not None:
            self._waiting_for_answer.set()

    def refuse(self, error: Exception) -> None:
        """The submission was not accepted; or, if it was acknowledged before, nobody here will learn the outcome."""
        if self._ended:
            return
        self.error = error
        self._accepted = self._answered
        self.acknowledge()
        self._end()

    def deliver(self, delivery: Delivery) -> None:
        """The outcome is durable."""
        if self._ended:
            return
        self.delivery = delivery
        self.acknowledge()
        self._end()

    async def answered(self) -> None:
        """Wait until the submission is durable. Raises the error with which it was refused."""
        if not self._answered:
            self._waiting_for_answer = self._waiting_for_answer or anyio.Event()
            await self._waiting_for_answer.wait()
        if self.error is not None and not self._accepted:
            raise self.error

    async def outcome(self) -> Delivery:
        """Wait for the outcome. Raises the error that says why there will be none here."""
        if not self._ended:
            self._waiting_for_end = self._waiting_for_end or anyio.Event()
            await self._waiting_for_end.wait()
        if self.delivery is None:
            assert self.error is not None
            raise self.error
        return self.delivery

    def _end(self) -> None:
        self._ended = True
        if self._waiting_for_end is not None:
            self._waiting_for_end.set()
