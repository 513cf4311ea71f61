"""The waiting line against a sorted list: long lines, in which branches split, merge and forget."""

from __future__ import annotations

import math
import random

import pytest

from parking_lot_core import Priority, ResourceCost, ScheduledTask, TaskMetadata
from parking_lot_core.band import Offer
from parking_lot_core.line import WaitingLine
from parking_lot_core.ranking import rank_of
from tests.core.depth import DEPTH

TASKS_MAX = 3000
TASKS_FEW = 1000


class LineAndList:
    """The line, and beside it a plain dictionary that is sorted for every question."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.line = WaitingLine()
        self.tasks: dict[int, ScheduledTask] = {}
        self.sequence = 0
        self.limited = self.rng.choice((0, 0.02, 0.5, 1))  # how many tasks have a run limit

    def add(self) -> None:
        """Mostly at the end of a class, as new tasks do; at times in between, as tags and retried tasks do."""
        rng, self.sequence = self.rng, self.sequence + 1
        limit = rng.choice((0.5, 1, 2, 5, 60)) if rng.random() < self.limited else None
        units = rng.choice((rng.randint(1, 8), rng.randint(8, 1000)))
        metadata = TaskMetadata(f"t{self.sequence}", ResourceCost(units), run_timeout=limit)
        tag = rng.choice((0, 0, 0, rng.randrange(2**40)))
        rank = rank_of(rng.choice(list(Priority)), tag, self.sequence)
        self.tasks[rank] = ScheduledTask(metadata, self.sequence, tag, 0.0)
        self.line.add(rank, self.tasks[rank])

    def remove(self) -> None:
        """Anywhere; or the first, as a start does; or the cheapest, so that a minimum goes."""
        ranks = sorted(self.tasks)
        cheapest = min(self.rng.sample(ranks, min(9, len(ranks))), key=lambda rank: self.tasks[rank].units)
        rank = self.rng.choice((self.rng.choice(ranks), ranks[0], cheapest))
        assert self.line.remove(rank) is self.tasks.pop(rank)

    def compare(self) -> None:
        """Every question that the scheduler asks, once."""
        rng, ranks = self.rng, sorted(self.tasks)
        somewhere = rng.choice(ranks) if ranks and rng.random() < 0.8 else rank_of(rng.choice(list(Priority)), 0, 0)
        last = rng.choice((math.inf, rng.choice(ranks) if ranks else 5))
        cost = rng.choice((0, rng.randint(1, 10), rng.randint(1, 1200)))
        boxes = [(rng.randint(1, 1000), rng.choice((0.25, 1, 3, 100))) for _ in range(rng.randrange(3))]
        behind = [rank for rank in ranks if rank > somewhere]
        assert self.line.first(cost, last) == self.found(ranks, cost, [], last)
        assert self.line.after(somewhere, cost, last) == self.found(behind, cost, [], last)
        assert self.line.after_within(somewhere, Offer(cost, boxes), last) == self.found(behind, cost, boxes, last)
        assert self.line.ahead_of(somewhere) == len(ranks) - len(behind) - (somewhere in self.tasks)

    def found(
        self, ranks: list[int], cost: int, boxes: list[tuple[int, float]], last: float
    ) -> tuple[int, ScheduledTask] | None:
        for rank in ranks:
            metadata = self.tasks[rank].metadata
            limit = math.inf if metadata.run_timeout is None else metadata.run_timeout
            if metadata.units <= cost or any(metadata.units <= most and limit <= longest for most, longest in boxes):
                return (rank, self.tasks[rank]) if rank <= last else None
        return None


@pytest.mark.parametrize("seed", range(4))
def test_a_short_line_answers_as_a_sorted_list_would(seed: int) -> None:
    """Of some hundred tasks: two levels of branches, and quick."""
    grow_and_shrink(LineAndList(seed), TASKS_FEW)


@pytest.mark.parametrize("seed", range(4 * DEPTH))
def test_the_line_answers_as_a_sorted_list_would(seed: int) -> None:
    grow_and_shrink(LineAndList(seed), TASKS_MAX)


def grow_and_shrink(both: LineAndList, tasks: int) -> None:
    """Add and remove until the line has had about so many tasks; then take out all of them."""
    for share_of_adds in (0.95, 0.5, 0.1, 0.6, 0.0):
        for _ in range(tasks // 2):
            if both.rng.random() < share_of_adds:
                both.add()
            elif both.tasks:
                both.remove()
            if both.rng.random() < 0.25:
                both.compare()
        assert [task.id for task in both.line] == [both.tasks[rank].id for rank in sorted(both.tasks)]
    while both.tasks:
        both.remove()
        both.compare()
    assert list(both.line) == []


def test_what_is_not_in_the_line_cannot_be_removed() -> None:
    both = LineAndList(0)
    for _ in range(100):
        both.add()
    with pytest.raises(KeyError):
        both.line.remove(rank_of(Priority.NORMAL, 0, 10_000))
    with pytest.raises(KeyError):
        WaitingLine().remove(rank_of(Priority.NORMAL, 0, 1))
