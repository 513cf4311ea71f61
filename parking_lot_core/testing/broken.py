"""Broken schedulers, each in one way, to show that a check can fail."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import attrs

from parking_lot_core import (
    Checkpoint,
    Command,
    Deliver,
    DeviceRecord,
    Enqueue,
    Event,
    Expire,
    Finished,
    Interrupt,
    Outcome,
    PoolConfig,
    ScheduledTask,
    Start,
    TaskState,
    Tick,
)
from parking_lot_core._values import evolve
from parking_lot_core.testing.dispatching import Verdict
from parking_lot_core.testing.history import Steps
from parking_lot_core.testing.model import Model


class Overcommits(Model):
    """Sees one unit more than there is."""

    def _free(self, device: DeviceRecord) -> int:
        return super()._free(device) + 1


class IgnoresDrop(Model):
    """Goes on starting tasks on the units that a device has lost."""

    def _free(self, device: DeviceRecord) -> int:
        return super()._free(attrs.evolve(device, capacity=device.capacity_max))


class BelievesStaleWorkers(Model):
    """Any end of a task will do, of whichever epoch."""

    def _finished(self, task_id: str, epoch: int, outcome: Outcome) -> None:
        task = self.get(task_id)
        super()._finished(task_id, epoch if task is None else task.epoch, outcome)


class ReusesEpochs(Model):
    """A retry runs under the number of the attempt before it."""

    def _park_again(self, task: ScheduledTask, *, attempts: int, ready_at: float | None) -> None:
        super()._park_again(evolve(task, epoch=task.epoch - 1), attempts=attempts, ready_at=ready_at)


class ReleasesOnInterrupt(Model):
    """Takes the units back before the task has stopped."""

    def _holding(self, device: str) -> list[ScheduledTask]:
        return [task for task in super()._holding(device) if task.stop_reason is None]


class Saying(Model):
    """Changes what the model says, not what it thinks."""

    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return (command,)

    def step(self, event: Event) -> tuple[Command, ...]:
        return tuple(said for command in super().step(event) for said in self.say(event, command))


class DropsOutcomes(Saying):
    """Forgets to deliver failures."""

    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return () if isinstance(command, Deliver) and command.outcome.error else (command,)


class DeliversTwice(Saying):
    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return (command, command) if isinstance(command, Deliver) else (command,)


class ExpiresTwice(Saying):
    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return (command, command) if isinstance(command, Expire) else (command,)


class StartsTwice(Saying):
    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return (command, command) if isinstance(command, Start) else (command,)


class ForgetsRetries(Saying):
    """Does not tell that a task is parked again."""

    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return () if isinstance(command, Enqueue) and isinstance(event, Finished) else (command,)


class ForgetsToInterrupt(Saying):
    def say(self, event: Event, command: Command) -> tuple[Command, ...]:
        return () if isinstance(command, Interrupt) else (command,)


class IgnoresDepth(Model):
    """Lets one too many in."""

    @property
    def places_taken(self) -> int:
        return super().places_taken - 1


class RefusesEarly(Model):
    """Is full with one place left."""

    @property
    def places_taken(self) -> int:
        return super().places_taken + 1


class LastInFirstOut(Model):
    def waiting(self) -> list[ScheduledTask]:
        return sorted(super().waiting(), key=lambda task: (-task.metadata.priority, -task.sequence))


class NeverRetries(Model):
    """Loses sight of delayed tasks."""

    def waiting(self) -> list[ScheduledTask]:
        return [task for task in super().waiting() if not task.epoch]


class IgnoresDelays(Model):
    """Starts tasks before the moment until which they were to wait."""

    def waiting(self) -> list[ScheduledTask]:
        parked = [task for task in self.known if task.state is TaskState.PARKED]
        return sorted(parked, key=lambda task: (-self._class(task), task.tag, task.sequence))


class LosesPlaces(Model):
    """A retried task goes to the end of the line."""

    def _park_again(self, task: ScheduledTask, *, attempts: int, ready_at: float | None) -> None:
        super()._park_again(evolve(task, sequence=self.next_sequence), attempts=attempts, ready_at=ready_at)
        self.next_sequence += 1


class IgnoresAging(Model):
    def _gains(self, task: ScheduledTask) -> list[float]:
        return []


class IgnoresTags(Model):
    """No fair share."""

    def waiting(self) -> list[ScheduledTask]:
        return sorted(super().waiting(), key=lambda task: (-self._class(task), task.sequence))


class OneStartPerStep(Model):
    """Leaves the rest for the next event."""

    def _walk(self) -> bool:
        super()._walk()
        return False


class NeverBackfills(Model):
    """Strict order, whatever the window."""

    def _verdict(self, head: ScheduledTask | None, device: DeviceRecord, task: ScheduledTask) -> Verdict:
        return Verdict.YES if head is None else Verdict.NO


class IgnoresReservations(Model):
    """Backfills whatever fits now, until the window ends."""

    def _shadow(self, head: ScheduledTask, device: DeviceRecord) -> tuple[float, int] | None:
        return None


class MiscountsSpare(Model):
    """Takes one of the units that the head will need."""

    def _shadow(self, head: ScheduledTask, device: DeviceRecord) -> tuple[float, int] | None:
        shadow = super()._shadow(head, device)
        return None if shadow is None else (shadow[0], shadow[1] + 1)


class ForgetsThePresent(Model):
    """Lets pass what is short, though it ends after the reservation."""

    def _verdict(self, head: ScheduledTask | None, device: DeviceRecord, task: ScheduledTask) -> Verdict:
        shadow = None if head is None else self._shadow(head, device)
        if shadow is not None and (task.metadata.run_timeout or 1e9) <= shadow[0] and self.config.backfill_window:
            return Verdict.YES
        return super()._verdict(head, device, task)


class NeverDrains(Model):
    """The window never ends."""

    def _exhausted(self, task: ScheduledTask) -> bool:
        return False


class DrainsLate(Model):
    """One quarter of a second too late."""

    def _exhausted(self, task: ScheduledTask) -> bool:
        self.now -= 0.25
        late = super()._exhausted(task)
        self.now += 0.25
        return late


class PassesUnderStrictOrder(Model):
    def _verdict(self, head: ScheduledTask | None, device: DeviceRecord, task: ScheduledTask) -> Verdict:
        return Verdict.YES if self.config.backfill_window == 0 else super()._verdict(head, device, task)


class StartsExpired(Model):
    """Expires what is past its time, but not what has just reached it."""

    def _timers(self) -> list[tuple[float, int, ScheduledTask]]:
        return [timer for timer in super()._timers() if timer[0] < self.now]


class ExpiresEarly(Model):
    def _timers(self) -> list[tuple[float, int, ScheduledTask]]:
        return [(due - 0.25, sequence, task) for due, sequence, task in super()._timers()]


class ForgetsWhoWaits(Model):
    """Does not save who has been passed over."""

    def checkpoint(self) -> Checkpoint:
        return attrs.evolve(super().checkpoint(), passed_over=())


class ForgetsCapacity(Model):
    """Does not save capacities that changed."""

    def checkpoint(self) -> Checkpoint:
        return attrs.evolve(super().checkpoint(), devices=())


class ForgetsShares(Model):
    def checkpoint(self) -> Checkpoint:
        return attrs.evolve(super().checkpoint(), finish_tags=())


class ForgetsSequence(Model):
    def checkpoint(self) -> Checkpoint:
        used = [task.sequence for task in self.known]
        return attrs.evolve(super().checkpoint(), next_sequence=max(used, default=0) + 1)


class ForgetsTheTime(Model):
    def checkpoint(self) -> Checkpoint:
        return attrs.evolve(super().checkpoint(), now=0.0)


class RemembersOtherRuns(Model):
    """Lets something outside of its events decide: how many pools there were before it."""

    _pools = itertools.count()

    def __init__(self, config: PoolConfig) -> None:
        super().__init__(config)
        self._backwards = next(self._pools) % 2

    def waiting(self) -> list[ScheduledTask]:
        line = super().waiting()
        return line[::-1] if self._backwards else line


class GoesBackInTime(Model):
    def step(self, event: Event) -> tuple[Command, ...]:
        self.now = min(self.now, event.at)
        return super().step(event)


def _brought_nearer(task: ScheduledTask) -> ScheduledTask:
    if task.started_at is None or task.metadata.run_timeout is None:
        return task
    return evolve(task, started_at=task.started_at - 0.25)


class CountsTicks(Model):
    """Every tick brings the end of a run nearer."""

    def step(self, event: Event) -> tuple[Command, ...]:
        if isinstance(event, Tick):
            self.known = [_brought_nearer(task) for task in self.known]
        return super().step(event)


class WakesLate(Model):
    """Has no deadline for delays."""

    def moments(self) -> list[float]:
        delays = {task.ready_at for task in self.known}
        return [moment for moment in super().moments() if moment not in delays]


class NeverSleeps(Model):
    """Has a deadline that is always now."""

    def next_deadline(self) -> float | None:
        return self.now


class OnlyStep:
    """Not broken, but nothing can be asked of it: it hides all of another scheduler but ``step``."""

    def __init__(self, scheduler: Steps) -> None:
        self._scheduler = scheduler

    def step(self, event: Event) -> Sequence[Command]:
        return self._scheduler.step(event)
