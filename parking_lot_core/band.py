"""One class of the waiting line: parked tasks in rank order, searched by what fits.

A B+ tree over ranks in which every branch knows the smallest cost and the shortest run limit below each child. To
find the highest-ranked task that costs at most ``c``, walk down, taking the first child whose smallest cost is at most
``c``: O(log n) whatever the costs are, where a list would be searched from end to end when only small tasks fit. Nodes
are wide and hold plain parallel lists, because in CPython a ``bisect`` or ``min`` over some dozens of numbers is
cheaper than two levels more.

A search remembers the way down, so that removing what it found needs no other. Run limits are kept only in nodes below
which a task has one: many lots have none, and then nobody pays for them.

Searches that also look at run limits (EASY backfill) use both minima to prune. There a subtree may hold the minimum
of each in two different tasks, so they may look at more than O(log n) nodes.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from parking_lot_core.nodes import WIDTH_MAX, WIDTH_MIN, Node, empty_node
from parking_lot_core.types import ScheduledTask


class Offer:
    """What a search asks for: tasks that cost at most ``cost``, or lie in a box (largest cost, longest run limit)."""

    __slots__ = ("boxes", "cost", "longest", "widest")

    def __init__(self, cost: float, boxes: Sequence[tuple[float, float]]) -> None:
        self.cost = cost
        self.boxes = boxes
        #: The largest cost, and the longest run limit of a task that costs more than ``cost``.
        self.widest = cost
        self.longest = -math.inf
        for box_cost, box_limit in boxes:
            if box_cost > self.widest:
                self.widest = box_cost
            if box_limit > self.longest:
                self.longest = box_limit

    def boxes_cover(self, cost: float, limit: float) -> bool:
        """Whether such a task lies in a box."""
        if cost > self.widest or limit > self.longest:
            return False
        return any(cost <= box_cost and limit <= box_limit for box_cost, box_limit in self.boxes)


_Path: TypeAlias = list[tuple[Node, int]]


class Band:
    """Ordered set of tasks. Ranks are unique; the smallest rank is served first."""

    __slots__ = ("_height", "_path", "_root", "cost_min", "rank_min")

    def __init__(self, rank_min: int) -> None:
        self._root = empty_node()
        self._height = 0  # levels of branches above the leaves
        # The way down to what the last search found, until something changes: nodes, with the place in each.
        self._path: _Path = []
        #: No task in this band can have a smaller rank.
        self.rank_min = rank_min
        #: The smallest cost in the band; infinity while it is empty.
        self.cost_min: float = math.inf

    def __iter__(self) -> Iterator[ScheduledTask]:
        """All tasks, in rank order."""
        for leaf in self._leaves(self._root, self._height):
            yield from leaf.children

    # -- changing ------------------------------------------------------------------------------------------------

    def add(self, rank: int, task: ScheduledTask) -> None:
        """Insert a task whose rank is not in the band yet."""
        metadata = task.metadata
        cost = metadata.cost.units
        limit = metadata.run_timeout
        if cost < self.cost_min:
            self.cost_min = cost
        self._path = []
        node = self._root
        for _ in range(self._height):
            i = bisect_right(node.ranks, rank) - 1
            if cost < node.costs[i]:
                node.costs[i] = cost
            if limit is not None:
                node.lower_limit(i, limit)
            node = node.children[i]
        ranks = node.ranks
        i = bisect_right(ranks, rank)
        ranks.insert(i, rank)
        node.costs.insert(i, cost)
        node.children.insert(i, task)
        if node.limits is not None:
            node.limits.insert(i, math.inf)
        if limit is not None:
            node.lower_limit(i, limit)
        if len(ranks) > WIDTH_MAX:
            self._split(self._path_to(rank))

    def remove(self, rank: int) -> ScheduledTask:
        """Take out the task of this rank. Raises ``KeyError`` if there is none."""
        path = self._path
        if not path or path[-1][0].ranks[path[-1][1]] != rank:
            path = self._path_to(rank)
        self._path = []
        leaf, i = path.pop()
        del leaf.ranks[i]
        task: ScheduledTask = leaf.children.pop(i)
        cost = leaf.costs.pop(i)
        limit = math.inf if leaf.limits is None else leaf.limits.pop(i)
        if path:
            self._shrink(leaf, path, cost, limit)
        if cost == self.cost_min:
            self.cost_min = min(self._root.costs, default=math.inf)
        return task

    # -- searching -----------------------------------------------------------------------------------------------

    def first(self, cost: float, last: float = math.inf) -> tuple[int, ScheduledTask] | None:
        """Rank and task of the highest rank that costs at most ``cost``, if that is at most ``last``."""
        root = self._root
        if last != math.inf and cost < min(root.costs[: bisect_right(root.ranks, last)], default=math.inf):
            return None
        if cost < self.cost_min:
            return None
        self._path = []
        return self._descend(root, cost, last)

    def after(self, rank: int, cost: float) -> tuple[int, ScheduledTask] | None:
        """Like ``first``, among the tasks that rank strictly behind ``rank``."""
        if rank < self.rank_min:
            return self.first(cost)
        if cost < self.cost_min:
            return None
        node = self._root
        path: _Path = []
        for _ in range(self._height):
            i = bisect_right(node.ranks, rank) - 1
            path.append((node, i))
            node = node.children[i]
        start = bisect_right(node.ranks, rank)
        while True:
            costs = node.costs
            for i in range(start, len(costs)):
                if costs[i] <= cost:
                    path.append((node, i))
                    self._path = path
                    if len(path) > self._height:
                        return node.ranks[i], node.children[i]
                    return self._descend(node.children[i], cost, math.inf)
            if not path:
                return None
            node, start = path.pop()
            start += 1

    def after_within(self, rank: int, offer: Offer) -> tuple[int, ScheduledTask] | None:
        """Like ``after``, for tasks that the offer covers."""
        if self._root.limit_min() > offer.longest:
            return self.after(rank, offer.cost)
        self._path = []

        def search(node: Node, height: int) -> bool:
            """Depth first through the nodes that may hold such a task. Puts the way to it on the path, leaf first."""
            costs, limits = node.costs, node.limits
            start = bisect_right(node.ranks, rank)
            for i in range(max(0, start - 1) if height else start, len(costs)):
                least = costs[i]
                if least > offer.cost and (limits is None or not offer.boxes_cover(least, limits[i])):
                    continue
                if height == 0 or search(node.children[i], height - 1):
                    self._path.append((node, i))
                    return True
            return False

        if not search(self._root, self._height):
            return None
        self._path.reverse()
        leaf, i = self._path[-1]
        return leaf.ranks[i], leaf.children[i]

    def ahead_of(self, rank: int) -> int:
        """How many tasks rank before ``rank``: O(n / 64), for people who ask, not for scheduling."""
        count = 0
        for leaf in self._leaves(self._root, self._height):
            if leaf.ranks and leaf.ranks[-1] >= rank:
                return count + bisect_left(leaf.ranks, rank)
            count += len(leaf.ranks)
        return count

    def _descend(self, node: Node, cost: float, last: float) -> tuple[int, ScheduledTask] | None:
        """The first task below ``node`` that costs at most ``cost`` (there is one), if that is at most ``last``."""
        path = self._path
        cost = float(cost)
        while True:
            costs = node.costs
            i = 0
            while costs[i] > cost:
                i += 1
            path.append((node, i))
            if len(path) > self._height:
                rank = node.ranks[i]
                return (rank, node.children[i]) if rank <= last else None
            node = node.children[i]

    def _path_to(self, rank: int) -> _Path:
        """The way down to a task in the line. Raises ``KeyError`` if there is none of this rank."""
        node = self._root
        path: _Path = []
        for _ in range(self._height):
            i = bisect_right(node.ranks, rank) - 1
            path.append((node, i))
            node = node.children[i]
        i = bisect_left(node.ranks, rank)
        if i == len(node.ranks) or node.ranks[i] != rank:
            raise KeyError(rank)
        path.append((node, i))
        return path

    # -- keeping the tree in shape -------------------------------------------------------------------------------

    def _leaves(self, node: Node, height: int) -> Iterator[Node]:
        if height == 0:
            yield node
            return
        for child in node.children:
            yield from self._leaves(child, height - 1)

    def _split(self, path: _Path) -> None:
        """Divide a leaf that became too wide, and its parents as far as they do. ``path`` leads to what was added."""
        node, i = path.pop()
        while len(node.ranks) > WIDTH_MAX:
            # New tasks mostly come last: what overflows at its end is left full instead of half empty for ever.
            last = len(node.ranks) - 1
            right = node.cut(last if i == last else last // 2)
            if not path:
                self._root = empty_node()
                self._root.insert(0, self.rank_min, min(node.costs), node.limit_min(), node)
                self._root.insert(1, right.ranks[0], min(right.costs), right.limit_min(), right)
                self._height += 1
                return
            parent, i = path.pop()
            parent.refresh(i)
            i += 1
            parent.insert(i, right.ranks[0], min(right.costs), right.limit_min(), right)
            node = parent

    def _shrink(self, node: Node, path: _Path, cost: float, limit: float) -> None:
        """After a removal: correct the minima above, and drop or merge nodes that became small."""
        while path:
            parent, i = path.pop()
            if len(node.children) < WIDTH_MIN and parent.merge(i):
                # Two children changed places with one: the minima of the parent itself may have changed as well.
                node = parent
                continue
            # Taking away an infinite limit cannot change a minimum.
            stale_cost = parent.costs[i] == cost
            stale_limit = limit != math.inf and parent.limits is not None and parent.limits[i] == limit
            if stale_cost:
                parent.costs[i] = smallest = min(node.costs)
                stale_cost = smallest != cost
            if stale_limit and parent.limits is not None:
                parent.limits[i] = node.limit_min()
                stale_limit = parent.limits[i] != limit
            if not (stale_cost or stale_limit):
                return
            node = parent
        self._lower()

    def _lower(self) -> None:
        """Drop levels that hold a single node."""
        while self._height and len(self._root.children) == 1:
            self._root = self._root.children[0]
            self._height -= 1
