"""Decide: from the inputs of one turn to one batch to save, and a list of things to do once it is saved.

Everything that changes the lot goes through ``Admission.decide``: submissions, ends of runs, cancellations, requests of
other processes, time. It does no I/O and awaits nothing. ``_loop.py`` saves what it returns, and then acts on it.
"""

from __future__ import annotations

from collections.abc import Iterable

from parking_lot_core import Scheduler, TaskState
from parking_lot_drivers._elsewhere import Elsewhere
from parking_lot_drivers._ending import Ending
from parking_lot_drivers._gate import Gate
from parking_lot_drivers._lobby import Lobby
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask, Input, Live, Offer, Plan, Turn


class Admission:
    """The scheduler, with what the driver itself knows of each task beside it."""

    def __init__(self, scheduler: Scheduler, lobby: Lobby) -> None:
        self.scheduler = scheduler
        self.lobby = lobby
        self.live: dict[str, Live] = {}
        self.ending = Ending()
        # The number of the latest turn, and of the latest one that is saved.
        self.turn = 0
        self.turn_saved = 0
        #: While somebody looks into the queue: tasks that have ended since, and that may be seen there all the same.
        self.departed: set[str] | None = None

    @property
    def idle(self) -> bool:
        """Whether no task is parked, running or waiting for room, and every outcome is saved."""
        return not (self.live or self.lobby or self.ending.saving)

    def tickets(self) -> dict[str, Ticket]:
        """The tickets of all tasks that nobody is known to have heard the end of."""
        return {task_id: live.ticket for task_id, live in self.live.items()} | self.ending.tickets()

    def find(self, task_id: str) -> Ticket | None:
        """The ticket of a task that the mailbox may not have yet."""
        live = self.live.get(task_id)
        return self.ending.get(task_id) if live is None else live.ticket

    def decide(
        self, inputs: Iterable[Input], now: float, *, gate: Gate | None = None, elsewhere: Elsewhere | None = None
    ) -> Plan:
        """Step every input of the turn, in order, and let in who waits in the lobby as soon as there is room.

        ``elsewhere``: given if the queue is shared with other hosts; submissions then need a ``gate``.
        """
        self.turn += 1
        lobby = self.lobby
        turn = Turn(
            self.scheduler,
            lobby,
            self.live,
            self.ending,
            gate=gate,
            elsewhere=elsewhere,
            number=self.turn,
            departed=self.departed,
        )
        for each in inputs:
            if isinstance(each, Ask):
                turn.ask(each, now)
            elif isinstance(each, Offer):
                turn.offer(each, now)
            else:
                turn.hear(each, now)
            while lobby and self._has_room(gate, shared=elsewhere is not None):
                turn.ask(lobby.call(), now)
        self.ending.saving = True
        return turn.plan()

    def _has_room(self, gate: Gate | None, *, shared: bool) -> bool:
        if shared:
            return gate is not None and gate.room > 0
        return self.scheduler.places_taken < self.scheduler.config.max_queue_depth

    def saved(self, plan: Plan) -> None:
        """The plan's batch is durable: the queue has its tasks now, and the mailbox its outcomes."""
        for live in plan.touched.values():
            live.stored = True
            live.held = live.task.state is not TaskState.PARKED
        self.turn_saved = self.turn
        self.ending.saved()
