"""Recording vectors, playing them to an implementation, and the digest of everything that it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from parking_lot_core import Checkpoint, Event, PoolConfig, ScheduledTask
from tests.vectors import plain
from tests.vectors.plain import Plain

FOLDER = Path(__file__).parent
FORMAT = "parking-lot-vectors/1"


class Implementation(Protocol):
    """What has to be there to answer a vector: a class with this, and ``restore`` (``Scheduler`` is one)."""

    def __call__(self, config: PoolConfig) -> Any: ...
    def restore(self, config: PoolConfig, tasks: Iterable[ScheduledTask], checkpoint: Checkpoint) -> Any: ...


@attrs.frozen
class Crash:
    """A step of a scenario: go on with what ``restore`` makes of the saved tasks, under ``config`` if it is given."""

    config: PoolConfig | None = None


@attrs.frozen
class Check:
    """A step of a scenario: write down the whole state."""


Step = Event | Crash | Check


@attrs.frozen
class Scenario:
    """A pool and what happens to it, before anybody has answered."""

    name: str
    about: str
    config: PoolConfig
    steps: Sequence[Step]


class Mismatch(AssertionError):
    """An implementation answered a vector differently."""


def paths() -> list[Path]:
    """The files with vectors, by name."""
    return sorted(path for path in FOLDER.glob("*.json") if path.name != "schema.json")


def read(path: Path) -> list[Plain]:
    """The vectors of one file."""
    found: list[Plain] = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return found


def as_text(about: str, vectors: Sequence[Plain]) -> str:
    """A file: JSON, with one step on each line, so that a person can read it and a difference shows what it is."""
    lines = ["{", f'"format": {_json(FORMAT)},', f'"about": {_json(about)},', '"vectors": [']
    for vector in vectors:
        lines += ["{", *(f'"{key}": {_json(vector[key])},' for key in ("name", "about", "config")), '"steps": [']
        steps = [_json(step) for step in vector["steps"]]
        lines += [f"{step}," for step in steps[:-1]] + steps[-1:]
        lines += ["]", "}," if vector is not vectors[-1] else "}"]
    return "\n".join([*lines, "]", "}"]) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


# Asking


def state(scheduler: Any) -> Plain:
    """Everything that the format says about the state of a scheduler."""
    counters = scheduler.counters
    return {
        "checkpoint": plain.checkpoint(scheduler.checkpoint()),
        "tasks": [plain.task(task) for task in sorted(scheduler.tasks(), key=lambda task: task.sequence)],
        "waiting": [task.id for task in scheduler.waiting()],
        "used": {device.name: device.used for device in scheduler.devices},
        "counters": dict(counters) if isinstance(counters, dict) else attrs.asdict(counters),
    }


def restored(make: Implementation, saved: Plain) -> Any:
    """The scheduler that ``restore`` gives."""
    tasks = [plain.read_task(row) for row in saved["tasks"]]
    return make.restore(plain.read_config(saved["config"]), tasks, plain.read_checkpoint(saved["checkpoint"]))


def play(make: Implementation, vector: Plain, *, exact_deadlines: bool = True) -> None:
    """Tell the implementation a vector. Raises ``Mismatch`` at the first answer that is not the one written down.

    With ``exact_deadlines=False`` a deadline may be any time that the rules allow: later than now, and not after
    ``tick_by``.
    """
    scheduler = make(plain.read_config(vector["config"]))
    for number, step in enumerate(vector["steps"]):
        where = f"{vector['name']}, step {number}"
        if "event" in step:
            commands = [plain.command(command) for command in scheduler.step(plain.read_event(step["event"]))]
            _same(where, "commands", commands, step["commands"])
        elif "restore" in step:
            scheduler = restored(make, step["restore"])
        else:
            _same(where, "check", state(scheduler), step["check"])
            continue
        _deadline(where, scheduler, step, exact=exact_deadlines)


def _same(where: str, what: str, given: object, expected: object) -> None:
    if given != expected:
        raise Mismatch(f"{where}: {what}: expected {_json(expected)}, got {_json(given)}")


def _deadline(where: str, scheduler: Any, step: Plain, *, exact: bool) -> None:
    deadline = scheduler.next_deadline()
    if exact:
        return _same(where, "next_deadline", plain.seconds(deadline), step["next_deadline"])
    now, tick_by = scheduler.now, step["tick_by"]
    if deadline is not None and deadline <= now:
        raise Mismatch(f"{where}: next_deadline: expected a time later than {now}, got {deadline}")
    if tick_by is not None and (deadline is None or deadline > tick_by):
        raise Mismatch(f"{where}: next_deadline: expected {tick_by} at the latest, got {deadline}")
    return None


# Digest


def digest(make: Implementation, vectors: Iterable[Plain]) -> str:
    """SHA-256 over every answer and, after every step, the whole state, as JSON lines."""
    sha = hashlib.sha256()

    def say(*values: object) -> None:
        sha.update((json.dumps(values, allow_nan=False, separators=(",", ":")) + "\n").encode("ascii"))

    for vector in vectors:
        scheduler = make(plain.read_config(vector["config"]))
        say(vector["name"], vector["config"])
        for step in vector["steps"]:
            if "event" in step:
                say([plain.command(command) for command in scheduler.step(plain.read_event(step["event"]))])
            elif "restore" in step:
                scheduler = restored(make, step["restore"])
            say(plain.seconds(scheduler.next_deadline()), state(scheduler))
    return sha.hexdigest()


def digest_of_files(make: Implementation) -> str:
    """The digest over all files, in the order of their names."""
    return digest(make, (vector for path in paths() for vector in read(path)))


# Recording

Deadline = Callable[[], float | None]


def record(scenario: Scenario, make: Implementation, model: Implementation) -> Plain:
    """The scenario with the answers of ``make``, and the latest moments for ticks that ``model`` gives."""
    from parking_lot_core.testing.rows import SavedRows

    config, saved = scenario.config, SavedRows()
    scheduler, twin = make(config), model(config)
    steps: list[Plain] = []

    def deadlines() -> Plain:
        return {
            "next_deadline": plain.seconds(scheduler.next_deadline()),
            "tick_by": plain.seconds(twin.next_deadline()),
        }

    for step in (*scenario.steps, Check()):
        if isinstance(step, Check):
            if not steps or "check" not in steps[-1]:
                steps.append({"check": state(scheduler)})
        elif isinstance(step, Crash):
            config = step.config or config
            rows = sorted(saved.rows.values(), key=lambda row: row.id)
            kept: Plain = {
                "config": plain.config(config),
                "tasks": [plain.task(row) for row in rows],
                "checkpoint": plain.checkpoint(scheduler.checkpoint()),
            }
            scheduler, twin = restored(make, kept), restored(model, kept)
            steps += [{"restore": kept, **deadlines()}]
        else:
            commands = scheduler.step(step)
            twin.step(step)
            saved.save(step, commands)
            steps.append(
                {"event": plain.event(step), "commands": [plain.command(one) for one in commands], **deadlines()}
            )
    return {"name": scenario.name, "about": scenario.about, "config": plain.config(scenario.config), "steps": steps}
