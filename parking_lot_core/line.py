"""The waiting line: parked tasks in rank order, searched by what fits.

A B+ tree over ranks in which every branch knows the smallest cost and the shortest run limit below each child. To
find the highest-ranked task that costs at most ``c``, walk down, taking the first child whose smallest cost is at most
``c``: O(log n) whatever the costs are, where a list would be searched from end to end when only small tasks fit. Nodes
are wide and hold plain parallel lists, because in CPython a ``bisect`` or ``min`` over sixty numbers is cheaper than
two levels more.

Searches that also look at run limits (EASY backfill) use both minima to prune. There a subtree may hold the minimum
of each in two different tasks, so they may look at more than O(log n) nodes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, TypeAlias

from parking_lot_core.types import ScheduledTask

# Measured at 1,000 to 1,000,000 tasks: 32 and 128 are both slower than 64.
_WIDTH_MAX = 64
_WIDTH_MIN = 16


class _Node:
    """Parallel lists in rank order. A leaf's children are tasks; a branch's are nodes.

    In a branch, ``ranks[i]`` is a lower bound of the ranks below child ``i``, and ``costs[i]`` and ``limits[i]`` are
    the smallest below it.
    """

    __slots__ = ("children", "costs", "limits", "ranks")

    def __init__(self, ranks: list[int], costs: list[int], limits: list[float], children: list[Any]) -> None:
        self.ranks = ranks
        self.costs = costs
        self.limits = limits
        self.children = children


_Path: TypeAlias = list[tuple[_Node, int]]


class WaitingLine:
    """Ordered set of tasks. Ranks are unique; the smallest rank is served first."""

    __slots__ = ("_height", "_root", "cost_min", "size")

    def __init__(self) -> None:
        self._root: _Node = _Node([], [], [], [])
        self._height = 0  # levels of branches above the leaves
        self.size = 0
        #: The smallest cost in the line; infinity while it is empty.
        self.cost_min: float = math.inf

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[ScheduledTask]:
        """All tasks, in rank order."""
        for leaf in self._leaves(self._root, self._height):
            yield from leaf.children

    # -- changing ------------------------------------------------------------------------------------------------

    def add(self, rank: int, task: ScheduledTask) -> None:
        """Insert a task whose rank is not in the line yet."""
        cost = task.metadata.cost.units
        given = task.metadata.run_timeout
        limit = math.inf if given is None else given
        node = self._root
        path: _Path = []
        for _ in range(self._height):
            i = bisect_right(node.ranks, rank) - 1
            if i < 0:
                i = 0
                node.ranks[0] = rank
            if cost < node.costs[i]:
                node.costs[i] = cost
            if limit < node.limits[i]:
                node.limits[i] = limit
            path.append((node, i))
            node = node.children[i]
        ranks = node.ranks
        i = bisect_left(ranks, rank)
        ranks.insert(i, rank)
        node.costs.insert(i, cost)
        node.limits.insert(i, limit)
        node.children.insert(i, task)
        self.size += 1
        if cost < self.cost_min:
            self.cost_min = cost
        if len(ranks) > _WIDTH_MAX:
            self._split(node, path)

    def remove(self, rank: int) -> ScheduledTask:
        """Take out the task of this rank. Raises ``KeyError`` if there is none."""
        node = self._root
        path: _Path = []
        for _ in range(self._height):
            i = bisect_right(node.ranks, rank) - 1
            path.append((node, i))
            node = node.children[i]
        i = bisect_left(node.ranks, rank)
        if i == len(node.ranks) or node.ranks[i] != rank:
            raise KeyError(rank)
        task: ScheduledTask = node.children.pop(i)
        cost, limit = node.costs.pop(i), node.limits.pop(i)
        del node.ranks[i]
        self.size -= 1
        if path:
            self._shrink(node, path, cost, limit)
        if cost == self.cost_min:
            self.cost_min = min(self._root.costs, default=math.inf)
        return task

    # -- searching -----------------------------------------------------------------------------------------------

    def first(self, cost: float) -> tuple[int, ScheduledTask] | None:
        """Rank and task of the highest rank that costs at most ``cost``."""
        if cost < self.cost_min:
            return None
        return _descend(self._root, self._height, cost)

    def after(self, rank: int, cost: float) -> tuple[int, ScheduledTask] | None:
        """Like ``first``, among the tasks that rank strictly behind ``rank``."""
        if cost < self.cost_min:
            return None
        node = self._root
        path: _Path = []
        for _ in range(self._height):
            i = max(0, bisect_right(node.ranks, rank) - 1)
            path.append((node, i))
            node = node.children[i]
        for i in range(bisect_right(node.ranks, rank), len(node.ranks)):
            if node.costs[i] <= cost:
                return node.ranks[i], node.children[i]
        height = 0
        while path:
            branch, i = path.pop()
            for j in range(i + 1, len(branch.costs)):
                if branch.costs[j] <= cost:
                    return _descend(branch.children[j], height, cost)
            height += 1
        return None

    def after_within(
        self, rank: int, cost: float, boxes: list[tuple[float, float]]
    ) -> tuple[int, ScheduledTask] | None:
        """Like ``after``, for tasks that cost at most ``cost`` or lie in a box: (largest cost, longest run limit)."""
        return _search(self._root, self._height, rank, [(cost, math.inf), *boxes])

    def ahead_of(self, rank: int) -> int:
        """How many tasks rank before ``rank``: O(n / 64), for people who ask, not for scheduling."""
        count = 0
        for leaf in self._leaves(self._root, self._height):
            if leaf.ranks and leaf.ranks[-1] >= rank:
                return count + bisect_left(leaf.ranks, rank)
            count += len(leaf.ranks)
        return count

    # -- keeping the tree in shape -------------------------------------------------------------------------------

    def _leaves(self, node: _Node, height: int) -> Iterator[_Node]:
        if height == 0:
            yield node
            return
        for child in node.children:
            yield from self._leaves(child, height - 1)

    def _split(self, node: _Node, path: _Path) -> None:
        """Halve an overfull node, and its parents as far as they overflow."""
        while len(node.ranks) > _WIDTH_MAX:
            right = _cut(node)
            if not path:
                self._root = _Node(
                    [node.ranks[0], right.ranks[0]],
                    [min(node.costs), min(right.costs)],
                    [min(node.limits), min(right.limits)],
                    [node, right],
                )
                self._height += 1
                return
            parent, i = path.pop()
            parent.costs[i], parent.limits[i] = min(node.costs), min(node.limits)
            parent.ranks.insert(i + 1, right.ranks[0])
            parent.costs.insert(i + 1, min(right.costs))
            parent.limits.insert(i + 1, min(right.limits))
            parent.children.insert(i + 1, right)
            node = parent

    def _shrink(self, node: _Node, path: _Path, cost: int, limit: float) -> None:
        """After a removal: correct the minima above, and drop or merge nodes that became small."""
        while path:
            parent, i = path.pop()
            if len(node.ranks) < _WIDTH_MIN and _absorb(parent, i):
                # Two children changed places with one: the minima of the parent itself may have changed as well.
                node = parent
                continue
            # Taking away an infinite limit cannot change a minimum.
            stale_cost, stale_limit = parent.costs[i] == cost, limit != math.inf and parent.limits[i] == limit
            if stale_cost:
                parent.costs[i] = min(node.costs)
                stale_cost = parent.costs[i] != cost
            if stale_limit:
                parent.limits[i] = min(node.limits)
                stale_limit = parent.limits[i] != limit
            if not (stale_cost or stale_limit):
                return
            node = parent
        self._lower()

    def _lower(self) -> None:
        """Drop levels that hold a single node."""
        while self._height and len(self._root.children) <= 1:
            self._root = self._root.children[0] if self._root.children else _Node([], [], [], [])
            self._height = self._height - 1 if self._root.children else 0


def _cut(node: _Node) -> _Node:
    """Move the right half of a node into a new one."""
    half = len(node.ranks) // 2
    right = type(node)(node.ranks[half:], node.costs[half:], node.limits[half:], node.children[half:])
    del node.ranks[half:], node.costs[half:], node.limits[half:], node.children[half:]
    return right


def _absorb(parent: _Node, i: int) -> bool:
    """Drop child ``i`` if it is empty, or merge it with a neighbour if both fit in half a node."""
    child = parent.children[i]
    if not child.ranks:
        del parent.ranks[i], parent.costs[i], parent.limits[i], parent.children[i]
        return True
    left = i if i + 1 < len(parent.children) else i - 1
    if left < 0:
        return False
    keep, gone = parent.children[left], parent.children[left + 1]
    if len(keep.ranks) + len(gone.ranks) > _WIDTH_MAX // 2:
        return False
    keep.ranks += gone.ranks
    keep.costs += gone.costs
    keep.limits += gone.limits
    keep.children += gone.children
    parent.costs[left], parent.limits[left] = min(keep.costs), min(keep.limits)
    at = left + 1
    del parent.ranks[at], parent.costs[at], parent.limits[at], parent.children[at]
    return True


def _descend(node: _Node, height: int, cost: float) -> tuple[int, ScheduledTask] | None:
    """The first task below ``node`` that costs at most ``cost``; some task there does, if the line is not empty."""
    for _ in range(height):
        for i, smallest in enumerate(node.costs):
            if smallest <= cost:
                node = node.children[i]
                break
    for i, own in enumerate(node.costs):
        if own <= cost:
            return node.ranks[i], node.children[i]
    return None


def _search(node: _Node, height: int, rank: int, boxes: list[tuple[float, float]]) -> tuple[int, ScheduledTask] | None:
    """Depth first through the nodes that may hold a task inside a box and behind ``rank``."""
    start = bisect_right(node.ranks, rank)
    if height:
        start = max(0, start - 1)
    for i in range(start, len(node.ranks)):
        cost, limit = node.costs[i], node.limits[i]
        if not any(cost <= box_cost and limit <= box_limit for box_cost, box_limit in boxes):
            continue
        if not height:
            return node.ranks[i], node.children[i]
        found = _search(node.children[i], height - 1, rank, boxes)
        if found is not None:
            return found
    return None
