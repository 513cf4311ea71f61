"""One turn of the driver loop: what its inputs are, and what the scheduler's commands make of them.

It does no I/O and awaits nothing.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from parking_lot_core import (
    Cancelled,
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Interrupt,
    MailboxKey,
    Outcome,
    OutcomeStatus,
    Reject,
    RejectReason,
    ScheduledTask,
    Scheduler,
    Start,
    Submitted,
    TaskMetadata,
)
from parking_lot_drivers._ending import Ending
from parking_lot_drivers._lobby import Lobby
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.ports import Batch, Delivery, StoredTask


@attrs.define(eq=False)
class Ask:
    """A submission on its way in: of a caller, who waits on ``ticket``, or of another process (``request``)."""

    metadata: TaskMetadata
    payload: bytes
    mailbox: MailboxKey
    ticket: Ticket
    request: int | None = None
    waits_for_room: bool = False


@attrs.define(eq=False)
class Word:
    """Any other event, with the request of another process that it answers, if it does."""

    event: Event
    request: int | None = None


Input: TypeAlias = Ask | Word


@attrs.define(eq=False)
class Live:
    """What the pool knows of a task that has no outcome yet. ``payload`` is there until it is saved."""

    task: ScheduledTask
    mailbox: MailboxKey
    ticket: Ticket
    payload: bytes | None = None
    stored: bool = False


@attrs.define(eq=False)
class Plan:
    """One turn: what to save, and what to do after that. ``asks``: all that were decided on, whichever way."""

    batch: Batch
    asks: list[Ask]
    admitted: list[Ask]
    refused: list[tuple[Ask, RejectReason]]
    starts: list[Start]
    interrupts: list[Interrupt]
    ended: list[tuple[Ticket, Delivery]]
    touched: dict[str, Live]


class Turn:
    """Collects what the commands of one turn ask for."""

    def __init__(self, scheduler: Scheduler, lobby: Lobby, live: dict[str, Live], ending: Ending) -> None:
        self._scheduler = scheduler
        self._lobby = lobby
        self._live = live
        self._ending = ending
        self._touched: dict[str, Live] = {}
        self._asks: list[Ask] = []
        self._admitted: list[Ask] = []
        self._refused: list[tuple[Ask, RejectReason]] = []
        self._starts: list[Start] = []
        self._interrupts: list[Interrupt] = []
        self._ended: list[tuple[Ticket, Delivery]] = []
        self._answered: list[int] = []

    def ask(self, ask: Ask, now: float) -> None:
        """Step one submission."""
        task_id = ask.metadata.id
        self._asks.append(ask)
        if task_id in self._ending:
            self._refuse(ask, RejectReason.DUPLICATE)
            return
        self._take(self._scheduler.step(Submitted(ask.metadata, now)), ask)
        if self._lobby and self._admitted and self._admitted[-1] is ask:
            self._tell_too_late(task_id, now)

    def hear(self, word: Word, now: float) -> None:
        """Step any other event. A cancellation also reaches a request of another process that waits in the lobby."""
        event = word.event
        if self._lobby and isinstance(event, Cancelled):
            self._cancel_waiting(self._lobby.same(event.task_id), now)
        self._take(self._scheduler.step(event), None)
        if word.request is not None:
            self._answered.append(word.request)

    def _cancel_waiting(self, same: list[Ask], now: float) -> None:
        requested = next((ask for ask in same if ask.request is not None), None)
        if requested is not None:
            self._lobby.leave(requested)
            self._asks.append(requested)
            self._turn_away(requested, OutcomeStatus.CANCELLED, None)
            self._tell_too_late(requested.metadata.id, now)

    def _tell_too_late(self, task_id: str, now: float) -> None:
        """Whoever waits to submit this task need wait no longer: it is in the lot, or has ended."""
        for ask in self._lobby.same(task_id):
            self._lobby.leave(ask)
            self.ask(ask, now)

    def _take(self, commands: tuple[Command, ...], ask: Ask | None) -> None:
        """Note what the commands of one step ask for."""
        for command in commands:
            if isinstance(command, Enqueue):
                self._touch(command.task, ask)
            elif isinstance(command, Start):
                self._touch(command.task, None)
                self._starts.append(command)
            elif isinstance(command, Deliver):
                self._end(command.task_id, command.outcome)
            elif isinstance(command, Expire):
                self._end(command.task.metadata.id, Outcome(OutcomeStatus.EXPIRED))
            elif isinstance(command, Interrupt):
                task = self._scheduler.get(command.task_id)
                assert task is not None
                self._touch(task, None)
                self._interrupts.append(command)
            elif isinstance(command, Reject):
                assert ask is not None
                self._refuse(ask, command.reason)

    def plan(self) -> Plan:
        """The turn as a whole: every task as it stands at its end."""
        added: list[StoredTask] = []
        changed: list[ScheduledTask] = []
        removed: list[str] = []
        for task_id, live in self._touched.items():
            if self._live.get(task_id) is not live:
                if live.stored:
                    removed.append(task_id)
            elif live.stored:
                changed.append(live.task)
            else:
                assert live.payload is not None
                added.append(StoredTask(live.task, live.payload, live.mailbox))
        batch = Batch(
            added=added,
            changed=changed,
            removed=removed,
            delivered=[delivery for _, delivery in self._ended],
            answered=self._answered,
            checkpoint=self._scheduler.checkpoint(),
        )
        return Plan(
            batch,
            self._asks,
            self._admitted,
            self._refused,
            self._starts,
            self._interrupts,
            self._ended,
            self._touched,
        )

    def _refuse(self, ask: Ask, reason: RejectReason) -> None:
        if reason is RejectReason.QUEUE_FULL and self._lobby.enter(ask):
            self._asks.pop()
        elif ask.request is None or reason is RejectReason.QUEUE_FULL:
            self._refused.append((ask, reason))
        elif reason is RejectReason.DUPLICATE:
            self._answered.append(ask.request)
        else:
            error = f"it needs {ask.metadata.units} units, and the largest device has {self._scheduler.largest_device}"
            self._turn_away(ask, OutcomeStatus.REJECTED, error)

    def _turn_away(self, ask: Ask, status: OutcomeStatus, error: str | None) -> None:
        """A request of another process ends here; its submitter finds out from the mailbox."""
        assert ask.request is not None
        self._answered.append(ask.request)
        now = self._scheduler.now
        delivery = Delivery(
            task_id=ask.metadata.id,
            epoch=0,
            mailbox=ask.mailbox,
            status=status,
            error=error,
            submitted_at=now,
            finished_at=now,
        )
        self._deliver(ask.ticket, delivery)

    def _touch(self, task: ScheduledTask, ask: Ask | None) -> None:
        task_id = task.metadata.id
        live = self._live.get(task_id)
        if live is None:
            assert ask is not None
            live = self._live[task_id] = Live(task, ask.mailbox, ask.ticket, ask.payload)
            self._admitted.append(ask)
            if ask.request is not None:
                self._answered.append(ask.request)
        else:
            live.task = task
        self._touched[task_id] = live

    def _end(self, task_id: str, outcome: Outcome) -> None:
        live = self._live.pop(task_id)
        self._touched[task_id] = live
        task = live.task
        result = outcome.value
        assert result is None or isinstance(result, bytes)
        delivery = Delivery(
            task_id=task_id,
            epoch=task.epoch,
            mailbox=live.mailbox,
            status=outcome.status,
            error=outcome.error,
            result=result,
            submitted_at=task.admitted_at,
            started_at=task.started_at,
            finished_at=self._scheduler.now,
        )
        self._deliver(live.ticket, delivery)

    def _deliver(self, ticket: Ticket, delivery: Delivery) -> None:
        self._ending.add(delivery.task_id, ticket)
        self._ended.append((ticket, delivery))
