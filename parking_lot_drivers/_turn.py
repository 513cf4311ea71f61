"""One turn of the driver loop: what its inputs are, and what the scheduler's commands make of them.

It does no I/O and awaits nothing.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Checkpoint,
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Interrupt,
    MailboxKey,
    Offered,
    Outcome,
    OutcomeStatus,
    Reject,
    RejectReason,
    ScheduledTask,
    Scheduler,
    Start,
    Submitted,
    TaskMetadata,
    TaskState,
    Withdrawn,
)
from parking_lot_drivers._elsewhere import Elsewhere
from parking_lot_drivers._ending import Ending
from parking_lot_drivers._gate import Gate, rank
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


@attrs.define(eq=False)
class Offer:
    """A task that waits in a shared queue, and that this host may start."""

    task: ScheduledTask
    mailbox: MailboxKey
    request: None = None


Input: TypeAlias = Ask | Word | Offer


@attrs.define(eq=False)
class Live:
    """What the pool knows of a task that has no outcome yet.

    Attributes:
        task: the task.
        mailbox: where its outcome goes.
        ticket: for whoever waits for it.
        payload: there until it is saved.
        stored: whether the queue has it.
        held: whether the queue has it as started, on this host.
        stray: whether it runs here although the queue has given it to others, so that nobody wants its outcome.
        turn: the number of the turn that last changed it.
    """

    task: ScheduledTask
    mailbox: MailboxKey
    ticket: Ticket
    payload: bytes | None = None
    stored: bool = False
    held: bool = False
    stray: bool = False
    turn: int = 0


@attrs.define(eq=False)
class Plan:
    """One turn: what to save, and what to do after that.

    ``asks``: all that were decided on, whichever way. ``outside``: those admitted that this host's scheduler need not
    know. ``left``: tickets of tasks that are others' from now on. ``stale``: how many of these have ended here, too
    late. ``duplicates``: those whose id the queue had already.
    """

    batch: Batch
    asks: list[Ask]
    admitted: list[Ask]
    refused: list[tuple[Ask, RejectReason]]
    starts: list[Start]
    interrupts: list[Interrupt]
    ended: list[tuple[Ticket, Delivery]]
    touched: dict[str, Live]
    outside: list[StoredTask]
    left: list[Ticket]
    stale: int
    duplicates: list[Ask] = attrs.field(factory=list)


class Turn:
    """Collects what the commands of one turn ask for.

    With ``elsewhere``, the queue is shared with other hosts; submissions then need a ``gate``.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        lobby: Lobby,
        live: dict[str, Live],
        ending: Ending,
        *,
        gate: Gate | None = None,
        elsewhere: Elsewhere | None = None,
        number: int = 0,
        departed: set[str] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._gate = gate
        self._elsewhere = elsewhere
        self._shared = elsewhere is not None
        self._number = number
        self._departed = departed
        self._outside: list[StoredTask] = []
        self._left: list[Ticket] = []
        self._stale = 0
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
        if self._shared:
            self._admit(ask, now)
        else:
            self._take(self._scheduler.step(Submitted(ask.metadata, now)), ask)
        if self._lobby and self._admitted and self._admitted[-1] is ask:
            self._tell_too_late(task_id, now)

    def _admit(self, ask: Ask, now: float) -> None:
        """Let the gate decide on a submission, and offer the task to this host's scheduler if it belongs there."""
        task_id = ask.metadata.id
        assert self._gate is not None
        task = RejectReason.DUPLICATE if task_id in self._live else self._gate.admit(ask.metadata, now)
        if isinstance(task, RejectReason):
            self._refuse(ask, task)
            return
        if rank(task) < self._gate.until:
            known = self._scheduler.counters.ignored_offers
            commands = self._scheduler.step(Offered(task, now))
            taken = self._scheduler.counters.ignored_offers == known
            if taken:
                self._touch(task, ask)
            self._take(commands, None)
            if taken:
                return
            # Its sequence is in use, by a task that was damaged or made by hand: it waits until that has ended.
        self._outside.append(StoredTask(task, ask.payload, ask.mailbox))
        self._admitted.append(ask)
        self._left.append(ask.ticket)

    def offer(self, offer: Offer, now: float) -> None:
        """Step a task that waits in the shared queue, unless it is known here."""
        task = offer.task
        if task.id in self._live or task.id in self._ending:
            return
        assert self._elsewhere is not None
        # Not before now: an offer may be dropped, or be one of two, and somebody may wait on the ticket.
        ticket = self._elsewhere.take(task.id)
        self._live[task.id] = Live(task, offer.mailbox, ticket, stored=True, turn=self._number)
        known = self._scheduler.counters.ignored_offers
        self._take(self._scheduler.step(Offered(task, now)), None)
        if self._scheduler.counters.ignored_offers > known:
            del self._live[task.id]  # a sequence that is in use, by a task that was damaged or made by hand
            self._leave(ticket)

    def hear(self, word: Word, now: float) -> None:
        """Step any other event. A cancellation also reaches a request of another process that waits in the lobby."""
        event = word.event
        if self._lobby and isinstance(event, Cancelled):
            self._cancel_waiting(self._lobby.same(event.task_id), now)
        if self._gate is not None and isinstance(event, CapacityChanged):
            self._gate.resize(event.device, event.units, now)
        self._take(self._scheduler.step(event), None)
        if isinstance(event, Withdrawn) and self._scheduler.get(event.task_id) is None:
            self._withdraw(event.task_id)
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

    def _withdraw(self, task_id: str) -> None:
        live = self._live.pop(task_id, None)
        if live is not None:
            self._touched.pop(task_id, None)
            self._leave(live.ticket)

    def _leave(self, ticket: Ticket) -> None:
        """A task is others' from now on. Its ticket is looked after at once: the same turn may offer the task again."""
        assert self._elsewhere is not None
        self._elsewhere.follow(ticket)
        self._left.append(ticket)

    def plan(self) -> Plan:
        """The turn as a whole: every task as it stands at its end."""
        added: list[StoredTask] = []
        claimed: list[ScheduledTask] = []
        changed: list[ScheduledTask] = []
        removed: list[str] = []
        for task_id, live in self._touched.items():
            if self._live.get(task_id) is not live:
                if live.stored:
                    removed.append(task_id)
            elif not live.stored:
                assert live.payload is not None
                added.append(StoredTask(live.task, live.payload, live.mailbox))
            elif self._shared and not live.held and live.task.state is not TaskState.PARKED:
                claimed.append(live.task)
            else:
                changed.append(live.task)
        batch = Batch(
            added=added + self._outside,
            claimed=claimed,
            changed=changed,
            removed=removed,
            delivered=[delivery for _, delivery in self._ended],
            answered=self._answered,
            checkpoint=self._checkpoint(),
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
            self._outside,
            self._left,
            self._stale,
        )

    def _checkpoint(self) -> Checkpoint | None:
        """The scheduler's own state. Of a shared queue, only what is common to all hosts: the shares of tenants."""
        if not self._shared:
            return self._scheduler.checkpoint()
        if self._gate is None or not self._scheduler.config.tenants:
            return None
        return attrs.evolve(self._scheduler.checkpoint(), finish_tags=self._gate.shares())

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
            live = self._live[task_id] = Live(task, ask.mailbox, ask.ticket, ask.payload, turn=self._number)
            self._admitted.append(ask)
            if ask.request is not None:
                self._answered.append(ask.request)
        else:
            live.task = task
            live.turn = self._number
        if not live.stray:
            self._touched[task_id] = live

    def _end(self, task_id: str, outcome: Outcome) -> None:
        live = self._live.pop(task_id)
        if self._departed is not None:
            self._departed.add(task_id)
        if live.stray:
            self._leave(live.ticket)
            self._stale += 1
            return
        self._touched[task_id] = live
        self._deliver(live.ticket, delivery_of(live.task, live.mailbox, outcome, self._scheduler.now))

    def _deliver(self, ticket: Ticket, delivery: Delivery) -> None:
        self._ending.add(delivery.task_id, ticket)
        self._ended.append((ticket, delivery))


def delivery_of(task: ScheduledTask, mailbox: MailboxKey, outcome: Outcome, now: float) -> Delivery:
    """How a task ended, for its mailbox; ``now`` in seconds since the Unix epoch."""
    result = outcome.value
    assert result is None or isinstance(result, bytes)
    return Delivery(
        task_id=task.id,
        epoch=task.epoch,
        mailbox=mailbox,
        status=outcome.status,
        error=outcome.error,
        result=result,
        submitted_at=task.admitted_at,
        started_at=task.started_at,
        finished_at=now,
    )
