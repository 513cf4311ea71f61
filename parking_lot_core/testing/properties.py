"""The invariants of the design as functions: ``holds(make, world)`` raises ``AssertionError`` where one does not hold.

``make(config)`` gives the scheduler to be examined. Numbers are those of the design, section 9. Anyone who drives or
changes the scheduler can call these on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from parking_lot_core import CapacityChanged, Command, Event, Finished, Outcome, OutcomeStatus, PoolConfig, Tick
from parking_lot_core._values import evolve
from parking_lot_core.testing import checks
from parking_lot_core.testing.history import AnyScheduler, Broken, Check, MakeScheduler, Watched, watch
from parking_lot_core.testing.rows import SavedRows, from_json
from parking_lot_core.testing.worlds import World

Property: TypeAlias = Callable[[MakeScheduler, World], None]


def _watched(make: MakeScheduler, world: World, *looking: type[Check]) -> None:
    watch(make(world.config), world.config, world.events, *looking)


def budget(make: MakeScheduler, world: World) -> None:
    """1."""
    _watched(make, world, checks.Budget)


def fencing(make: MakeScheduler, world: World) -> None:
    """2."""
    _watched(make, world, checks.Fencing)


def conservation(make: MakeScheduler, world: World) -> None:
    """3."""
    _watched(make, world, checks.Conservation)


def depth(make: MakeScheduler, world: World) -> None:
    """4."""
    _watched(make, world, checks.Depth)


def order(make: MakeScheduler, world: World) -> None:
    """5."""
    _watched(make, world, checks.Order)


def work_conservation(make: MakeScheduler, world: World) -> None:
    """6."""
    _watched(make, world, checks.WorkConservation)


def no_delay(make: MakeScheduler, world: World) -> None:
    """7. Any world: a reservation never moves away."""
    _watched(make, world, checks.NoDelay)


def starts_in_time(make: MakeScheduler, world: World) -> None:
    """7. Worlds in which every run ends by its limit: the head starts by the end of its reservation."""
    _watched(make, world, checks.StartsInTime)


def bounded_bypass(make: MakeScheduler, world: World) -> None:
    """8."""
    _watched(make, world, checks.BoundedBypass)


def expiry(make: MakeScheduler, world: World) -> None:
    """9."""
    _watched(make, world, checks.Expiry)


def restores(make: MakeScheduler, world: World) -> None:
    """10. After every event, what was saved, as JSON, gives a scheduler that answers the rest of the events alike."""
    original, saved, snapshots, answers = make(world.config), SavedRows(), [], []
    for event in world.events:
        answers.append(original.step(event))
        saved.save(event, answers[-1])
        snapshots.append(saved.as_json(original.checkpoint()))
    for done, snapshot in enumerate(snapshots, start=1):
        restored = _restored(original, world.config, snapshot)
        for event, answer in zip(world.events[done:], answers[done:], strict=True):
            again = restored.step(event)
            if again != answer:
                raise Broken("restore", f"after {done} events, {event} gave {again} in place of {answer}")


def _restored(original: Any, config: PoolConfig, snapshot: str) -> AnyScheduler:
    restored: AnyScheduler = type(original).restore(config, *from_json(snapshot))
    return restored


def everything_ends(make: MakeScheduler, world: World) -> None:
    """13. From now on every run succeeds and every device is large enough: nothing stays in the lot."""
    watched = Watched(make(world.config), world.config)
    for event in world.events:
        watched.step(event)
    history = watched.history
    enough = max([*history.capacity_max.values(), *(task.units for task in history.rows.values())])
    for device in history.capacity:
        watched.step(CapacityChanged(device, enough, history.now))
    for _ in range(3 * len(history.rows)):
        deadline = watched.scheduler.next_deadline()
        if runs := history.holding():
            watched.step(Finished(runs[0].id, runs[0].epoch, Outcome(OutcomeStatus.SUCCEEDED), history.now))
        elif deadline is not None:
            watched.step(Tick(deadline))
    if history.rows:
        raise Broken("liveness", f"{list(history.rows)} never end")


def deterministic(make: MakeScheduler, world: World) -> None:
    """11, within one process: the same events give the same bytes."""
    first, second = transcript(make, world), transcript(make, world)
    if first != second:
        raise Broken("determinism", f"{first}\n{second}")


def transcript(make: MakeScheduler, world: World) -> str:
    """Everything that the scheduler says, as text."""
    scheduler, lines = make(world.config), []
    for event in world.events:
        lines.append(f"{scheduler.step(event)!r} {scheduler.next_deadline()!r} {scheduler.checkpoint()!r}")
    return "\n".join(lines)


def clamps_time(make: MakeScheduler, world: World) -> None:
    """12. A time that runs backwards counts as the latest one seen."""
    as_given, clamped, now = make(world.config), make(world.config), 0.0
    for event in world.events:
        now = max(now, event.at)
        answer, expected = as_given.step(event), clamped.step(evolve(event, at=now))
        if answer != expected or as_given.checkpoint() != clamped.checkpoint():
            raise Broken("time", f"{event} at {now} gave {answer} in place of {expected}")


def repeated_tick_does_nothing(make: MakeScheduler, world: World) -> None:
    """12. After any event, a ``Tick`` at the same moment changes nothing."""
    scheduler = make(world.config)
    for event in world.events:
        scheduler.step(event)
        before = (scheduler.checkpoint(), list(scheduler.tasks()))
        commands = scheduler.step(Tick(before[0].now))
        if commands or before != (scheduler.checkpoint(), list(scheduler.tasks())):
            raise Broken("time", f"a tick after {event} gave {commands}")


def deadlines_suffice(make: MakeScheduler, world: World) -> None:
    """12. Ticking at the deadlines alone is as good as ticking four times a second."""
    thrifty = _timed(make, world, lazy=True)
    eager = _timed(make, world, lazy=False)
    if thrifty != eager:
        raise Broken("time", f"ticking at deadlines gave {thrifty}, ticking always {eager}")


TAIL = 30.0  # seconds after the last event
TICKS_MAX = 10_000


def _timed(make: MakeScheduler, world: World, *, lazy: bool) -> list[tuple[float, Command]]:
    """(moment, command) of a run in which the driver sends ticks between the events, and for a while after them."""
    watched = Watched(make(world.config), world.config)
    said: list[tuple[float, Command]] = []

    def happen(event: Event) -> None:
        commands = watched.step(event)
        said.extend((watched.history.now, command) for command in commands)

    def wait_until(moment: float) -> None:
        for _ in range(TICKS_MAX):
            now = watched.history.now
            wake = watched.scheduler.next_deadline() if lazy else now + 0.25
            if wake is None or wake >= moment:
                return
            if wake <= now:
                raise Broken("time", f"deadline {wake} at {now}")
            happen(Tick(wake))
        raise Broken("time", "the deadlines never end")

    for event in world.events:
        wait_until(event.at)
        happen(event)
    wait_until(watched.history.now + TAIL)
    return said
