"""Stories as text: what happens, a line ``----``, and what the scheduler answers.

A file is a list of blocks with blank lines between them. ``#`` begins a comment. The first block is the pool::

    config max_units=8 backfill_window=60
    config devices=big:8,small:4 tenants=ann:2,bob:1

Every other block is one or more inputs, ``----``, and the answers to all of them, one a line (``nothing`` for none)::

    # Four more units do not fit, so this task is parked.
    submit id=summary cost=4 priority=high at=3
    ----
    enqueue summary

Inputs: ``submit``, ``offer``, ``finish``, ``tick``, ``cancel``, ``withdraw``, ``capacity`` (``INPUTS`` says what they
take), ``crash`` (go on with a scheduler restored from what was saved, as JSON), ``show`` (the state of the lot), and
``explain id=...``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Finished,
    Interrupt,
    Offered,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    Reject,
    ResourceCost,
    ScheduledTask,
    Scheduler,
    Start,
    Submitted,
    TaskMetadata,
    Tick,
    Withdrawn,
)
from parking_lot_core.testing.rows import SavedRows, from_json

RULE = "----"


def _pairs(read: Callable[[str], Any]) -> Callable[[str], dict[str, Any]]:
    return lambda text: {name: read(value) for name, value in (pair.split(":") for pair in text.split(","))}


CONFIG: dict[str, Callable[[str], Any]] = {
    "devices": _pairs(int),
    "tenants": _pairs(float),
    **dict.fromkeys(("max_units", "max_queue_depth", "max_attempts"), int),
    **dict.fromkeys(
        ("backfill_window", "aging", "timeout", "run_timeout", "retry_backoff", "retry_backoff_max"), float
    ),
}
ABOUT_A_TASK: dict[str, Callable[[str], Any]] = {
    "id": str,
    "cost": lambda text: ResourceCost(int(text)),
    "priority": lambda text: Priority[text.upper()],
    "tenant": str,
    "max_attempts": int,
    **dict.fromkeys(("start_by", "run_timeout", "not_before"), float),
}
OTHERS: dict[str, Callable[[str], Any]] = {
    "at": float,
    "admitted_at": float,
    "outcome": lambda text: OutcomeStatus[text.upper()],
    "retryable": {"yes": True, "no": False}.__getitem__,
    **dict.fromkeys(("device", "error"), str),
    **dict.fromkeys(("epoch", "sequence", "tag", "attempts", "units"), int),
}


def _metadata(facts: dict[str, Any]) -> TaskMetadata:
    return TaskMetadata(**{name: fact for name, fact in facts.items() if name in ABOUT_A_TASK})


def _offer(facts: dict[str, Any]) -> Event:
    about = {name: facts[name] for name in ("epoch", "attempts") if name in facts}
    task = ScheduledTask(_metadata(facts), facts["sequence"], facts.get("tag", 0), facts["admitted_at"], **about)
    return Offered(task, facts["at"])


def _finish(facts: dict[str, Any]) -> Event:
    about = {name: facts[name] for name in ("error", "retryable") if name in facts}
    outcome = Outcome(facts.get("outcome", OutcomeStatus.SUCCEEDED), **about)
    return Finished(facts["id"], facts["epoch"], outcome, facts["at"])


INPUTS: dict[str, tuple[Callable[[dict[str, Any]], Event], set[str]]] = {
    "submit": (lambda facts: Submitted(_metadata(facts), facts["at"]), {*ABOUT_A_TASK, "at"}),
    "offer": (_offer, {*ABOUT_A_TASK, "at", "sequence", "tag", "admitted_at", "epoch", "attempts"}),
    "finish": (_finish, {"id", "epoch", "outcome", "error", "retryable", "at"}),
    "tick": (lambda facts: Tick(facts["at"]), {"at"}),
    "cancel": (lambda facts: Cancelled(facts["id"], facts["at"]), {"id", "at"}),
    "withdraw": (lambda facts: Withdrawn(facts["id"], facts["epoch"], facts["at"]), {"id", "epoch", "at"}),
    "capacity": (
        lambda facts: CapacityChanged(facts["device"], facts["units"], facts["at"]),
        {"device", "units", "at"},
    ),
}


def read_facts(words: list[str], allowed: dict[str, Callable[[str], Any]]) -> dict[str, Any]:
    """``["cost=4", "at=3"]`` as values. Raises ``ValueError`` naming what cannot be read."""
    facts = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in allowed:
            raise ValueError(f"{word!r}: expected one of {', '.join(allowed)}")
        try:
            facts[name] = allowed[name](text)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{word!r}: {error}") from error
    return facts


class Story:
    """One trace being told. ``retell`` gives the text as the scheduler tells it now."""

    def __init__(self, text: str) -> None:
        self.blocks = text.rstrip("\n").split("\n\n")
        self.saved = SavedRows()

    def retell(self) -> str:
        return "\n\n".join(self._block(block.split("\n")) for block in self.blocks) + "\n"

    def _block(self, lines: list[str]) -> str:
        told = lines[: lines.index(RULE)] if RULE in lines else lines
        inputs = [line for line in told if line and not line.startswith("#")]
        if inputs and inputs[0].startswith("config "):
            self.config = PoolConfig(**read_facts(inputs[0].split()[1:], CONFIG))
            self.scheduler = Scheduler(self.config)
        elif inputs:
            answers = [answer for line in inputs for answer in self._input(line)]
            told = [*told, RULE, *(answers or ["nothing"])]
        return "\n".join(told)

    def _input(self, line: str) -> list[str]:
        verb, *words = line.split()
        if verb == "crash":
            text = self.saved.as_json(self.scheduler.checkpoint())
            self.scheduler = Scheduler.restore(self.config, *from_json(text))
            return [f"restored {self.scheduler.queue_depth} parked, {self.scheduler.running_count} running"]
        if verb == "show":
            return self._show()
        if verb == "explain":
            return [str(self.scheduler.explain(read_facts(words, {"id": str})["id"]))]
        if verb not in INPUTS:
            raise ValueError(f"{line!r}: expected one of {', '.join((*INPUTS, 'crash', 'show', 'explain'))}")
        make, names = INPUTS[verb]
        readers = {**OTHERS, **ABOUT_A_TASK}
        event = make(read_facts(words, {name: readers[name] for name in readers if name in names}))
        commands = self.scheduler.step(event)
        self.saved.save(event, commands)
        return [say(command) for command in commands]

    def _show(self) -> list[str]:
        lot = self.scheduler
        line = sorted((place, task.id) for task in lot.tasks() if (place := lot.position(task.id)) is not None)
        lines = [f"device {device.name}: {device.used} of {device.capacity} units used" for device in lot.devices]
        lines += [f"line: {' '.join(task_id for _, task_id in line) or 'empty'}"]
        return [*lines, f"next deadline: {_time(lot.next_deadline())}"]


def say(command: Command) -> str:
    """A command in one line."""
    match command:
        case Enqueue(task=task):
            again = f" after epoch={task.epoch} attempts={task.attempts}" if task.epoch else ""
            return f"enqueue {task.id}{again}" + (f" ready_at={_time(task.ready_at)}" if task.ready_at else "")
        case Start(task=task, device=device, epoch=epoch):
            return f"start {task.id} device={device} epoch={epoch}"
        case Deliver(task_id=task_id, outcome=outcome):
            return f"deliver {task_id} {outcome.status.value}" + (f" error={outcome.error}" if outcome.error else "")
        case Expire(task=task):
            return f"expire {task.id}"
        case Reject(task=task, reason=reason):
            return f"reject {task.id} {reason.value}"
        case Interrupt(task_id=task_id, epoch=epoch, reason=reason):
            return f"interrupt {task_id} epoch={epoch} {reason.value}"


def _time(moment: float | None) -> str:
    return "none" if moment is None else f"{moment:g}"
