"""Decide: from the inputs of one turn to one batch to save, and a list of things to do once it is saved.

Everything that changes the lot goes through ``Admission.decide``: submissions, ends of runs, cancellations, requests of
other processes, time. It does no I/O and awaits nothing. ``_loop.py`` saves what it returns, and then acts on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import attrs

from parking_lot_core import (
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
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.ports import Batch, Delivery, StoredTask


@attrs.define(eq=False)
class Ask:
    """A submission on its way in: of a caller, who waits on ``ticket``, or of another process (``request``).

    ``cancelled``: the other process thought better of it before there was room.
    """

    metadata: TaskMetadata
    payload: bytes
    mailbox: MailboxKey
    ticket: Ticket
    request: int | None = None
    waits_for_room: bool = False
    cancelled: bool = False


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
    """One turn: what to save, and what to do after that."""

    batch: Batch
    admitted: list[Ask]
    refused: list[tuple[Ask, RejectReason]]
    starts: list[Start]
    interrupts: list[Interrupt]
    ended: list[tuple[Live, Delivery]]
    touched: dict[str, Live]

    def saved(self) -> None:
        """The batch is durable: the queue has these tasks now."""
        for live in self.touched.values():
            live.stored = True


class Admission:
    """The scheduler, with what the driver itself knows of each task beside it."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.live: dict[str, Live] = {}

    def decide(self, inputs: Iterable[Input], now: float) -> Plan:
        """Step every input of the turn, in order. Refused asks come back in ``Plan.refused``."""
        turn = _Turn(self.scheduler, self.live)
        for each in inputs:
            if isinstance(each, Ask):
                if each.cancelled:
                    turn.turn_away(each, OutcomeStatus.CANCELLED, None)
                else:
                    turn.take(self.scheduler.step(Submitted(each.metadata, now)), each)
            else:
                turn.take(self.scheduler.step(each.event), None)
                if each.request is not None:
                    turn.answered.append(each.request)
        return turn.plan()


class _Turn:
    """Collects what the commands of one turn ask for."""

    def __init__(self, scheduler: Scheduler, live: dict[str, Live]) -> None:
        self._scheduler = scheduler
        self._live = live
        self._touched: dict[str, Live] = {}
        self._admitted: list[Ask] = []
        self._refused: list[tuple[Ask, RejectReason]] = []
        self._starts: list[Start] = []
        self._interrupts: list[Interrupt] = []
        self._ended: list[tuple[Live, Delivery]] = []
        self._turned_away: list[Delivery] = []
        self.answered: list[int] = []

    def take(self, commands: tuple[Command, ...], ask: Ask | None) -> None:
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

    def turn_away(self, ask: Ask, status: OutcomeStatus, error: str | None) -> None:
        """A request of another process ends here; its submitter finds out from the mailbox."""
        assert ask.request is not None
        self.answered.append(ask.request)
        now = self._scheduler.now
        self._turned_away.append(
            Delivery(
                task_id=ask.metadata.id,
                epoch=0,
                mailbox=ask.mailbox,
                status=status,
                error=error,
                submitted_at=now,
                finished_at=now,
            )
        )

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
            delivered=[*(delivery for _, delivery in self._ended), *self._turned_away],
            answered=self.answered,
            checkpoint=self._scheduler.checkpoint(),
        )
        return Plan(batch, self._admitted, self._refused, self._starts, self._interrupts, self._ended, self._touched)

    def _refuse(self, ask: Ask, reason: RejectReason) -> None:
        if ask.request is None or reason is RejectReason.QUEUE_FULL:
            self._refused.append((ask, reason))
        elif reason is RejectReason.DUPLICATE:
            self.answered.append(ask.request)
        else:
            error = f"it needs {ask.metadata.units} units, and the largest device has {self._scheduler.largest_device}"
            self.turn_away(ask, OutcomeStatus.REJECTED, error)

    def _touch(self, task: ScheduledTask, ask: Ask | None) -> None:
        task_id = task.metadata.id
        live = self._live.get(task_id)
        if live is None:
            assert ask is not None
            live = self._live[task_id] = Live(task, ask.mailbox, ask.ticket, ask.payload)
            self._admitted.append(ask)
            if ask.request is not None:
                self.answered.append(ask.request)
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
        self._ended.append((live, delivery))
