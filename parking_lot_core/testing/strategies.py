"""Hypothesis rolls the dice of ``worlds.py``."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from parking_lot_core.testing.worlds import Climate, Dice, World, make_world


@cache
def _below(n: int) -> st.SearchStrategy[int]:
    return st.integers(0, n - 1)


def dice(draw: st.DrawFn) -> Dice:
    """Dice whose rolls Hypothesis chooses, remembers and shrinks."""
    return Dice(lambda n: draw(_below(n)))


@st.composite
def worlds(draw: st.DrawFn, climate: Climate = Climate(), *, events_max: int = 40) -> World:  # noqa: B008 - a value
    """Pools with up to ``events_max`` events."""
    return make_world(dice(draw), climate, draw(_below(events_max)) + 1)
