"""A Hypothesis state machine that holds a scheduler, ours or anybody's, to the invariants by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, ClassVar

from parking_lot_core import Event, PoolConfig, ScheduledTask, Scheduler
from parking_lot_core.testing import worlds as making
from parking_lot_core.testing._needs import MissingHypothesis
from parking_lot_core.testing.history import History, Steps, Watched, rank_by_the_rules
from parking_lot_core.testing.invariants import checks_of, chosen, examine, run_again
from parking_lot_core.testing.verification import counterexample
from parking_lot_core.testing.wording import write_config, write_event
from parking_lot_core.testing.worlds import KINDS, Climate, Kind, World

try:
    from hypothesis import HealthCheck, Phase, settings
    from hypothesis import strategies as st
    from hypothesis.control import current_build_context, currently_in_test_context
    from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

    from parking_lot_core.testing.strategies import configs, events, submissions
except ModuleNotFoundError as missing:
    raise MissingHypothesis("SchedulerMachine") from missing


class _Line:
    """A pool or an event that prints as a line of a story in the list of steps that Hypothesis gives."""

    def __init__(self, text: str, value: Any) -> None:
        self.text = text
        self.value = value

    def __repr__(self) -> str:
        return f"<{self.text}>"


def _line(event: Event) -> _Line:
    return _Line(write_event(event), event)


def _lines(events: Sequence[Event]) -> list[_Line]:
    return [_line(event) for event in events]


@st.composite
def _opening(draw: st.DrawFn, machine: SchedulerMachine) -> tuple[_Line, list[_Line]]:
    """A pool of the machine's, and the crowd that the climate begins with."""
    config = draw(configs(machine.climate) if machine.pools is None else machine.pools)
    burst = machine.climate.burst
    crowd = draw(submissions(machine.climate, History(config), least=burst, most=burst))
    return _Line(write_config(config), config), _lines(crowd)


@st.composite
def _event(draw: st.DrawFn, machine: SchedulerMachine, kinds: tuple[Kind, ...]) -> _Line:
    return _line(draw(events(machine.climate, machine.history, *kinds)))


@st.composite
def _crowd(draw: st.DrawFn, machine: SchedulerMachine) -> list[_Line]:
    return _lines(draw(submissions(machine.climate, machine.history)))


def _next(*kinds: Kind) -> st.SearchStrategy[_Line]:
    """An event of one of these kinds that may happen next."""
    return st.runner().flatmap(lambda machine: _event(machine, kinds))


def _several() -> st.SearchStrategy[list[_Line]]:
    """Submissions that may happen next."""
    return st.runner().flatmap(_crowd)


def _where(kind: Kind) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The rule applies where the climate has events of this kind."""
    return precondition(lambda machine: kind in (machine.climate.kinds or KINDS))


def _is_final() -> bool:
    """Whether Hypothesis runs an example for the last time, to report it; also where it is not Hypothesis that runs."""
    return not currently_in_test_context() or current_build_context().is_final


class SchedulerMachine(RuleBasedStateMachine):
    """Everything that may happen to a pool, in any order, under the eyes of the invariants.

    Subclass it, say in ``make`` which scheduler is meant, and let pytest or unittest find ``TestCase``::

        class MyMachine(SchedulerMachine):
            holds = INVARIANTS.keys() - {"Agreement"}

            def make(self, config):
                return MyScheduler(config)

        TestMyScheduler = MyMachine.TestCase

    The scheduler needs ``step(event)``, which returns a tuple of commands, and nothing else. What else it has is
    examined too: ``next_deadline()``, ``checkpoint()`` with ``restore(config, tasks, checkpoint)`` on its class, and
    the views ``tasks()``, ``devices`` and those in ``agreement.VIEWS``.

    An invariant that does not hold raises ``Broken``, whose message ends with the events as a story. Those that look
    on during a run are checked at every event, the others at the end of a run, which is then run again. The story is
    cut down to the events that it takes; the steps that Hypothesis prints beside it are not, unless ``Phase.shrink`` is
    added to the ``phases`` of ``TestCase.settings``.

    Attributes:
        holds: names from ``INVARIANTS``; ``None`` for all that the scheduler can be asked about.
        climate: what kinds of events there are, and what kinds of pools, tasks and moments.
        pools: a strategy for the pools; ``None`` for those of the climate.
        config: the pool of the current run.
        watched: the scheduler of the current run with its witnesses; ``watched.scheduler`` is the scheduler itself.
    """

    holds: ClassVar[Collection[str] | None] = None
    climate: ClassVar[Climate] = Climate()
    pools: ClassVar[st.SearchStrategy[PoolConfig] | None] = None

    config: PoolConfig
    watched: Watched

    def __init_subclass__(cls) -> None:
        """The story is cut down here, which takes a second where Hypothesis would need minutes to cut its own steps."""
        phases = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
        cls.TestCase.settings = settings(deadline=None, suppress_health_check=list(HealthCheck), phases=phases)

    def make(self, config: PoolConfig) -> Steps:
        """The scheduler to be examined, new and empty. It is called several times in a run."""
        return Scheduler(config)

    def rank(self, task: ScheduledTask, lot: History) -> Any:
        """What orders the line of parked tasks: the one with the smallest rank is the first. Here: the rules."""
        return rank_by_the_rules(task, lot)

    @property
    def history(self) -> Any:
        """What the lot looks like, told from the commands alone; event strategies look at it."""
        return self.watched.history

    def happens(self, event: Event) -> None:
        """The scheduler takes the event. Rules of one's own call this."""
        if self.climate.timely:
            while (due := making.first_due(self.history, event.at)) is not None:
                self._take(making.ended(*due))
        self._take(event)

    def _take(self, event: Event) -> None:
        try:
            self.watched.step(event)
        except Exception as error:
            self._failed = True
            raise self._told(error) from None

    def _told(self, error: Exception) -> Exception:
        """The error; when Hypothesis has made up its mind, with the plainest story that leads to it."""
        world = World(self.config, tuple(self.watched.events))
        return counterexample(self.make, world, error, self._examine) if _is_final() else error

    def _examine(self, world: World) -> None:
        examine(self.make, world, self._names, rank=self.rank)

    @initialize(opening=st.runner().flatmap(_opening))
    def open(self, opening: tuple[_Line, list[_Line]]) -> None:
        """There is a pool, and perhaps a crowd before it."""
        pool, crowd = opening
        self.config = pool.value
        self._failed = True  # until the pool is open
        scheduler = self.make(self.config)
        self._names = chosen(scheduler, self.holds)
        looking = checks_of(self._names)
        self.watched = Watched(scheduler, self.config, *looking, rank=self.rank)
        self._failed = False
        for event in crowd:
            self.happens(event.value)

    @_where(making.submitted)
    @rule(events=_several())
    def submit(self, events: list[_Line]) -> None:
        """Up to four submissions, which may be refused."""
        for event in events:
            self.happens(event.value)

    @_where(making.finished)
    @precondition(lambda machine: machine.history.holding())
    @rule(event=_next(making.finished))
    def finish(self, event: _Line) -> None:
        """A run ends; now and then one that has ended before, or that never was."""
        self.happens(event.value)

    @_where(making.finished)
    @rule(event=_next(making.finished))
    def finish_perhaps(self, event: _Line) -> None:
        """The same, also where nothing runs."""
        self.happens(event.value)

    @_where(making.tick)
    @rule(event=_next(making.tick))
    def tick(self, event: _Line) -> None:
        """Time passes, or seems to run backwards."""
        self.happens(event.value)

    @_where(making.offered)
    @rule(event=_next(making.offered))
    def offer(self, event: _Line) -> None:
        """A task that is durable elsewhere is offered to this host."""
        self.happens(event.value)

    @_where(making.cancelled)
    @rule(event=_next(making.cancelled))
    def cancel(self, event: _Line) -> None:
        """A caller no longer wants a task."""
        self.happens(event.value)

    @_where(making.withdrawn)
    @rule(event=_next(making.withdrawn))
    def withdraw(self, event: _Line) -> None:
        """Another host took a task."""
        self.happens(event.value)

    @_where(making.capacity_changed)
    @rule(event=_next(making.capacity_changed))
    def change_capacity(self, event: _Line) -> None:
        """A device has more or fewer units, or is new."""
        self.happens(event.value)

    def teardown(self) -> None:
        """The run is over: what runs the events again has its turn. A subclass that overrides this calls it too."""
        if getattr(self, "_failed", True):
            return
        try:
            run_again(self.make, World(self.config, tuple(self.watched.events)), self._names)
        except Exception as error:
            raise self._told(error) from None
