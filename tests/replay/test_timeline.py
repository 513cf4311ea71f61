"""Slices of a timeline are exact means of a step function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking_lot_drivers.replay import Slice, Timeline
from parking_lot_drivers.replay.timeline import slice_width


def timeline(*samples: tuple[float, int, int]) -> Timeline:
    made = Timeline()
    for sample in samples:
        made.add(*sample)
    return made


def test_slices_of_a_small_timeline() -> None:
    made = timeline((0, 4, 0), (3, 8, 2), (5, 0, 1), (8, 0, 0))
    assert made.slices(4) == [Slice(2, (3 * 4 + 8) / 4, 2 / 4, 2), Slice(6, 8 / 4, (2 + 3) / 4, 2)]
    assert made.slices(5) == [Slice(2.5, (3 * 4 + 2 * 8) / 5, 4 / 5, 2), Slice(6.5, 0, 1, 1)]
    assert made.mean_parked() == (2 * 2 + 3) / 8
    assert made.end == 8


def test_of_several_samples_at_one_time_the_last_counts() -> None:
    made = timeline((0, 1, 0), (2, 9, 9), (2, 1, 3), (4, 0, 0))
    assert made.slices(4) == [Slice(2, 1, 1.5, 3)]


def test_nothing_takes_no_time() -> None:
    assert timeline().slices(1) == []
    assert timeline().mean_parked() == 0
    assert timeline((0, 3, 1)).slices(1) == []
    assert slice_width([timeline((0, 3, 1))], 10) > 0
    assert slice_width([timeline((0, 1, 0), (20, 0, 0)), timeline((0, 1, 0), (5, 0, 0))], 10) == 2


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=30),
    st.integers(1, 60),
)
def test_slices_equal_a_sum_over_single_seconds(steps: list[tuple[int, int, int]], width: int) -> None:
    # Whole seconds, so that the slow way is exact: what holds in each second, one by one.
    made, time = Timeline(), 0
    seconds: list[tuple[int, int]] = []
    for gap, used, parked in steps:
        made.add(time, used, parked)
        seconds += [(used, parked)] * gap
        time += gap
    made.add(time, 0, 0)
    slices = made.slices(width)
    assert len(slices) == -(-time // width)
    for index, one in enumerate(slices):
        inside = seconds[index * width : (index + 1) * width]
        assert one.used == pytest.approx(sum(used for used, _ in inside) / len(inside))
        assert one.parked == pytest.approx(sum(parked for _, parked in inside) / len(inside))
        assert one.parked_max == max(parked for _, parked in inside)
    assert made.mean_parked() == pytest.approx(sum(parked for _, parked in seconds) / time)
