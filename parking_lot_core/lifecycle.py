"""The legal moves of a task, as data.

This file may hold only the table and the one function that applies it. Everything that changes a task's state goes
through ``move``; assigning a state anywhere else is a bug. The diagram in ``parking_lot_core/README.md`` is drawn
from ``MOVES``, so a move that is not in the table does not exist: ``move`` raises ``IllegalMove`` and nothing changes.

``NEW`` is a task that the scheduler has not admitted yet. ``DELIVERED``, ``EXPIRED``, ``REJECTED`` and ``WITHDRAWN``
are terminal: the scheduler forgets the task. ``STOPPING`` never parks again: a task that was told to stop ends,
whatever its executor answers.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from parking_lot_core.types import TaskState


class Move(enum.Enum):
    """What happens to a task. All but ``WITHDRAW`` and ``OFFER`` are the names of commands."""

    __hash__ = object.__hash__  # members are singletons, and Enum's own hash is a slow Python function

    ENQUEUE = "Enqueue"
    OFFER = "Offered"
    REJECT = "Reject"
    START = "Start"
    EXPIRE = "Expire"
    DELIVER = "Deliver"
    INTERRUPT = "Interrupt"
    WITHDRAW = "Withdrawn"


class IllegalMove(RuntimeError):
    """A bug in the scheduler: a task was about to make a move that the table does not have."""


MOVES: Mapping[TaskState, Mapping[Move, TaskState]] = {
    TaskState.NEW: {
        Move.ENQUEUE: TaskState.PARKED,
        Move.OFFER: TaskState.PARKED,
        Move.REJECT: TaskState.REJECTED,
    },
    TaskState.PARKED: {
        Move.START: TaskState.RUNNING,
        Move.EXPIRE: TaskState.EXPIRED,
        Move.DELIVER: TaskState.DELIVERED,
        Move.WITHDRAW: TaskState.WITHDRAWN,
    },
    TaskState.RUNNING: {
        Move.DELIVER: TaskState.DELIVERED,
        Move.ENQUEUE: TaskState.PARKED,
        Move.INTERRUPT: TaskState.STOPPING,
        Move.WITHDRAW: TaskState.WITHDRAWN,
    },
    TaskState.STOPPING: {
        Move.DELIVER: TaskState.DELIVERED,
        Move.WITHDRAW: TaskState.WITHDRAWN,
    },
    TaskState.DELIVERED: {},
    TaskState.EXPIRED: {},
    TaskState.REJECTED: {},
    TaskState.WITHDRAWN: {},
}


def move(state: TaskState, made: Move) -> TaskState:
    """The state that ``made`` leads to. Raises ``IllegalMove`` if the table has no such move."""
    try:
        return MOVES[state][made]
    except KeyError:
        legal = ", ".join(sorted(m.value for m in MOVES[state])) or "none: it is terminal"
        raise IllegalMove(f"{made.value} from {state.value}: legal moves are {legal}") from None


def diagram() -> str:
    """The table as a Mermaid state diagram: what ``README.md`` shows."""
    lines = ["stateDiagram-v2"]
    for state, moves in MOVES.items():
        for made, after in moves.items():
            before = "[*]" if state is TaskState.NEW else state.value
            lines.append(f"    {before} --> {after.value}: {made.value}")
    lines += [f"    {state.value} --> [*]" for state, moves in MOVES.items() if not moves]
    return "\n".join(lines)
