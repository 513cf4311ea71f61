"""What a store holds if it does exactly what the commands say, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cattrs.preconf.json import make_converter

from parking_lot_core import (
    Checkpoint,
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Interrupt,
    Offered,
    ScheduledTask,
    Start,
    TaskState,
    Withdrawn,
)
from parking_lot_core._values import evolve

_converter = make_converter()


class SavedRows:
    """Rows by task id. ``save`` is all a store does; watchers call its three parts with their own steps between."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rows: dict[str, ScheduledTask] = {}
        self._arriving: ScheduledTask | None = None

    def save(self, event: Event, commands: Sequence[Command]) -> None:
        """Keep everything that one step decided."""
        self.begin(event)
        for command in commands:
            self.apply(command)
        self.end()

    def begin(self, event: Event) -> None:
        """An offered task lies in the store already; a withdrawn one is there no longer."""
        self.now = max(self.now, event.at)
        if isinstance(event, Withdrawn):
            row = self.rows.get(event.task_id)
            if row is not None and row.epoch == event.epoch:
                del self.rows[event.task_id]
        if isinstance(event, Offered) and not self._clashes(event.task):
            self._arriving = event.task

    def apply(self, command: Command) -> None:
        """Do what one command says."""
        self.arrive_before(command)
        match command:
            case Enqueue(task=task) | Start(task=task):
                self.rows[task.id] = task
            case Interrupt(task_id=task_id, reason=reason) if task_id in self.rows:
                row = self.rows[task_id]
                self.rows[task_id] = evolve(row, state=TaskState.STOPPING, stop_reason=reason)
            case Deliver(task_id=task_id):
                self.rows.pop(task_id, None)
            case Expire(task=task):
                self.rows.pop(task.id, None)

    def arrive_before(self, command: Command) -> None:
        """An offered task is there from the first command that is not about a timer of the tasks before it."""
        if not self._is_of_a_timer(command):
            self._arrive()

    def end(self) -> None:
        """The step is over."""
        self._arrive()

    def as_json(self, checkpoint: Checkpoint) -> str:
        """Rows and checkpoint as a store might write them."""
        plain = _converter.unstructure({"rows": list(self.rows.values()), "checkpoint": checkpoint})
        return json.dumps(plain, allow_nan=False)

    def _arrive(self) -> None:
        if self._arriving is not None:
            self.rows[self._arriving.id] = self._arriving
            self._arriving = None

    def _is_of_a_timer(self, command: Command) -> bool:
        if isinstance(command, Expire):
            row = self.rows.get(command.task.id)
            return row is not None and row.sequence == command.task.sequence
        return isinstance(command, Interrupt)

    def _clashes(self, offered: ScheduledTask) -> bool:
        staying = [row for row in self.rows.values() if not self._is_due(row)]
        return any(row.id == offered.id or row.sequence == offered.sequence for row in staying)

    def _is_due(self, row: ScheduledTask) -> bool:
        start_by = row.metadata.start_by
        return row.state is TaskState.PARKED and start_by is not None and start_by <= self.now


def from_json(text: str) -> tuple[list[ScheduledTask], Checkpoint]:
    """What ``as_json`` wrote."""
    plain: dict[str, Any] = json.loads(text)
    tasks = [_converter.structure(row, ScheduledTask) for row in plain["rows"]]
    return tasks, _converter.structure(plain["checkpoint"], Checkpoint)
