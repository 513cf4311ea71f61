"""The table of legal moves: complete, and consistent with what it says about itself."""

from __future__ import annotations

import itertools

import pytest

from parking_lot_core import MOVES, IllegalMove, Move, TaskState
from parking_lot_core.lifecycle import move

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
