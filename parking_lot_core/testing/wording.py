"""How a pool, an event and a command are written as one line of a story, and how the first two are read again.

A line is a verb and ``name=value`` words. A name, identifier or message that has a space or a sign in it is written
in double quotes, as in JSON. What has its usual value is left out. Numbers are written in full, so that what is read
equals what was written; an outcome's ``value`` is written as JSON, or as the text of its ``repr`` where JSON has no
such thing. What a story is, is in ``trace.py``.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

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
    Start,
    Submitted,
    TaskMetadata,
    TaskState,
    Tick,
    Withdrawn,
)

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_WORD = re.compile(rf"(?:{_QUOTED}|\S)+")
_PAIR = re.compile(rf"((?:{_QUOTED}|[^,:\"])*):([^,]*)(?:,|$)")
_PLAIN = re.compile(r"[\w./@+-]+")


# One value


@attrs.frozen
class Word:
    """How the value of one word is read and written. ``read`` raises ``ValueError`` or ``KeyError``."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]


def read_text(text: str) -> str:
    """A string, quoted or not."""
    return str(json.loads(text)) if text.startswith('"') else text


def write_text(text: str) -> str:
    """A string, quoted where it has to be."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=not text.isprintable())


def write_number(number: float) -> str:
    """As many digits as it takes to read the same number again, and no ``.0``."""
    return repr(number).removesuffix(".0")


def write_time(moment: float | None) -> str:
    """A moment that there may be none of."""
    return "none" if moment is None else write_number(moment)


def _write_value(value: object) -> str:
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError):
        return json.dumps(repr(value))


def _read_pairs(word: Word, text: str) -> dict[str, Any]:
    pairs = _PAIR.findall(text)
    if len(text) + 1 != sum(len(name) + len(value) + 2 for name, value in pairs):
        raise ValueError("expected name:number,name:number")
    return {read_text(name): word.read(value) for name, value in pairs}


def _pairs_of(word: Word) -> Word:
    def write(pairs: Mapping[str, Any]) -> str:
        return ",".join(f"{write_text(name)}:{word.write(value)}" for name, value in pairs.items())

    return Word(lambda text: _read_pairs(word, text), write)


def _one_of(kind: type[enum.Enum]) -> Word:
    return Word(lambda text: kind[text.upper()], lambda member: str(member.name).lower())


TEXT = Word(read_text, write_text)
NUMBER = Word(float, write_number)
WHOLE = Word(int, str)
YES_OR_NO = Word({"yes": True, "no": False}.__getitem__, {True: "yes", False: "no"}.__getitem__)
STATUS = _one_of(OutcomeStatus)

CONFIG = {
    "devices": _pairs_of(WHOLE),
    "tenants": _pairs_of(NUMBER),
    **dict.fromkeys(("max_units", "max_queue_depth", "max_attempts"), WHOLE),
    **dict.fromkeys(
        ("backfill_window", "aging", "timeout", "run_timeout", "retry_backoff", "retry_backoff_max"), NUMBER
    ),
}
METADATA = {
    "id": TEXT,
    "cost": Word(lambda text: ResourceCost(int(text)), lambda cost: str(cost.units)),
    "priority": _one_of(Priority),
    "tenant": TEXT,
    "max_attempts": WHOLE,
    **dict.fromkeys(("start_by", "run_timeout", "not_before"), NUMBER),
}
DECIDED = {
    **dict.fromkeys(("sequence", "tag"), WHOLE),
    "admitted_at": NUMBER,
    **dict.fromkeys(("epoch", "attempts"), WHOLE),
    **dict.fromkeys(("ready_at", "started_at"), NUMBER),
    "state": _one_of(TaskState),
    "device": TEXT,
    "stop_reason": STATUS,
}
OUTCOME = {"error": TEXT, "value": Word(json.loads, _write_value), "retryable": YES_OR_NO}
AT = {"at": NUMBER}

Facts = dict[str, Any]

_USUAL_CONFIG = PoolConfig(max_units=1)
_USUAL_TASK = ScheduledTask(TaskMetadata("usual", ResourceCost(1)), sequence=0, tag=0, admitted_at=0.0)
_USUAL_OUTCOME = Outcome(OutcomeStatus.SUCCEEDED)


def _unusual(given: object, usual: object, words: Mapping[str, Word]) -> Facts:
    """Those attributes of ``given`` that ``usual`` has otherwise."""
    facts = {name: getattr(given, name) for name in words}
    return {name: fact for name, fact in facts.items() if fact != getattr(usual, name)}


def _chosen(facts: Facts, words: Mapping[str, Word]) -> Facts:
    return {name: fact for name, fact in facts.items() if name in words}


# One event


@attrs.frozen
class Verb:
    """One kind of event: the words that it takes, those that it must have, and the way from and to the event."""

    kind: type
    words: Mapping[str, Word]
    must: tuple[str, ...]
    make: Callable[[Facts], Event]
    facts: Callable[[Any], Facts]


def _about(metadata: TaskMetadata) -> Facts:
    return {"id": metadata.id, "cost": metadata.cost, **_unusual(metadata, _USUAL_TASK.metadata, METADATA)}


def _submit(facts: Facts) -> Event:
    return Submitted(TaskMetadata(**_chosen(facts, METADATA)), facts["at"])


def _offer(facts: Facts) -> Event:
    task = ScheduledTask(TaskMetadata(**_chosen(facts, METADATA)), **{"tag": 0, **_chosen(facts, DECIDED)})
    return Offered(task, facts["at"])


def _offered(event: Offered) -> Facts:
    task = event.task
    place = {"sequence": task.sequence, "admitted_at": task.admitted_at}
    return {**_about(task.metadata), **place, **_unusual(task, _USUAL_TASK, DECIDED)}


def _finish(facts: Facts) -> Event:
    outcome = Outcome(facts.get("outcome", OutcomeStatus.SUCCEEDED), **_chosen(facts, OUTCOME))
    return Finished(facts["id"], facts["epoch"], outcome, facts["at"])


def _finished(event: Finished) -> Facts:
    facts = {"id": event.task_id, "epoch": event.epoch}
    if event.outcome.status is not OutcomeStatus.SUCCEEDED:
        facts["outcome"] = event.outcome.status
    return {**facts, **_unusual(event.outcome, _USUAL_OUTCOME, OUTCOME)}


_END = {"id": TEXT, "epoch": WHOLE}
_SIZE = {"device": TEXT, "units": WHOLE}
VERBS = {
    "submit": Verb(Submitted, {**METADATA, **AT}, ("id", "cost", "at"), _submit, lambda event: _about(event.task)),
    "offer": Verb(
        Offered, {**METADATA, **DECIDED, **AT}, ("id", "cost", "sequence", "admitted_at", "at"), _offer, _offered
    ),
    "finish": Verb(Finished, {**_END, "outcome": STATUS, **OUTCOME, **AT}, ("id", "epoch", "at"), _finish, _finished),
    "tick": Verb(Tick, AT, ("at",), lambda facts: Tick(**facts), lambda _: {}),
    "cancel": Verb(
        Cancelled,
        {"id": TEXT, **AT},
        ("id", "at"),
        lambda facts: Cancelled(facts["id"], facts["at"]),
        lambda event: {"id": event.task_id},
    ),
    "withdraw": Verb(
        Withdrawn,
        {**_END, **AT},
        ("id", "epoch", "at"),
        lambda facts: Withdrawn(facts["id"], facts["epoch"], facts["at"]),
        lambda event: {"id": event.task_id, "epoch": event.epoch},
    ),
    "capacity": Verb(
        CapacityChanged,
        {**_SIZE, **AT},
        ("device", "units", "at"),
        lambda facts: CapacityChanged(**facts),
        lambda event: {"device": event.device, "units": event.units},
    ),
}


# One command


def say(command: Command) -> str:
    """A command in one line."""
    match command:
        case Enqueue(task=task):
            again = f" after epoch={task.epoch} attempts={task.attempts}" if task.epoch else ""
            delay = f" ready_at={write_time(task.ready_at)}" if task.ready_at else ""
            return f"enqueue {write_text(task.id)}{again}{delay}"
        case Start(task=task, device=device, epoch=epoch):
            return f"start {write_text(task.id)} device={write_text(device)} epoch={epoch}"
        case Deliver(task_id=task_id, outcome=outcome):
            error = f" error={write_text(outcome.error)}" if outcome.error else ""
            return f"deliver {write_text(task_id)} {outcome.status.value}{error}"
        case Expire(task=task):
            return f"expire {write_text(task.id)}"
        case Reject(task=task, reason=reason):
            return f"reject {write_text(task.id)} {reason.value}"
        case Interrupt(task_id=task_id, epoch=epoch, reason=reason):
            return f"interrupt {write_text(task_id)} epoch={epoch} {reason.value}"


def say_all(commands: Sequence[Command]) -> str:
    """Commands in one line, with a semicolon between them."""
    return "; ".join(map(say, commands)) or "nothing"


def contrast(answer: Sequence[Command], expected: Sequence[Command]) -> str:
    """Two answers that differ, in words, or in full where the words do not show the difference."""
    if say_all(answer) == say_all(expected):
        return unlike(answer, expected, "answer")
    return f"gave [{say_all(answer)}] in place of [{say_all(expected)}]"


def unlike(seen: Any, expected: Any, name: str) -> str:
    """The innermost part in which two values differ that are not equal, and what ``seen`` has there."""
    if type(seen) is type(expected) and attrs.has(type(seen)):
        for field in attrs.fields(type(seen)):
            parts = getattr(seen, field.name), getattr(expected, field.name)
            if parts[0] != parts[1]:
                return unlike(*parts, f"{name}.{field.name}")
    if isinstance(seen, list | tuple) and isinstance(expected, list | tuple) and len(seen) == len(expected):
        for number, parts in enumerate(zip(seen, expected, strict=True)):
            if parts[0] != parts[1]:
                return unlike(*parts, f"{name}[{number}]")
    return f"{name} is {seen!r} in place of {expected!r}"


# Lines


def words_of(line: str) -> list[str]:
    """The words of a line; a space between double quotes ends none."""
    return _WORD.findall(line)


def read_facts(words: list[str], allowed: Mapping[str, Word]) -> Facts:
    """``["cost=4", "at=3"]`` as values. Raises ``ValueError`` naming what cannot be read."""
    facts = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in allowed:
            raise ValueError(f"{word!r}: expected one of {', '.join(allowed)}")
        try:
            facts[name] = allowed[name].read(text)
        except (ValueError, KeyError) as error:
            raise ValueError(f"{word!r}: {error}") from error
    return facts


def read_config(line: str) -> PoolConfig:
    """``config max_units=8`` as a pool. Raises ``ValueError``."""
    return PoolConfig(**read_facts(words_of(line)[1:], CONFIG))


def write_config(config: PoolConfig) -> str:
    """The line that ``read_config`` reads as an equal pool."""
    facts = _unusual(config, _USUAL_CONFIG, CONFIG)
    if config.max_units is not None:
        facts = {"max_units": config.max_units, **facts}
    else:
        del facts["max_units"]
    return _line("config", facts, CONFIG)


def read_event(line: str) -> Event:
    """``cancel id=summary at=3`` as an event. Raises ``ValueError`` that says what is wrong with the line."""
    name, *words = words_of(line)
    verb = VERBS[name]
    facts = read_facts(words, verb.words)
    for needed in verb.must:
        if needed not in facts:
            raise ValueError(f"{line!r}: {needed} is missing")
    return verb.make(facts)


def write_event(event: Event) -> str:
    """The line that ``read_event`` reads as an equal event."""
    (name, verb) = next((name, verb) for name, verb in VERBS.items() if type(event) is verb.kind)
    return _line(name, {**verb.facts(event), "at": event.at}, verb.words)


def _line(name: str, facts: Facts, words: Mapping[str, Word]) -> str:
    return " ".join([name, *(f"{word}={words[word].write(fact)}" for word, fact in facts.items())])
