"""The table of legal moves: complete, and consistent with what it says about itself."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

import parking_lot_core
from parking_lot_core import MOVES, IllegalMove, Move, TaskState
from parking_lot_core.lifecycle import diagram, move

TERMINAL = {TaskState.DELIVERED, TaskState.EXPIRED, TaskState.REJECTED, TaskState.WITHDRAWN}


def test_every_state_has_a_row() -> None:
    assert set(MOVES) == set(TaskState)


def test_terminal_states_are_terminal_and_no_others() -> None:
    assert {state for state in TaskState if not MOVES[state]} == TERMINAL


def test_every_state_but_new_can_be_reached_and_every_move_is_of_use() -> None:
    steps = [(made, after) for moves in MOVES.values() for made, after in moves.items()]
    assert {after for _, after in steps} == set(TaskState) - {TaskState.NEW}
    assert {made for made, _ in steps} == set(Move)


def test_from_every_state_a_terminal_one_can_be_reached() -> None:
    for state in TaskState:
        reached, frontier = {state}, [state]
        while frontier:
            frontier = [after for at in frontier for after in MOVES[at].values() if after not in reached]
            reached.update(frontier)
        assert reached & TERMINAL


@pytest.mark.parametrize(("state", "made"), list(itertools.product(TaskState, Move)), ids=str)
def test_a_move_does_what_the_table_says_or_raises(state: TaskState, made: Move) -> None:
    if made in MOVES[state]:
        assert move(state, made) is MOVES[state][made]
    else:
        with pytest.raises(IllegalMove, match=f"{made.value} from {state.value}: legal moves are"):
            move(state, made)


@pytest.mark.parametrize("state", TaskState)
def test_an_illegal_move_says_which_moves_are_legal(state: TaskState) -> None:
    made = next(made for made in Move if made not in MOVES[state])
    legal = ", ".join(sorted(made.value for made in MOVES[state])) or "none: it is terminal"
    with pytest.raises(IllegalMove) as illegal:
        move(state, made)
    assert str(illegal.value) == f"{made.value} from {state.value}: legal moves are {legal}"


def test_the_diagram_has_an_arrow_for_every_move_and_every_end() -> None:
    lines = [line.strip() for line in diagram().splitlines()]
    named = {state: "[*]" if state is TaskState.NEW else state.value for state in TaskState}
    arrows = [f"{named[a]} --> {named[b]}: {made.value}" for a, moves in MOVES.items() for made, b in moves.items()]
    ends = [f"{state.value} --> [*]" for state in TERMINAL]
    assert lines[0] == "stateDiagram-v2"
    assert sorted(lines[1:]) == sorted([*arrows, *ends])


def test_the_readme_shows_this_diagram() -> None:
    readme = (Path(parking_lot_core.__file__).parent / "README.md").read_text(encoding="utf-8")
    (drawn,) = re.findall(r"```mermaid\n(.*?)```", readme, re.DOTALL)
    assert drawn.strip() == diagram()
