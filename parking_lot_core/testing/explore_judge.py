"""What must hold of one step, and how it is found out: the model, the rows of a store, the invariants by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from parking_lot_core import Checkpoint, Command, Event, PoolConfig, Reject
from parking_lot_core.testing import checks
from parking_lot_core.testing.agreement import comparable
from parking_lot_core.testing.explore_events import OFFERED
from parking_lot_core.testing.history import AnyScheduler, Broken, Check, History
from parking_lot_core.testing.history import step as take
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.wording import contrast, unlike

PER_STEP: tuple[type[Check], ...] = (
    checks.Budget,
    checks.Fencing,
    checks.Conservation,
    checks.Depth,
    checks.Order,
    checks.WorkConservation,
    checks.NoDelay,
    checks.BoundedBypass,
    checks.Expiry,
)
COUNTERS = ("stale_finishes", "stale_withdrawals", "idle_cancels", "ignored_offers")


def twin(model: Model) -> Model:
    """A model that goes on from here on its own. Models replace tasks and devices and never change them."""
    copy = object.__new__(type(model))
    copy.__dict__.update(model.__dict__)
    copy.known = list(model.known)
    copy.records = list(model.records)
    copy.finish_tags = dict(model.finish_tags)
    copy.passed_over = dict(model.passed_over)
    copy.counters = dict(model.counters)
    return copy


@attrs.define
class Step:
    """One event, and what the model did with it."""

    before: Model
    event: Event
    after: Model
    expected: tuple[Command, ...]
    saved: Checkpoint
    moments: list[float]

    @classmethod
    def of(cls, before: Model, event: Event) -> Step:
        """Let the model take the event."""
        after = twin(before)
        expected = after.step(event)
        return cls(before, event, after, expected, after.checkpoint(), after.moments())

    def after_idle(self, idle: Step) -> Step:
        """The same step right after one that changed nothing but a counter."""
        after = twin(self.after)
        for name, count in idle.after.counters.items():
            after.counters[name] += count - idle.before.counters[name]
        return attrs.evolve(self, after=after)

    def changes_nothing(self) -> bool:
        """Whether the state is the same, all that counts and all that does not."""
        before, after = self.before, self.after
        return (
            all(isinstance(command, Reject) for command in self.expected)
            and before.now == after.now
            and before.known == after.known
            and before.records == after.records
            and before.passed_over == after.passed_over
        )


class Invariants:
    """The checks of ``checks.py``, for one step out of the middle of a history.

    What a check remembers of the steps before is a function of the state before the step, and is worked out from it:
    who has been passed over since when is part of a checkpoint, and the promise of a reservation is what ``NoDelay``
    sees when it looks at that state.
    """

    def __init__(self, config: PoolConfig) -> None:
        self._config = config
        self._promised: tuple[Model | None, Any] = (None, None)

    def hold(self, step: Step, answer: Sequence[Command], subject: AnyScheduler) -> None:
        """Raises ``Broken`` with the name of an invariant that this step breaks. ``subject`` has taken it."""
        before, event = step.before, step.event
        history = History(self._config)
        history.now = before.now
        history.rows = {task.id: task for task in before.known}
        history.capacity = {record.device: record.capacity for record in before.records}
        history.capacity_max = {record.device: record.capacity_max for record in before.records}
        looking = [kind(history) for kind in PER_STEP]
        for check in looking:
            self._remind(check, before, subject)
        history.begin(event)
        for check in looking:
            check.event(event)
        for command in answer:
            history.arrive_before(command)
            for check in looking:
                check.command(command)
            history.apply(command)
        history.end()
        for check in looking:
            check.after(subject)

    def _remind(self, check: Check, state: Model, subject: AnyScheduler) -> None:
        """Let a check know what it would if it had seen everything up to this state."""
        if isinstance(check, checks.NoDelay):
            if self._promised[0] is not state:
                check.after(subject)
                self._promised = (state, check.promise)
            check.promise = self._promised[1]
        if isinstance(check, checks.Policy):
            check.passed = dict(state.passed_over)
        if isinstance(check, checks.Depth):
            check.offered = {task.sequence for task in state.known if task.id.startswith(OFFERED)}


class Judge:
    """Compares what a scheduler did with what the model did, and with what must hold whoever did it."""

    def __init__(self, config: PoolConfig) -> None:
        self._invariants = Invariants(config)

    def step(self, step: Step, subject: AnyScheduler, answer: tuple[Command, ...]) -> None:
        """Raises ``Broken`` where the answer, the state or an invariant is not as it must be."""
        wrong = contrast(answer, step.expected) if answer != step.expected else difference(subject, step)
        if wrong is not None:
            raise self._named(step, subject, answer, wrong)
        _counted_alike(subject, step.after.counters)
        if answer or not step.changes_nothing():
            self._invariants.hold(step, answer, subject)

    def idle(self, steps: Sequence[Step], subject: AnyScheduler, *, counts: bool) -> None:
        """Let ``subject`` take events that change nothing. Raises ``Broken`` if it is not the same in the end.

        ``counts``: it has come all the way, and has counted what the model has.
        """
        counted = dict(steps[0].before.counters)
        for step in steps:
            answer = take(subject, step.event)
            if answer != step.expected:
                raise Broken("Agreement", contrast(answer, step.expected))
            if answer:
                self._invariants.hold(step, answer, subject)
            for name, count in step.after.counters.items():
                counted[name] += count - step.before.counters[name]
        wrong = difference(subject, steps[-1])
        if wrong is not None:
            raise Broken("Agreement", wrong)
        if counts:
            _counted_alike(subject, counted)

    def restored(self, step: Step, subject: AnyScheduler, answer: tuple[Command, ...]) -> None:
        """The same of a scheduler that was restored before the step."""
        wrong = contrast(answer, step.expected) if answer != step.expected else difference(subject, step)
        if wrong is not None:
            raise Broken("CrashSafety", f"once restored: {wrong}")

    def _named(self, step: Step, subject: AnyScheduler, answer: tuple[Command, ...], what: str) -> Broken:
        """A disagreement, by the name of the invariant that it breaks if it breaks one."""
        try:
            self._invariants.hold(step, answer, subject)
        except Broken as broken:
            return Broken(broken.invariant, f"{broken.what}; the answer: {what}")
        except Exception as error:  # a wild answer may leave a check without the rows that it needs
            what = f"{what} ({type(error).__name__} in a check: {error})"
        return Broken("Agreement", what)


def difference(subject: AnyScheduler, step: Step) -> str | None:
    """How the states after a step differ, in words; ``None`` if they do not."""
    tasks = list(subject.tasks())
    if tasks != step.after.known:
        return unlike(tasks, step.after.known, "tasks")
    saved = subject.checkpoint()
    if saved != step.saved and comparable(saved) != comparable(step.saved):
        return unlike(comparable(saved), comparable(step.saved), "checkpoint")
    return None


def deadline_suffices(deadline: float | None, now: float, needed: float | None) -> None:
    """Raises ``Broken`` for a deadline that is past, or later than a moment at which a tick would do something."""
    if deadline is not None and deadline <= now:
        raise Broken("Time", f"next_deadline gave {deadline} at {now}")
    if needed is not None and (deadline is None or deadline > needed):
        raise Broken("Time", f"next_deadline gave {deadline}, but a tick at {needed} does something")


def _counted_alike(subject: AnyScheduler, expected: dict[str, int]) -> None:
    counters = subject.counters
    counted = counters if isinstance(counters, dict) else {name: getattr(counters, name) for name in COUNTERS}
    if counted != expected:
        raise Broken("Agreement", unlike(counted, expected, "counters"))
