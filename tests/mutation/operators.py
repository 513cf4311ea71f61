"""Mutations that cosmic-ray does not bring: a statement that is not there, a condition that does not matter.

Its own operators change operators, numbers and keywords. What a state machine most easily gets wrong is something else:
a field that is not set back, a call that is forgotten, a case that is not looked at. These operators make such
mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import Keyword, Name

Positions: TypeAlias = Iterable[tuple[Any, Any]]


def _word(value: str, prefix: str, node: Any) -> Any:
    return Keyword(value, node.start_pos, prefix)


def _is_defined_twice(name: Any) -> bool:
    """Whether the function gives this variable a value in several places, so that it has one without this statement."""
    function: Any = name.search_ancestor("funcdef")
    if function is None:
        return False
    leaf, end, count = function.get_first_leaf(), function.end_pos, 0
    while leaf is not None and leaf.start_pos < end:
        count += isinstance(leaf, Name) and leaf.value == name.value and leaf.is_definition()
        leaf = leaf.get_next_leaf()
    return bool(count > 1)


class RemoveStatement(Operator):
    """Leaves out a call, a ``del``, a ``yield``, or an assignment to what has a value already."""

    def mutation_positions(self, node: Any) -> Positions:
        if node.parent is not None and node.parent.type == "simple_stmt" and self._counts(node):
            yield node.start_pos, node.end_pos

    def _counts(self, node: Any) -> bool:
        if node.type in ("atom_expr", "power", "del_stmt", "yield_expr"):
            return True
        if node.type != "expr_stmt":
            return False
        target, what = node.children[0], node.children[1]
        if what.type == "annassign" and len(what.children) < 4:
            return False  # it says a type, and gives no value
        return target.type in ("atom_expr", "power") or (target.type == "name" and _is_defined_twice(target))

    def mutate(self, node: Any, index: int) -> Any:
        return _word("pass", node.get_first_leaf().prefix, node)

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("self.x = 1\n", "pass\n"), Example("f(1)\n", "pass\n"), Example("del a[0]\n", "pass\n"))


class ReturnNone(Operator):
    """Gives nothing back."""

    def mutation_positions(self, node: Any) -> Positions:
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.children[1] = _word("None", " ", node.children[1])
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("def f(): return 1", "def f(): return None"),)


class _ReplaceCondition(Operator):
    """Decides always in the same way."""

    word: str
    loops: bool

    def mutation_positions(self, node: Any) -> Positions:
        for place in self._places(node):
            condition = node.children[place]
            if condition.get_code().strip() not in ("True", "False"):
                yield condition.start_pos, condition.end_pos

    def _places(self, node: Any) -> list[int]:
        match node.type:
            case "if_stmt":
                return [i + 1 for i, child in enumerate(node.children) if child.get_code().strip() in ("if", "elif")]
            case "while_stmt":
                return [1] if self.loops else []
            case "ternary" | "test" if len(node.children) == 5:
                return [2]
            case "comp_if":
                return [1]
        return []

    def mutate(self, node: Any, index: int) -> Any:
        place = self._places(node)[index]
        node.children[place] = _word(self.word, " ", node.children[place])
        return node


class ConditionTrue(_ReplaceCondition):
    """``if True``. Not ``while True``, which hangs."""

    word = "True"
    loops = False

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("if a: pass", "if True: pass"), Example("x = a if b else c", "x = a if True else c"))


class ConditionFalse(_ReplaceCondition):
    """``if False``, ``while False``."""

    word = "False"
    loops = True

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("if a: pass", "if False: pass"), Example("while a: pass", "while False: pass"))


class DropOperand(Operator):
    """Forgets one of the conditions in ``a and b``, ``a or b``."""

    def mutation_positions(self, node: Any) -> Positions:
        if node.type in ("and_test", "or_test"):
            for operand in node.children[::2]:
                yield operand.start_pos, operand.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        prefix = node.get_first_leaf().prefix
        start = max(0, 2 * index - 1)
        del node.children[start : start + 2]
        node.get_first_leaf().prefix = prefix
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("x = a and b", "x = b"), Example("x = a and b", "x = a", occurrence=1))


class SwapFunction(Operator):
    """``min`` for ``max``, ``any`` for ``all``, and the other way round."""

    OTHER = {"min": "max", "max": "min", "any": "all", "all": "any"}  # noqa: RUF012 - a constant

    def mutation_positions(self, node: Any) -> Positions:
        if isinstance(node, Name) and node.value in self.OTHER:
            after = node.get_next_leaf()
            if after is not None and after.value == "(":
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self.OTHER[node.value]
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("x = min(a)", "x = max(a)"),)


OPERATORS: dict[str, type[Operator]] = {
    operator.__name__: operator
    for operator in (RemoveStatement, ReturnNone, ConditionTrue, ConditionFalse, DropOperand, SwapFunction)
}
