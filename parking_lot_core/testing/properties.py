"""Invariants that take several runs, as functions: ``holds(make, world)`` raises ``Broken`` where one does not hold.

``make(config)`` gives the scheduler to be examined, new and empty. Numbers are those of the design, section 9. Anyone
who drives or changes the scheduler can call these on their own; ``verify`` calls those that are asked for in many
worlds. What a function needs of the scheduler beside ``step`` is in its docstring.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

from parking_lot_core import (
    CapacityChanged,
    Command,
    Event,
    Finished,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Tick,
)
from parking_lot_core._values import evolve
from parking_lot_core.testing.agreement import differing_view
from parking_lot_core.testing.history import Broken, History, MakeScheduler, Steps, Watched, ask, step
from parking_lot_core.testing.rows import SavedRows, from_json
from parking_lot_core.testing.wording import contrast, say, say_all, unlike, write_event
from parking_lot_core.testing.worlds import World

Property: TypeAlias = Callable[[MakeScheduler, World], None]


# 10. Crash safety


def restores(make: MakeScheduler, world: World) -> None:
    """10. After every event, what was saved, as JSON, gives a scheduler that answers the rest of the events alike.

    Needs ``checkpoint()``, and ``restore(config, tasks, checkpoint)`` on the class of the scheduler.
    """
    original, saved, snapshots, answers = make(world.config), SavedRows(), [], []
    for event in world.events:
        answers.append(step(original, event))
        saved.save(event, answers[-1])
        snapshots.append(saved.as_json(_saved(original)))
    for done, snapshot in enumerate(snapshots, start=1):
        restored = _restored(original, world.config, snapshot)
        for event, answer in zip(world.events[done:], answers[done:], strict=True):
            again = step(restored, event)
            if again != answer:
                what = f"restored after event {done}, {write_event(event)}: {contrast(again, answer)}"
                raise Broken("CrashSafety", what, crashes=(done,))


def restores_again_and_again(make: MakeScheduler, world: World) -> None:
    """10. The same, with a crash after every event. Needs what ``restores`` needs."""
    original, crashing, saved = make(world.config), make(world.config), SavedRows()
    for done, event in enumerate(world.events):
        answer, again = step(original, event), step(crashing, event)
        if again != answer:
            what = f"restored after every event, {write_event(event)}: {contrast(again, answer)}"
            raise Broken("CrashSafety", what, crashes=range(1, done + 1))
        saved.save(event, again)
        crashing = _restored(crashing, world.config, saved.as_json(_saved(crashing)))
        if (view := differing_view(crashing, original, list(saved.rows), but=("tasks",))) is not None:
            what = f"restored after every event, the last {write_event(event)}: {view}"
            raise Broken("CrashSafety", what, crashes=range(1, done + 2))


def _saved(scheduler: Steps) -> Any:
    return ask(scheduler, "checkpoint")()


def _restored(original: Any, config: PoolConfig, snapshot: str) -> Steps:
    restored: Steps = type(original).restore(config, *from_json(snapshot))
    return restored


# 11. Determinism


def deterministic(make: MakeScheduler, world: World) -> None:
    """11, within one process: the same events give the same bytes. Deadlines and checkpoints, where it has them."""
    first, second = _lines(make, world), _lines(make, world)
    for event, one, other in zip(world.events, first, second, strict=True):
        if one != other:
            raise Broken("Determinism", f"{write_event(event)} gave {one}, and the second time {other}")


def transcript(make: MakeScheduler, world: World) -> str:
    """Everything that the scheduler says, as text: compare it between processes, machines and hash seeds."""
    return "\n".join(_lines(make, world))


def _lines(make: MakeScheduler, world: World) -> list[str]:
    scheduler, lines = make(world.config), []
    for event in world.events:
        said = [step(scheduler, event)]
        said += [view() for name in ("next_deadline", "checkpoint") if (view := ask(scheduler, name)) is not None]
        lines.append(" ".join(map(repr, said)))
    return lines


# 12. Time


def clamps_time(make: MakeScheduler, world: World) -> None:
    """12. A time that runs backwards counts as the latest one seen."""
    as_given, clamped, now = make(world.config), make(world.config), 0.0
    for event in world.events:
        now = max(now, event.at)
        answer, expected = step(as_given, event), step(clamped, evolve(event, at=now))
        if answer != expected:
            raise Broken("Time", f"{write_event(event)}, when it was {now}: {contrast(answer, expected)}")
        if _state(as_given) != _state(clamped):
            raise Broken(
                "Time",
                f"{write_event(event)}, when it was {now}, left {unlike(_state(as_given), _state(clamped), 'state')}",
            )


def repeated_tick_does_nothing(make: MakeScheduler, world: World) -> None:
    """12. After any event, a ``Tick`` at the same moment changes nothing, neither now nor later."""
    plain, ticked, now = make(world.config), make(world.config), 0.0
    for event in world.events:
        now = max(now, event.at)
        answer, expected = step(ticked, event), step(plain, event)
        if answer != expected:
            raise Broken("Time", f"after repeated ticks, {write_event(event)}: {contrast(answer, expected)}")
        before = _state(ticked)
        commands = step(ticked, Tick(now))
        if commands or before != _state(ticked):
            changed = say_all(commands) if commands else unlike(_state(ticked), before, "state")
            raise Broken("Time", f"{write_event(event)}, and a second tick at {now} gives: {changed}")


def _state(scheduler: Steps) -> tuple[object, object]:
    """What can be seen of the state: checkpoint and tasks, where the scheduler has them."""
    checkpoint, tasks = ask(scheduler, "checkpoint"), ask(scheduler, "tasks")
    return checkpoint and checkpoint(), tasks and list(tasks())


def deadlines_suffice(make: MakeScheduler, world: World) -> None:
    """12. Ticking at the deadlines alone is as good as ticking four times a second, where there are deadlines."""
    if ask(make(world.config), "next_deadline") is None:
        return
    thrifty = _timed(make, world, lazy=True)
    eager = _timed(make, world, lazy=False)
    for one, other in itertools.zip_longest(thrifty, eager):
        if one != other:
            raise Broken("Time", f"with ticks at the deadlines {_at(one)}, with more of them {_at(other)}")


def _at(said: tuple[float, Command] | None) -> str:
    return "no more" if said is None else f"[{say(said[1])}] at {said[0]}"


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
                raise Broken("Time", f"deadline {wake} at {now}")
            happen(Tick(wake))
        raise Broken("Time", "the deadlines never end")

    for event in world.events:
        wait_until(event.at)
        happen(event)
    wait_until(watched.history.now + TAIL)
    return said


# 13. Liveness


def everything_ends(make: MakeScheduler, world: World) -> None:
    """13. From now on every run succeeds and every device is large enough: nothing stays in the lot.

    Ticks come when ``next_deadline()`` says so, or, where the scheduler has none, whenever something may come true.
    """
    watched = Watched(make(world.config), world.config)
    for event in world.events:
        watched.step(event)
    history = watched.history
    bound = len(history.rows) * EVENTS_FOR_A_TASK
    enough = max([*history.capacity_max.values(), *(task.units for task in history.rows.values())])
    for device in history.capacity:
        watched.step(CapacityChanged(device, enough, history.now))
    for _ in range(bound):
        last = _next_without_faults(watched)
        if last is None:
            break
        watched.step(last)
    if history.rows:
        raise Broken("Liveness", f"faults off, still there at {history.now}: {_standings(history)}")


EVENTS_FOR_A_TASK = 8
"""One end; and a tick for each moment that time brings it: delay, bound on waiting, three gains of class by aging, the
end of the window in which it may be passed over, and the moment from which a run is too long to be let pass."""


def _next_without_faults(watched: Watched) -> Event | None:
    """What happens next where every run succeeds at once; ``None`` if nothing ever will."""
    history = watched.history
    if runs := history.holding():
        return Finished(runs[0].id, runs[0].epoch, Outcome(OutcomeStatus.SUCCEEDED), history.now)
    deadline = ask(watched.scheduler, "next_deadline")
    wake = deadline() if deadline is not None else min(history.moments(), default=None)
    return None if wake is None else Tick(max(wake, history.now))


def _standings(history: History) -> str:
    return ", ".join(f"{task.id} {task.state.value}" for task in history.known)
