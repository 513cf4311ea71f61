"""The shape of the tree that holds one class of the waiting line: what makes a search O(log n), and keeps it so."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest

from parking_lot_core import ResourceCost, ScheduledTask, TaskMetadata
from parking_lot_core.band import Band, Offer
from parking_lot_core.nodes import WIDTH_MAX, WIDTH_MIN, Node


class Tree:
    """A band of tasks, with random costs, and run limits for some."""

    def __init__(self, seed: int, limited: float = 0.3) -> None:
        self.rng = random.Random(seed)
        self.limited = limited
        self.band = Band(0)
        self.tasks: dict[int, ScheduledTask] = {}

    def add(self, rank: int) -> None:
        limit = self.rng.choice((1.0, 2.0, 5.0, 60.0)) if self.rng.random() < self.limited else None
        metadata = TaskMetadata(f"t{rank}", ResourceCost(self.rng.randint(1, 500)), run_timeout=limit)
        self.tasks[rank] = ScheduledTask(metadata, rank, 0, 0.0)
        self.band.add(rank, self.tasks[rank])

    def remove(self, rank: int) -> None:
        assert self.band.remove(rank) is self.tasks.pop(rank)

    def leaves(self) -> list[Node]:
        return list(self.band._leaves(self.band._root, self.band._height))

    def check(self) -> None:
        """Nodes are no wider than they may be, and every branch knows exactly what is below each child."""
        band = self.band
        assert list(_ranks(band._root, band._height)) == sorted(self.tasks)
        assert band.cost_min == min((task.units for task in self.tasks.values()), default=math.inf)
        if not self.tasks:
            assert (band._height, band._root.children) == (0, [])
        if band._height:
            assert len(band._root.children) > 1
        self._check(band._root, band._height)

    def _check(self, node: Node, height: int) -> None:
        assert len(node.ranks) == len(node.costs) == len(node.children) <= WIDTH_MAX
        assert node.limits is None or len(node.limits) == len(node.ranks)
        limits = node.limits or [math.inf] * len(node.ranks)
        for i, child in enumerate(node.children):
            if height == 0:
                assert child is self.tasks[node.ranks[i]]
                assert (node.costs[i], limits[i]) == (child.units, child.metadata.run_timeout or math.inf)
                continue
            below = list(_ranks(child, height - 1))
            assert node.ranks[i] <= below[0]
            assert i + 1 == len(node.ranks) or below[-1] < node.ranks[i + 1]
            assert node.costs[i] == min(self.tasks[rank].units for rank in below)
            assert limits[i] == min(self.tasks[rank].metadata.run_timeout or math.inf for rank in below)
            self._check(child, height - 1)


def _ranks(node: Node, height: int) -> Iterator[int]:
    for rank, child in zip(node.ranks, node.children, strict=True):
        if height:
            yield from _ranks(child, height - 1)
        else:
            yield rank


@pytest.mark.parametrize("limited", [0, 0.02, 0.5, 1])
def test_the_tree_is_in_shape_whatever_comes_and_goes(limited: float) -> None:
    tree = Tree(1, limited)
    for round_, share_of_adds in enumerate((0.95, 0.5, 0.1, 0.6, 0.0)):
        for step in range(250):
            if not tree.tasks or tree.rng.random() < share_of_adds:
                tree.add(tree.rng.choice((round_ * 10**6 + step * 1000, tree.rng.randrange(10**7) * 1000 + 1 + step)))
            else:
                tree.remove(tree.rng.choice((min(tree.tasks), max(tree.tasks), tree.rng.choice(list(tree.tasks)))))
            if step % 5 == 0 or len(tree.tasks) < 2 * WIDTH_MAX:
                tree.check()


def test_a_line_that_grows_at_its_end_has_full_nodes() -> None:
    """New tasks mostly come last."""
    tree = Tree(2)
    for rank in range(1000):
        tree.add(rank)
    tree.check()
    assert [len(leaf.ranks) for leaf in tree.leaves()[:-1]] == [WIDTH_MAX] * (1000 // WIDTH_MAX)
    assert tree.band._height == 1  # as 1000 < 32 × 32


def test_a_node_that_overflows_in_the_middle_is_halved() -> None:
    tree = Tree(3)
    for rank in [*range(0, 10 * WIDTH_MAX, 10), 105]:
        tree.add(rank)
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MAX // 2, WIDTH_MAX // 2 + 1]


def test_a_line_that_has_shrunk_keeps_no_nodes_for_what_is_gone() -> None:
    tree = Tree(4)
    ranks = list(range(4000))
    tree.rng.shuffle(ranks)
    for rank in ranks:
        tree.add(rank)
    assert tree.band._height == 2
    for rank in ranks[:-100]:
        tree.remove(rank)
    tree.check()
    assert tree.band._height == 1
    assert len(tree.leaves()) <= 100 // (WIDTH_MIN // 2)


def test_neighbours_that_fit_in_half_a_node_are_merged_and_others_are_not() -> None:
    """Half, so that the next task that comes does not divide them again."""
    tree = Tree(5)
    for rank in range(2 * WIDTH_MAX):
        tree.add(rank)
    for rank in range(WIDTH_MIN, WIDTH_MAX):
        tree.remove(rank)
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MIN, WIDTH_MAX]
    for rank in range(WIDTH_MAX, 2 * WIDTH_MAX - WIDTH_MIN - 2):
        tree.remove(rank)
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MIN, WIDTH_MIN + 2]
    tree.remove(0)  # 7 and 10 are more than 16
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MIN - 1, WIDTH_MIN + 2]
    tree.remove(1)
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MAX // 2]
    tree.check()


def test_run_limits_are_kept_only_where_there_are_any() -> None:
    tree = Tree(6, limited=0)
    for rank in range(100):
        tree.add(rank)
    assert all(leaf.limits is None for leaf in tree.leaves())
    assert tree.band._root.limits is None
    tree.limited = 1
    tree.add(1000)
    assert [leaf.limits is None for leaf in tree.leaves()] == [True, True, True, False]
    assert tree.band._root.limits is not None


def test_a_search_remembers_the_way_for_the_removal_that_follows() -> None:
    """And only then: after any change, the way may lead elsewhere."""
    tree = Tree(7)
    for rank in range(0, 2000, 2):
        tree.add(rank)
    band = tree.band
    for search in (
        lambda: band.first(40),
        lambda: band.after(500, 40),
        lambda: band.after_within(500, Offer(5, [(40, 5.0)])),
    ):
        found = search()
        assert found is not None
        way = band._path
        assert (way[-1][0].ranks[way[-1][1]], len(way)) == (found[0], band._height + 1)
        tree.add(found[0] + 1)
        assert band._path == []
        tree.remove(found[0])
        tree.check()


def test_what_an_offer_covers() -> None:
    """A task within the cost, or in a box: no dearer and no longer than it says."""
    offer = Offer(3, [(5, 60.0), (8, 10.0)])
    assert (offer.cost, offer.widest, offer.longest) == (3, 8, 60.0)
    assert offer.boxes_cover(5, 60.0)
    assert offer.boxes_cover(8, 10.0)
    assert not offer.boxes_cover(8, 10.25)
    assert not offer.boxes_cover(6, 60.0)
    assert not offer.boxes_cover(9, 1.0)
    assert not offer.boxes_cover(1, math.inf)
    assert (Offer(3, []).widest, Offer(3, []).longest) == (3, -math.inf)
    assert (Offer(3, [(2, 1.0)]).widest, Offer(3, [(2, 1.0)]).longest) == (3, 1.0)


def grown(tasks: int, limited: float = 0) -> Tree:
    """Tasks with ranks 0, 10, 20, ... in full leaves."""
    tree = Tree(8, limited)
    for rank in range(tasks):
        tree.add(10 * rank)
    return tree


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("branch", [0, 1, 3])
def test_a_branch_may_shrink_to_nothing_beside_full_ones(branch: int, backwards: bool) -> None:
    """Full neighbours take nothing over: it comes down to one child, and none; and what returns finds its place."""
    tree = grown(4 * WIDTH_MAX**2 + 1, limited=0.1)
    assert tree.band._height == 2
    ranks = [10 * (branch * WIDTH_MAX**2 + i) for i in range(WIDTH_MAX**2)]
    for count, rank in enumerate(reversed(ranks) if backwards else ranks):
        tree.remove(rank)
        if count % 100 == 99 or count > WIDTH_MAX**2 - 2 * WIDTH_MAX:
            tree.check()
        if count % 97 == 96 or count > WIDTH_MAX**2 - 2 * WIDTH_MAX:
            tree.add(ranks[0] + 1)
            tree.check()
            tree.remove(ranks[0] + 1)
    for rank in ranks[::40]:
        tree.add(rank)
    tree.check()


def test_the_first_place_of_a_very_long_line_may_be_taken_again() -> None:
    """Three levels of branches: all of the first one's tasks have gone, and an older one comes back."""
    tree = grown(WIDTH_MAX**3 + 20 * WIDTH_MAX**2)
    assert tree.band._height == 3
    for i in range(WIDTH_MAX**3):
        tree.remove(10 * i)
    for rank in (5, 25, 15):
        tree.add(rank)
    assert [task.sequence for task in tree.band] == sorted(tree.tasks)


@pytest.mark.parametrize("limited", [(), (0,), (1,), (0, 1)])
def test_nodes_are_merged_with_and_without_run_limits(limited: tuple[int, ...]) -> None:
    tree = Tree(9, limited=0)
    for rank in range(3 * WIDTH_MAX):
        tree.add(rank)
    tree.limited = 1
    for leaf in limited:
        tree.remove(leaf * WIDTH_MAX + 1)
        tree.add(leaf * WIDTH_MAX + 1)
    assert [number for number, leaf in enumerate(tree.leaves()) if leaf.limits is not None] == list(limited)
    for leaf in (0, 1):
        for rank in range(leaf * WIDTH_MAX + WIDTH_MIN, (leaf + 1) * WIDTH_MAX):
            tree.remove(rank)
    tree.remove(0)
    tree.check()
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [2 * WIDTH_MIN - 1, WIDTH_MAX]
    assert (tree.leaves()[0].limits is not None) == bool(limited)


def test_the_last_node_is_merged_with_the_one_before_it() -> None:
    tree = grown(3 * WIDTH_MAX)
    for leaf in (1, 2):
        for i in range(WIDTH_MIN, WIDTH_MAX):
            tree.remove(10 * (leaf * WIDTH_MAX + i))
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MAX, WIDTH_MIN, WIDTH_MIN]
    tree.remove(10 * 2 * WIDTH_MAX)
    tree.check()
    assert [len(leaf.ranks) for leaf in tree.leaves()] == [WIDTH_MAX, 2 * WIDTH_MIN - 1]
