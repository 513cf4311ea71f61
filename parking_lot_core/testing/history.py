"""A witness: it sees the configuration, the events and the commands, and believes nothing else.

``watch`` lets a scheduler run while checks look over its shoulder. A check raises ``Broken`` with the name of its
invariant. What a check needs to know of the lot (what is parked, what holds which units, who ranks first) it works
out here from the commands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from parking_lot_core import (
    CapacityChanged,
    Command,
    Event,
    Finished,
    PoolConfig,
    ScheduledTask,
    TaskState,
)
from parking_lot_core.testing.rows import SavedRows

HOLDING = (TaskState.RUNNING, TaskState.STOPPING)


class AnyScheduler(Protocol):
    """What the tests ask of the scheduler, of the model and of broken ones."""

    def step(self, event: Event) -> tuple[Command, ...]: ...
    def next_deadline(self) -> float | None: ...
    def checkpoint(self) -> Any: ...
    def tasks(self) -> Iterable[ScheduledTask]: ...
    def waiting(self) -> Iterable[ScheduledTask]: ...
    def get(self, task_id: str) -> ScheduledTask | None: ...
    def position(self, task_id: str) -> int | None: ...

    @property
    def counters(self) -> Any: ...

    @property
    def now(self) -> Any: ...

    @property
    def devices(self) -> Any: ...

    @property
    def queue_depth(self) -> Any: ...

    @property
    def running_count(self) -> Any: ...

    @property
    def places_taken(self) -> Any: ...

    @property
    def largest_device(self) -> Any: ...


MakeScheduler = Callable[[PoolConfig], AnyScheduler]


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, what: str) -> None:
        self.invariant = invariant
        super().__init__(f"{invariant}: {what}")


class History(SavedRows):
    """Rows as the commands left them, the capacities that events announced, and the end of a run, if one is new."""

    def __init__(self, config: PoolConfig) -> None:
        super().__init__()
        self.config = config
        self.capacity = dict(config.budgets)
        self.capacity_max = dict(config.budgets)
        self.event: Event | None = None
        self.ended: ScheduledTask | None = None
        self.before: dict[str, ScheduledTask] = {}

    def begin(self, event: Event) -> None:
        self.event = event
        self.before = dict(self.rows)
        super().begin(event)
        if isinstance(event, CapacityChanged):
            self.capacity[event.device] = event.units
            self.capacity_max[event.device] = max(event.units, self.capacity_max.get(event.device, 0))
        if isinstance(event, Finished):
            row = self.rows.get(event.task_id)
            if row is not None and row.state in HOLDING and row.epoch == event.epoch:
                self.ended = row

    def end(self) -> None:
        super().end()
        self.ended = None

    # What follows from the rows

    def holding(self, device: str | None = None) -> list[ScheduledTask]:
        """Tasks that hold units (of one device): started, and no end of that start has been reported."""
        rows = [row for row in self.rows.values() if row.state in HOLDING and row is not self.ended]
        return [row for row in rows if device in (None, row.device)]

    def used(self, device: str) -> int:
        return sum(row.units for row in self.holding(device))

    def free(self, device: str) -> int:
        return self.capacity[device] - self.used(device)

    def parked(self) -> list[ScheduledTask]:
        return [row for row in self.rows.values() if row.state is TaskState.PARKED]

    def eligible(self) -> list[ScheduledTask]:
        """Parked tasks that no delay holds back, highest rank first."""
        ready = [row for row in self.parked() if row.ready_at is None or row.ready_at <= self.now]
        return sorted(ready, key=self.rank)

    def rank(self, task: ScheduledTask) -> tuple[float, int, int]:
        """Smaller ranks first."""
        aged: float = task.metadata.priority
        if self.config.aging is not None:
            waiting_since = max(task.admitted_at, task.metadata.not_before or task.admitted_at)
            aged += max(0, (self.now - waiting_since) // self.config.aging)
        return -min(aged, 3), task.tag, task.sequence

    def head(self) -> ScheduledTask | None:
        """The first eligible task that some device is large enough for."""
        able = [task for task in self.eligible() if task.units <= max(self.capacity.values())]
        return able[0] if able else None


class Check:
    """Looks at every command before it takes effect, and at the lot after every step."""

    def __init__(self, history: History) -> None:
        self.history = history

    def event(self, event: Event) -> None:
        """Called when ``event`` has been noted, before its commands."""

    def command(self, command: Command) -> None:
        """Called with each command, before it is noted."""

    def after(self, scheduler: AnyScheduler) -> None:
        """Called when all commands of the step have been noted."""


class Watched:
    """A scheduler with checks attached: ``step`` raises ``Broken`` when one of them finds a fault."""

    def __init__(self, scheduler: AnyScheduler, config: PoolConfig, *checks: type[Check]) -> None:
        self.scheduler = scheduler
        self.history = History(config)
        self.checks = [check(self.history) for check in checks]

    def step(self, event: Event) -> tuple[Command, ...]:
        commands = self.scheduler.step(event)
        self.history.begin(event)
        for check in self.checks:
            check.event(event)
        for command in commands:
            self.history.arrive_before(command)
            for check in self.checks:
                check.command(command)
            self.history.apply(command)
        self.history.end()
        for check in self.checks:
            check.after(self.scheduler)
        return commands


def watch(scheduler: AnyScheduler, config: PoolConfig, events: Iterable[Event], *checks: type[Check]) -> None:
    """Run ``events`` through ``scheduler`` under the eyes of ``checks``."""
    watched = Watched(scheduler, config, *checks)
    for event in events:
        watched.step(event)
