"""Everything that may happen in one state, done to both sides and judged."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import attrs

from parking_lot_core import Event, PoolConfig, ScheduledTask
from parking_lot_core.testing.agreement import assert_same_state
from parking_lot_core.testing.explore_events import Happenings, is_a_peek
from parking_lot_core.testing.explore_judge import Judge, Step, deadline_suffices, restored, twin
from parking_lot_core.testing.explore_states import Canon, fingerprint
from parking_lot_core.testing.explore_worlds import SmallWorld
from parking_lot_core.testing.history import Broken
from parking_lot_core.testing.history import step as take
from parking_lot_core.testing.model import Model

Make: TypeAlias = Callable[[PoolConfig], Any]
"""Gives the scheduler to be examined, new and empty: any object with the calls of ``AnyScheduler``."""

Path: TypeAlias = Sequence[int]
"""Choices, from the empty pool on."""

_REMEMBERED_MAX = 4_000_000
STUTTERS = 6  # one of so many events also happens right after one that changed nothing
OTHER_WAYS = 8  # of so many other ways to a known state, one is looked at a little further


@attrs.frozen
class Fault:
    """What happened up to there, and what was seen. ``crash``: after how many events the scheduler was restored."""

    events: tuple[Event, ...]
    invariant: str
    what: str
    crash: int | None = None


class Stop(Exception):
    """A fault was found."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(f"{fault.invariant}: {fault.what}")


@contextmanager
def blame(events: tuple[Event, ...], crash: int | None = None) -> Iterator[None]:
    """Whatever is wrong in here happened with these events. Raises ``Stop``."""
    try:
        yield
    except Broken as broken:
        raise Stop(Fault(events, broken.invariant, broken.what, crash)) from broken
    except Exception as error:  # the scheduler is somebody else's code
        raise Stop(Fault(events, "Agreement", f"it raised {type(error).__name__}: {error}", crash)) from error


@attrs.define
class Place:
    """A state on the way down a path: the model there, and its tasks in the order of the description."""

    choice: int
    model: Model
    order: list[ScheduledTask]


@attrs.define
class Found:
    """What lies one event past some states: fingerprints, the choices that lead there, and from which of the states."""

    fingerprints: array[int] = attrs.field(factory=lambda: array("Q"))
    choices: array[int] = attrs.field(factory=lambda: array("I"))
    sources: array[int] = attrs.field(factory=lambda: array("I"))
    expanded: int = 0
    transitions: int = 0
    fault: Fault | None = None

    def add(self, mark: int, choice: int, source: int) -> None:
        """Note a state."""
        self.fingerprints.append(mark)
        self.choices.append(choice)
        self.sources.append(source)


class Examiner:
    """Does everything that may happen in a state of one world, to the model and to schedulers, and judges.

    A scheduler that has gone the whole way from the empty pool takes each event, and so does one that was restored in
    the state, if it has ``restore``. Events that change nothing (stale, doubled, about strangers) happen to the same
    two one after the other; for each that does change something, another scheduler goes the whole way.

    A scheduler may remember more than can be seen of it. So some events also happen to a scheduler that has just seen
    one that changed nothing. And of the ways to a state, one is gone on from; but at the end of some of the others,
    one more event is looked at.
    """

    def __init__(self, make: Make, world: SmallWorld, reference: type[Model] = Model) -> None:
        self.world = world
        self.events: list[Event] = []
        self._make = make
        self._canon = Canon(world.config)
        self._happenings = Happenings(world, self._canon)
        self._judge = Judge(world.config)
        self._way = [Place(-1, reference(world.config), [])]
        self._known: set[int] = set()
        self._needed: dict[int, float | None] = {}

    def mark(self, model: Model) -> int:
        """The fingerprint of a state."""
        return fingerprint(self._canon.describe(model))

    def root(self) -> int:
        """The fingerprint of the empty pool."""
        return self.mark(self._way[0].model)

    def expand(self, paths: Sequence[Path]) -> Found:
        """Examine the states at the end of these paths, up to the first fault. Tells what it has not told before."""
        found = Found()
        for source, path in enumerate(paths):
            try:
                self._expand(self._go(path), source, found)
            except Stop as stop:
                found.fault = stop.fault
                break
            found.expanded += 1
        return found

    # -- the way to a state --------------------------------------------------------------------------------------

    def _go(self, path: Path) -> Place:
        """Go to the end of a path. Neighbours share most of it: only what is new is walked."""
        way, same = self._way, 0
        while same < len(path) and same + 1 < len(way) and way[same + 1].choice == path[same]:
            same += 1
        del way[same + 1 :], self.events[same:]
        for choice in path[same:]:
            here = way[-1]
            step = Step.of(here.model, self._happenings.event(here.model, here.order, choice))
            self.events.append(step.event)
            way.append(Place(choice, step.after, self._canon.describe_in_order(step.after)[1]))
        return way[-1]

    def arrive(self) -> Any:
        """A scheduler that has gone the whole way."""
        subject = self._make(self.world.config)
        for event in self.events:
            take(subject, event)
        return subject

    # -- one state -----------------------------------------------------------------------------------------------

    def _expand(self, place: Place, source: int, found: Found) -> None:
        here = self.mark(place.model)
        idle: list[Step] = []
        changing: list[tuple[Step, int]] = []
        for choice in self._happenings.choices(place.model, place.order):
            found.transitions += 1
            step = Step.of(place.model, self._happenings.event(place.model, place.order, choice))
            if step.changes_nothing():
                idle.append(step)
                continue
            mark = self.mark(step.after)
            changing.append((step, mark))
            self._take(step, mark, choice)
            if mark not in self._known and not is_a_peek(choice):
                self._remember(mark)
                found.add(mark, choice, source)
        waiting = Idle(self)
        for step in idle:
            waiting.take(step, here)
        for number, (step, mark) in enumerate(changing):
            if (mark ^ here) % STUTTERS == 0:
                self._stutter(idle[(here + number) % len(idle)], step, mark)

    def _stutter(self, idle: Step, step: Step, mark: int) -> None:
        """An event that changes something, right after one that does not, to one that has gone the whole way."""
        with blame((*self.events, idle.event, step.event)):
            subject = self.arrive()
            take(subject, idle.event)
            counted = {name: count - step.before.counters[name] for name, count in idle.after.counters.items()}
            step.after.counters = {name: count + counted[name] for name, count in step.after.counters.items()}
            self.examine(step, subject, mark)

    def _take(self, step: Step, mark: int, choice: int) -> None:
        events = (*self.events, step.event)
        with blame(events):
            subject = self.arrive()
            self.examine(step, subject, mark)
            if mark not in self._known:
                assert_same_state(subject, step.after)
        if hasattr(type(subject), "restore"):
            with blame(events, crash=len(self.events)):
                self.examine_restored(step, restored(subject, self.world.config, step.before), mark)
        if mark in self._known and (mark ^ choice) % OTHER_WAYS == 0:
            self._look_further(step.after, subject, events, mark)

    def _look_further(self, state: Model, subject: Any, events: tuple[Event, ...], number: int) -> None:
        """One event more, of those that there are the one with this number."""
        order = self._canon.describe_in_order(state)[1]
        choices = self._happenings.choices(state, order)
        step = Step.of(state, self._happenings.event(state, order, choices[number % len(choices)]))
        with blame((*events, step.event)):
            self.examine(step, subject, self.mark(step.after))

    def examine(self, step: Step, subject: Any, mark: int) -> None:
        """Raises ``Broken`` if ``subject`` does not take the event as the model did."""
        self._judge.step(step, subject, take(subject, step.event))
        self._look_at_deadline(step, subject, mark)

    def examine_restored(self, step: Step, subject: Any, mark: int) -> None:
        """The same, for one that was restored in the state before."""
        self._judge.restored(step, subject, take(subject, step.event))
        self._look_at_deadline(step, subject, mark)

    def _look_at_deadline(self, step: Step, subject: Any, mark: int) -> None:
        deadline = subject.next_deadline()
        now, moments = step.after.now, step.moments
        if deadline is not None and now < deadline and not (moments and moments[0] < deadline):
            return
        if mark not in self._needed:
            needed = step.after.next_deadline() if moments else None
            self._needed[mark] = None if needed is None else needed - now
        ahead = self._needed[mark]
        deadline_suffices(deadline, now, None if ahead is None else now + ahead)

    def _remember(self, mark: int) -> None:
        """Note what has been told; past a bound, anew: telling twice costs time and nothing else."""
        if len(self._known) >= _REMEMBERED_MAX:
            self._known.clear()
        if len(self._needed) >= _REMEMBERED_MAX:
            self._needed.clear()
        self._known.add(mark)


class Idle:
    """Two schedulers in one state that take, one after the other, all the events that change nothing there."""

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner
        self._live: Any = None
        self._restored: Any = None
        self._taken: list[Event] = []
        self._counted: dict[str, int] = {}

    def take(self, step: Step, mark: int) -> None:
        """Let them take another, to the state of this mark. Raises ``Stop`` at a fault, with no event too many."""
        try:
            self._take(step, mark)
        except Stop as stop:
            raise self._shorter(step, stop) from None

    def _take(self, step: Step, mark: int) -> None:
        examiner = self._examiner
        events = (*examiner.events, *self._taken, step.event)
        with blame(events):
            if self._live is None:
                self._live = examiner.arrive()
            examiner.examine(self._counting_all(step), self._live, mark)
        if hasattr(type(self._live), "restore"):
            with blame(events, crash=len(examiner.events)):
                if self._restored is None:
                    self._restored = restored(self._live, examiner.world.config, step.before)
                examiner.examine_restored(step, self._restored, mark)
        self._taken.append(step.event)

    def _counting_all(self, step: Step) -> Step:
        """The step as it counts here: the model has not taken the events before this one."""
        before, after = step.before.counters, step.after.counters
        self._counted = {name: self._counted.get(name, before[name]) + after[name] - before[name] for name in after}
        counting = attrs.evolve(step, after=twin(step.after))
        counting.after.counters = self._counted
        return counting

    def _shorter(self, step: Step, stop: Stop) -> Stop:
        """Leave out what the fault does not need of the events that change nothing."""
        needed = list(self._taken)
        for event in self._taken:
            fewer = [other for other in needed if other is not event]
            again = Idle(self._examiner)
            try:
                for each in (*fewer, step.event):
                    repeated = Step.of(step.before, each)
                    again._take(repeated, self._examiner.mark(repeated.after))
            except Stop as shorter:
                if shorter.fault.events[-1] is step.event:
                    needed, stop = fewer, shorter
        return stop
