"""Stories as text: what happens, a line ``----``, and what the scheduler answers.

A file is a list of blocks with blank lines between them. ``#`` begins a comment. The first block is the pool::

    config max_units=8 backfill_window=60
    config devices=big:8,small:4 tenants=ann:2,bob:1

Every other block is one or more inputs, ``----``, and the answers to all of them, one a line (``nothing`` for none)::

    # Four more units do not fit, so this task is parked.
    submit id=summary cost=4 priority=high at=3
    ----
    enqueue summary

Inputs: ``submit``, ``offer``, ``finish``, ``tick``, ``cancel``, ``withdraw``, ``capacity`` (``VERBS`` in ``wording.py``
says what they take), ``crash`` (go on with a scheduler restored from what was saved, as JSON), ``show`` (the state of
the lot), and ``explain id=...``.

``as_story`` writes events as a story, ``read_story`` reads them again, and ``Story`` plays it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from parking_lot_core import (
    Command,
    Event,
    PoolConfig,
    Scheduler,
)
from parking_lot_core.testing.rows import SavedRows, from_json
from parking_lot_core.testing.wording import (
    TEXT,
    VERBS,
    read_config,
    read_event,
    read_facts,
    say,
    words_of,
    write_config,
    write_event,
    write_time,
)
from parking_lot_core.testing.worlds import World

RULE = "----"
OTHER_INPUTS = ("crash", "show", "explain")


def as_story(
    config: PoolConfig,
    events: Iterable[Event | str],
    answers: Iterable[Sequence[Command]] | None = None,
    *,
    comment: str = "",
) -> str:
    """The text of a story in which just this happens, with a block for each event. A string is a line as it stands.

    ``answers`` are what a scheduler said to each event, as ``step`` returned it; without them, ``Story(text).retell()``
    adds those of a scheduler. ``comment`` stands above. ``read_story`` gives the pool and the events again.
    """
    told = [f"# {line}".rstrip() for line in comment.splitlines()]
    blocks = ["\n".join([*told, write_config(config)])]
    said = None if answers is None else [[say(command) for command in commands] for commands in answers]
    for number, event in enumerate(events):
        block = [event if isinstance(event, str) else write_event(event)]
        if said is not None and number < len(said):
            block += [RULE, *(said[number] or ["nothing"])]
        blocks.append("\n".join(block))
    return "\n\n".join(blocks) + "\n"


def read_story(text: str) -> World:
    """The pool and the events of a story. Raises ``ValueError`` for a line that cannot be read, or if there is no pool.

    What a story has beside events (``crash``, ``show``, ``explain``) is left out.
    """
    lines = [line for block in _blocks(text) for line in _inputs(block)]
    if not lines or words_of(lines[0])[:1] != ["config"]:
        raise _no_pool(lines[0] if lines else text)
    events = [read_event(line) for line in lines[1:] if _verb(line) in VERBS]
    return World(read_config(lines[0]), tuple(events))


def _no_pool(found: str) -> ValueError:
    return ValueError(f"a story begins with a line such as 'config max_units=8', got {found!r}")


def _blocks(text: str) -> list[list[str]]:
    return [block.split("\n") for block in text.rstrip("\n").split("\n\n")]


def _told(block: list[str]) -> list[str]:
    """What the writer of the block wrote, without the answers."""
    return block[: block.index(RULE)] if RULE in block else block


def _inputs(block: list[str]) -> list[str]:
    return [line for line in _told(block) if line.strip() and not line.startswith("#")]


def _verb(line: str) -> str:
    verb = words_of(line)[0]
    if verb not in VERBS and verb not in OTHER_INPUTS:
        raise ValueError(f"{line!r}: expected one of {', '.join((*VERBS, *OTHER_INPUTS))}")
    return verb


class Story:
    """One trace being told. ``retell`` gives the text as the scheduler tells it now.

    ``make(config)`` gives the scheduler that answers, ours unless another is named. For ``crash`` its class needs
    ``restore``, and for ``show`` and ``explain`` it needs the views of ``Scheduler``.
    """

    def __init__(self, text: str, make: Callable[[PoolConfig], Any] = Scheduler) -> None:
        self.blocks = _blocks(text)
        self.make = make
        self.saved = SavedRows()
        self.scheduler: Any = None

    def retell(self) -> str:
        """The same story with the answers of the scheduler. Raises ``ValueError`` for a line that cannot be read."""
        return "\n\n".join(self._block(block) for block in self.blocks) + "\n"

    def _block(self, block: list[str]) -> str:
        told, inputs = _told(block), _inputs(block)
        if inputs and words_of(inputs[0])[:1] == ["config"]:
            self.config = read_config(inputs[0])
            self.scheduler = self.make(self.config)
        elif inputs:
            if self.scheduler is None:
                raise _no_pool(inputs[0])
            answers = [answer for line in inputs for answer in self._input(line)]
            told = [*told, RULE, *(answers or ["nothing"])]
        return "\n".join(told)

    def _input(self, line: str) -> list[str]:
        verb = _verb(line)
        if verb == "crash":
            return self._crash()
        if verb == "show":
            return self._show()
        if verb == "explain":
            facts = read_facts(words_of(line)[1:], {"id": TEXT})
            if "id" not in facts:
                raise ValueError(f"{line!r}: id is missing")
            return [str(self.scheduler.explain(facts["id"]))]
        event = read_event(line)
        commands = self.scheduler.step(event)
        self.saved.save(event, commands)
        return [say(command) for command in commands]

    def _crash(self) -> list[str]:
        text = self.saved.as_json(self.scheduler.checkpoint())
        self.scheduler = type(self.scheduler).restore(self.config, *from_json(text))
        return [f"restored {self.scheduler.queue_depth} parked, {self.scheduler.running_count} running"]

    def _show(self) -> list[str]:
        lot = self.scheduler
        line = sorted((place, task.id) for task in lot.tasks() if (place := lot.position(task.id)) is not None)
        lines = [f"device {device.name}: {device.used} of {device.capacity} units used" for device in lot.devices]
        lines += [f"line: {' '.join(task_id for _, task_id in line) or 'empty'}"]
        return [*lines, f"next deadline: {write_time(lot.next_deadline())}"]
