"""A witness: it sees the configuration, the events and the commands, and believes nothing else.

``watch`` lets a scheduler run while checks look over its shoulder. A check raises ``Broken`` with the name of its
invariant. What a check needs to know of the lot (what is parked, what holds which units, who ranks first) it works
out here from the commands alone, so that it can look at any object that has ``step``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, get_args

from parking_lot_core import (
    CapacityChanged,
    Checkpoint,
    Command,
    DeviceView,
    Enqueue,
    Event,
    Finished,
    Offered,
    PoolConfig,
    ScheduledTask,
    Start,
    TaskState,
)
from parking_lot_core.testing.rows import SavedRows

HOLDING = (TaskState.RUNNING, TaskState.STOPPING)
COMMANDS: tuple[type, ...] = get_args(Command)


class Steps(Protocol):
    """All that is required of a scheduler: it takes an event and says what must be done about it, in order."""

    def step(self, event: Event) -> Sequence[Command]: ...


class AnyScheduler(Steps, Protocol):
    """What can be asked of a scheduler that has everything: ``Scheduler``, ``Model`` and the broken ones.

    ``restore(config, tasks, checkpoint)``, on its class, gives a scheduler again.
    """

    def step(self, event: Event) -> tuple[Command, ...]: ...
    def next_deadline(self) -> float | None: ...
    def checkpoint(self) -> Checkpoint: ...
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


MakeScheduler: TypeAlias = Callable[[PoolConfig], Steps]
"""Gives the scheduler to be examined, new and empty."""

Rank: TypeAlias = "Callable[[ScheduledTask, History], Any]"
"""What orders the line: called with a parked task and the lot; the task with the smallest answer is the first."""


METHODS = ("next_deadline", "checkpoint", "restore", "tasks", "waiting", "get", "position")


def has(scheduler: Steps, name: str) -> bool:
    """Whether a scheduler has a method or a view that not every one has.

    Something else that goes by the same name, such as a dict of ``tasks`` or ``devices``, is not taken for it.
    """
    missing = object()
    found = getattr(scheduler, name, missing)
    if name in METHODS:
        return callable(found)
    return found is not missing and (name != "devices" or isinstance(found, list | tuple))


def ask(scheduler: Steps, name: str) -> Any:
    """A method or a view that not every scheduler has; ``None`` if this one has not."""
    return getattr(scheduler, name) if has(scheduler, name) else None


def step(scheduler: Steps, event: Event) -> tuple[Command, ...]:
    """The commands. Raises ``TypeError`` if the scheduler answered with anything else."""
    answer = scheduler.step(event)
    if not isinstance(answer, Sequence) or not all(isinstance(command, COMMANDS) for command in answer):
        raise TypeError(f"step: expected a tuple of commands (Enqueue, Start, ...), got {answer!r} for {event}")
    return tuple(answer)


class Broken(AssertionError):
    """An invariant does not hold.

    Attributes:
        invariant: its name, as in ``INVARIANTS``.
        what: what was seen.
        crashes: after how many events the scheduler has to be restored from what was saved, to see it.
        story: the events up to there as a story that ``Story`` plays, once somebody has told it.
    """

    def __init__(self, invariant: str, what: str, *, crashes: Collection[int] = (), story: str = "") -> None:
        self.invariant = invariant
        self.what = what
        self.crashes = crashes
        self.story = story
        super().__init__(f"{invariant}: {what}" + (f"\n\n{story}" if story else ""))


class History(SavedRows):
    """Rows as the commands left them, the capacities that events announced, and the end of a run, if one is new."""

    def __init__(self, config: PoolConfig, rank: Rank | None = None) -> None:
        super().__init__()
        self.config = config
        self.next_sequence = 1
        self._rank = rank or rank_by_the_rules
        self._passes_end: list[float] = []
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
        if isinstance(event, Offered):
            self.next_sequence = max(self.next_sequence, event.task.sequence + 1)
        if isinstance(event, Finished):
            row = self.rows.get(event.task_id)
            if row is not None and row.state in HOLDING and row.epoch == event.epoch:
                self.ended = row

    def apply(self, command: Command) -> None:
        super().apply(command)
        if isinstance(command, Enqueue):
            self.next_sequence = max(self.next_sequence, command.task.sequence + 1)
        if isinstance(command, Start):
            self._passes_end.append(self.now + self.config.backfill_window)

    def end(self) -> None:
        super().end()
        self.ended = None
        self._passes_end = [moment for moment in self._passes_end if moment > self.now]

    # What follows from the rows

    def holding(self, device: str | None = None) -> list[ScheduledTask]:
        """Tasks that hold units (of one device): started, and no end of that start has been reported."""
        rows = [row for row in self.rows.values() if row.state in HOLDING and row is not self.ended]
        return [row for row in rows if device in (None, row.device)]

    def used(self, device: str) -> int:
        return sum(row.units for row in self.holding(device))

    def free(self, device: str) -> int:
        return self.capacity.get(device, 0) - self.used(device)

    @property
    def known(self) -> list[ScheduledTask]:
        """Every task that is parked, running or stopping."""
        return list(self.rows.values())

    def get(self, task_id: str) -> ScheduledTask | None:
        """One of them."""
        return self.rows.get(task_id)

    @property
    def devices(self) -> tuple[DeviceView, ...]:
        """Capacity, used and free units of each device."""
        sizes = ((name, units, self.used(name)) for name, units in self.capacity.items())
        return tuple(DeviceView(name, units, used, units - used) for name, units, used in sizes)

    def parked(self) -> list[ScheduledTask]:
        return [row for row in self.rows.values() if row.state is TaskState.PARKED]

    def eligible(self) -> list[ScheduledTask]:
        """Parked tasks that no delay holds back, highest rank first."""
        ready = [row for row in self.parked() if row.ready_at is None or row.ready_at <= self.now]
        return sorted(ready, key=self.rank)

    def rank(self, task: ScheduledTask) -> Any:
        """Smaller ranks first: as given, or else as in the rules."""
        return self._rank(task, self)

    def head(self) -> ScheduledTask | None:
        """The first eligible task that some device is large enough for."""
        able = [task for task in self.eligible() if task.units <= max(self.capacity.values())]
        return able[0] if able else None

    def moments(self) -> list[float]:
        """Every future moment at which something may come true that the rules speak of."""
        ends = [ends_by(run) for run in self.holding()]
        found = ends + self._passes_end
        for task in self.parked():
            found += [moment for moment in (task.metadata.start_by, task.ready_at) if moment is not None]
            found += [_waits_since(task) + k * self.config.aging for k in (1, 2, 3) if self.config.aging]
            found += [end - limit(task) for end in ends]
        return sorted({moment for moment in found if self.now < moment < math.inf})


def rank_by_the_rules(task: ScheduledTask, lot: History) -> tuple[float, int, int]:
    """Higher class first, then smaller tag, then smaller sequence."""
    aged: float = task.metadata.priority
    if lot.config.aging is not None:
        aged += max(0, (lot.now - _waits_since(task)) // lot.config.aging)
    return -min(aged, 3), task.tag, task.sequence


def _waits_since(task: ScheduledTask) -> float:
    return max(task.admitted_at, task.metadata.not_before or task.admitted_at)


def limit(task: ScheduledTask) -> float:
    """Seconds that a run of the task may take; infinity without a limit."""
    return math.inf if task.metadata.run_timeout is None else task.metadata.run_timeout


def ends_by(run: ScheduledTask) -> float:
    """When a running or stopping task should end by its run limit; infinity without one."""
    return math.inf if run.started_at is None else run.started_at + limit(run)


class Check:
    """Looks at every command before it takes effect, and at the lot after every step."""

    def __init__(self, history: History) -> None:
        self.history = history

    def event(self, event: Event) -> None:
        """Called when ``event`` has been noted, before its commands."""

    def command(self, command: Command) -> None:
        """Called with each command, before it is noted."""

    def after(self, scheduler: Steps) -> None:
        """Called when all commands of the step have been noted."""


class Watched:
    """A scheduler with checks attached: ``step`` raises ``Broken`` when one of them finds a fault.

    It can stand in the place of the scheduler in any driver. ``history`` is what the lot looks like, told from the
    commands; ``events`` and ``answers`` are what has been said so far (``as_story`` writes them down).
    """

    def __init__(self, scheduler: Any, config: PoolConfig, *checks: type[Check], rank: Rank | None = None) -> None:
        self.scheduler = scheduler
        self.history = History(config, rank)
        self.checks = [check(self.history) for check in checks]
        self.events: list[Event] = []
        self.answers: list[tuple[Command, ...]] = []

    def __getattr__(self, name: str) -> Any:
        """Whatever else a driver wants to know, the scheduler is asked."""
        if name == "scheduler" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.scheduler, name)

    def step(self, event: Event) -> tuple[Command, ...]:
        """Let the scheduler take the event, and look at what it says."""
        self.events.append(event)
        commands = step(self.scheduler, event)
        self.answers.append(commands)
        self.look(event, commands)
        return commands

    def look(self, event: Event, commands: Sequence[Command]) -> None:
        """Look at what the scheduler has said to the event. Raises ``Broken``."""
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


def watch(
    scheduler: Any, config: PoolConfig, events: Iterable[Event], *checks: type[Check], rank: Rank | None = None
) -> None:
    """Run ``events`` through ``scheduler`` under the eyes of ``checks``."""
    watched = Watched(scheduler, config, *checks, rank=rank)
    for event in events:
        watched.step(event)
