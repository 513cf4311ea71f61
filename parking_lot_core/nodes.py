"""Nodes of the tree that holds one class of the waiting line (``band.py``)."""

from __future__ import annotations

import math
from array import array
from typing import Any

# Measured with 1,000 to 1,000,000 tasks: anything from 16 to 96 does equally well.
WIDTH_MAX = 32
WIDTH_MIN = 8


class Node:
    """Parallel lists in rank order. A leaf's children are tasks; a branch's are nodes.

    In a branch, ``ranks[i]`` is a lower bound of the ranks below child ``i``, and ``costs[i]`` and ``limits[i]`` are
    the smallest below it. ``limits`` is ``None`` where no task below has a run limit.
    """

    __slots__ = ("children", "costs", "limits", "ranks")

    def __init__(self, ranks: list[int], costs: array[float], limits: list[float] | None, children: list[Any]) -> None:
        self.ranks = ranks
        self.costs = costs
        self.limits = limits
        self.children = children

    def limit_min(self) -> float:
        """The shortest run limit below this node; infinity if there is none."""
        return math.inf if self.limits is None else min(self.limits, default=math.inf)

    def lower_limit(self, i: int, limit: float) -> None:
        """Note that a task with this run limit lies at or below child ``i``."""
        limits = self.limits
        if limits is None:
            limits = self.limits = [math.inf] * len(self.ranks)
        if limit < limits[i]:
            limits[i] = limit

    def insert(self, i: int, rank: int, cost: float, limit: float, child: Any) -> None:
        """Put a child at place ``i``."""
        self.ranks.insert(i, rank)
        self.costs.insert(i, cost)
        self.children.insert(i, child)
        if self.limits is not None:
            self.limits.insert(i, limit)
        elif limit != math.inf:
            self.lower_limit(i, limit)

    def drop(self, i: int) -> None:
        """Take the child at place ``i`` out of a branch. The first place keeps its bound: nothing ranks before it."""
        if i == 0 and len(self.ranks) > 1:
            self.ranks[1] = self.ranks[0]
            self.children[1].reach_back(self.ranks[0])
        del self.ranks[i], self.costs[i], self.children[i]
        if self.limits is not None:
            del self.limits[i]

    def reach_back(self, rank: int) -> None:
        """Tasks from ``rank`` on may come into this node from now on. The ranks of a leaf are those of its tasks."""
        node = self
        while isinstance(node.children[0], Node):
            node.ranks[0] = rank
            node = node.children[0]

    def cut(self, i: int) -> Node:
        """Move the children from place ``i`` on into a new node."""
        limits = None
        if self.limits is not None:
            limits = self.limits[i:]
            del self.limits[i:]
        right = Node(self.ranks[i:], self.costs[i:], limits, self.children[i:])
        del self.ranks[i:], self.costs[i:], self.children[i:]
        return right

    def absorb(self, right: Node) -> None:
        """Take over the children of the next node on the same level."""
        if self.limits is not None or right.limits is not None:
            mine = self.limits or [math.inf] * len(self.ranks)
            self.limits = mine + (right.limits or [math.inf] * len(right.ranks))
        self.ranks += right.ranks
        self.costs += right.costs
        self.children += right.children

    def refresh(self, i: int) -> None:
        """Work out anew what a branch knows about child ``i``."""
        child = self.children[i]
        self.costs[i] = min(child.costs)
        if self.limits is not None:
            self.limits[i] = child.limit_min()

    def merge(self, i: int) -> bool:
        """Drop child ``i`` of a branch if it is empty, or merge it with a neighbour if both fit in half a node."""
        if not self.children[i].ranks:
            self.drop(i)
            return True
        left = i if i + 1 < len(self.children) else i - 1
        if left < 0:
            return False
        keep, gone = self.children[left], self.children[left + 1]
        if len(keep.ranks) + len(gone.ranks) > WIDTH_MAX // 2:
            return False
        keep.absorb(gone)
        self.drop(left + 1)
        self.refresh(left)
        return True


def empty_node() -> Node:
    """A node without children."""
    return Node([], array("d"), None, [])
