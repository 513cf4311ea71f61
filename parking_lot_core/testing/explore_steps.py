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
from parking_lot_core.testing.explore_judge import Judge, Step, deadline_suffices
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
EXTRAS = 12  # of so many events, one is looked at more closely


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
    """What lies one event past some states: fingerprints, the choices that lead there, and from which of the states.

    ``fault``: what is wrong. ``longer``: what is wrong, but was seen at the end of two events or more.
    """

    fingerprints: array[int] = attrs.field(factory=lambda: array("Q"))
    choices: array[int] = attrs.field(factory=lambda: array("I"))
    sources: array[int] = attrs.field(factory=lambda: array("I"))
    expanded: int = 0
    transitions: int = 0
    fault: Fault | None = None
    longer: Fault | None = None

    def add(self, mark: int, choice: int, source: int) -> None:
        """Note a state."""
        self.fingerprints.append(mark)
        self.choices.append(choice)
        self.sources.append(source)


class Examiner:
    """Does everything that may happen in a state of one world, to the model and to schedulers, and judges.

    Each event that changes something happens to a scheduler that has gone the whole way from the empty pool. It also
    happens to one that was restored in the state before, if there is ``restore``: always, if it leads to a state that
    was not there before, and every other time if it leads to one that was. All events that change nothing (stale,
    doubled, about strangers) happen to another two, one after the other.

    A scheduler may remember more than can be seen of it, and of the ways to a state, only one is gone on from. So some
    events happen once more right after one that changed nothing, and after some of them one more is looked at.
    """

    def __init__(self, make: Make, world: SmallWorld, reference: type[Model] = Model) -> None:
        self.world = world
        self.events: list[Event] = []
        self._make = make
        self._kind: Any = type(make(world.config))
        self.can_restore = hasattr(self._kind, "restore")
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
            subject.step(event)
        return subject

    # -- one state -----------------------------------------------------------------------------------------------

    def _expand(self, place: Place, source: int, found: Found) -> None:
        idle: list[Step] = []
        changing: list[tuple[int, Step]] = []
        for choice in self._happenings.choices(place.model, place.order):
            found.transitions += 1
            step = Step.of(place.model, self._happenings.event(place.model, place.order, choice))
            if step.changes_nothing():
                idle.append(step)
            else:
                changing.append((choice, step))
        with self._putting_off(found):
            self._let_idle(idle, self.mark(place.model))
        for choice, step in changing:
            mark = self.mark(step.after)
            is_new = mark not in self._known
            self._take(step, mark, is_new=is_new, restores=is_new or (mark ^ choice) % 2 == 1)
            if is_new and not is_a_peek(choice):
                self._remember(mark)
                found.add(mark, choice, source)
            if (mark ^ choice) % EXTRAS == 0:
                with self._putting_off(found):
                    self._stutter(idle[(mark >> 16) % len(idle)], step, mark)
                    self._look_further(step, mark)

    @contextmanager
    def _putting_off(self, found: Found) -> Iterator[None]:
        """Whoever comes with more than one event has to wait: there may be a shorter counterexample."""
        try:
            yield
        except Stop as stop:
            if len(stop.fault.events) <= len(self.events) + 1:
                raise
            found.longer = found.longer or stop.fault

    def _take(self, step: Step, mark: int, *, is_new: bool, restores: bool) -> None:
        events = (*self.events, step.event)
        with blame(events):
            subject = self.arrive()
            self.examine(step, subject, mark)
            if is_new:
                assert_same_state(subject, step.after)
        if restores and self.can_restore:
            with blame(events, crash=len(self.events)):
                self.examine_restored(step, self.restored(step.before), mark)

    def restored(self, state: Model) -> Any:
        """A scheduler with what a store would have saved in this state."""
        return self._kind.restore(self.world.config, list(state.known), state.checkpoint())

    def _stutter(self, idle: Step, step: Step, mark: int) -> None:
        """An event right after one that changes nothing."""
        with blame((*self.events, idle.event, step.event)):
            subject = self.arrive()
            subject.step(idle.event)
            self.examine(step.after_idle(idle), subject, mark)

    def _look_further(self, step: Step, number: int) -> None:
        """One event more, of those that there are the one with this number."""
        order = self._canon.describe_in_order(step.after)[1]
        choices = self._happenings.choices(step.after, order)
        event = self._happenings.event(step.after, order, choices[number % len(choices)])
        following = Step.of(step.after, event)
        with blame((*self.events, step.event, event)):
            subject = self.arrive()
            subject.step(step.event)
            self.examine(following, subject, self.mark(following.after))

    def _let_idle(self, steps: list[Step], mark: int) -> None:
        """All events that change nothing, one after the other; if that goes wrong, again with a look after each."""
        try:
            live = self.arrive()
            self._judge.idle(steps, live, counts=True)
            self._look_at_deadline(steps[-1], live, mark)
            if self.can_restore:
                again = self.restored(steps[0].before)
                self._judge.idle(steps, again, counts=False)
                self._look_at_deadline(steps[-1], again, mark)
        except Exception as error:
            waiting = Idle(self)
            for step in steps:
                waiting.take(step, mark)
            events = (*self.events, *(step.event for step in steps))
            raise Stop(Fault(events, "Determinism", f"the first time, not the second: {error}")) from error

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
        self._before: list[Step] = []

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
            counting = step
            for idle in self._before:
                counting = counting.after_idle(idle)
            examiner.examine(counting, self._live, mark)
        if examiner.can_restore:
            with blame(events, crash=len(examiner.events)):
                if self._restored is None:
                    self._restored = examiner.restored(step.before)
                examiner.examine_restored(step, self._restored, mark)
        self._taken.append(step.event)
        self._before.append(step)

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
