"""What a search has to say, as values, as text, as JSON; and a fault as a story that can be played."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import attrs

from parking_lot_core import Event, PoolConfig
from parking_lot_core.testing.explore_steps import Fault, Make
from parking_lot_core.testing.trace import Story, as_story


@attrs.frozen(kw_only=True)
class Counterexample:
    """A shortest sequence of events at the end of which something is wrong.

    Attributes:
        pool: name of the world.
        config: the pool.
        fault: the events, and what is wrong.
        story: all of it as text: ``read_story`` gives config and events again, ``Story`` plays it.
    """

    pool: str
    config: PoolConfig
    fault: Fault
    story: str

    def __str__(self) -> str:
        return f"{self.fault.invariant} does not hold in {self.pool!r}:\n\n{self.story}"


@attrs.frozen(kw_only=True)
class WorldReport:
    """What was seen of one world.

    Attributes:
        pool: its name.
        states: distinct states that were reached; each was compared on arrival.
        expanded: those of them in which everything that may happen was tried.
        transitions: events that were tried, those that change nothing included.
        tasks: tasks at a time, in the last round.
        exhausted: with so many tasks at a time (0: not even one), every sequence of events was tried, however long.
        depth: all sequences of so many events were tried in the last round.
        stopped: what ended it: ``exhausted``, ``depth``, ``states``, ``time`` or ``fault``.
        seconds: how long it took.
    """

    pool: str
    states: int
    expanded: int
    transitions: int
    tasks: int
    exhausted: int
    depth: int
    stopped: str
    seconds: float

    @property
    def extent(self) -> str:
        """How far the search went, in words."""
        parts = [f"all with {_tasks(self.exhausted)}"] if self.exhausted else []
        if self.stopped != "exhausted":
            parts.append(f"{_tasks(self.tasks)} to depth {self.depth}")
        return ", ".join(parts)


@attrs.frozen(kw_only=True)
class Report:
    """What was seen of all worlds. ``seconds``: how long it took, start and end of processes included."""

    worlds: Sequence[WorldReport]
    counterexample: Counterexample | None
    processes: int
    seconds: float

    @property
    def states(self) -> int:
        """Distinct states, in all worlds together."""
        return sum(world.states for world in self.worlds)

    @property
    def transitions(self) -> int:
        """Events that were tried, in all worlds together."""
        return sum(world.transitions for world in self.worlds)

    def __str__(self) -> str:
        head = f"{'pool':<26}{'states':>12}{'transitions':>14}{'seconds':>10}{'states/s':>10}  extent"
        lines = [head]
        for world in self.worlds:
            lines.append(_line(world.pool, world.states, world.transitions, world.seconds) + f"  {world.extent}")
        lines.append(_line("total", self.states, self.transitions, self.seconds))
        if self.counterexample is not None:
            lines += ["", str(self.counterexample)]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The same as values that JSON knows."""
        found = self.counterexample
        return {
            "states": self.states,
            "transitions": self.transitions,
            "seconds": round(self.seconds, 3),
            "states_per_s": _rate(self.states, self.seconds),
            "processes": self.processes,
            "pools": [
                {
                    **attrs.asdict(world),
                    "seconds": round(world.seconds, 3),
                    "states_per_s": _rate(world.states, world.seconds),
                }
                for world in self.worlds
            ],
            "counterexample": None
            if found is None
            else {
                "pool": found.pool,
                "invariant": found.fault.invariant,
                "what": found.fault.what,
                "events": len(found.fault.events),
                "story": found.story,
            },
        }


def counterexample(make: Make, pool: str, config: PoolConfig, fault: Fault) -> Counterexample:
    """Tell a fault as a story, with the answers of the scheduler that is at fault."""
    happened: list[Event | str] = list(fault.events)
    if fault.crash is not None:
        happened.insert(fault.crash, "crash")
    comment = f"{fault.invariant} is broken: {fault.what}"
    text = as_story(config, happened, comment=comment)
    with contextlib.suppress(Exception):  # a scheduler that raises has no answers to tell
        text = Story(text, make).retell()
    return Counterexample(pool=pool, config=config, fault=fault, story=text)


def _line(name: str, states: int, transitions: int, seconds: float) -> str:
    return f"{name:<26}{states:>12,}{transitions:>14,}{seconds:>10.1f}{_rate(states, seconds):>10,}"


def _rate(count: int, seconds: float) -> int:
    return round(count / seconds) if seconds > 0 else 0


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"
