"""Every mutant of the core: where it is, what it changes, and the text of the changed module.

Sites are found by walking the whole module; a mutant is made by changing a copy of the one function or statement around
it, which takes milliseconds. Annotations, type aliases and ``__slots__`` are passed over: changing them changes nothing
that runs.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import attrs
import parso
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutation.operators import OPERATORS

CORE = Path(__file__).parents[2] / "parking_lot_core"
_WRAPPER = "class _:\n"


@attrs.frozen
class Key:
    """What names a mutant as long as the line that it changes stays as it is: the place of a line does not."""

    module: str
    scope: str
    before: str
    after: str
    nth: int = 1

    def __str__(self) -> str:
        again = f" (number {self.nth} of this line)" if self.nth > 1 else ""
        return f"{self.module}.py, {self.scope or 'module'}{again}\n    - {self.before}\n    + {self.after}"


@attrs.frozen(eq=False)
class Mutant:
    """One change. ``source`` is the whole text of the module with it."""

    module: str
    operator: str
    line: int
    key: Key
    source: str

    def __str__(self) -> str:
        return f"{self.operator} at line {self.line}: {self.key}"


@attrs.frozen(eq=False)
class Site:
    """A place at which an operator can make a change."""

    module: Module
    operator: str
    unit: Any
    occurrence: int
    scope: str
    line: int

    def mutant(self) -> Mutant | None:
        """The mutant; ``None`` if the change gives no program, or the same one."""
        code = self.unit.get_code(include_prefix=False)
        wrapped = _wrap(code, self.unit.start_pos[1])
        changed = mutate_code(wrapped, _operators()[self.operator], self.occurrence)
        if changed is None:
            raise RuntimeError(f"{self.operator} finds nothing to change at line {self.line} of {self.module.name}")
        tree = _tree(changed)
        if tree is None or tree == _tree(wrapped):
            return None
        changed = changed[len(wrapped) - len(code) :]
        start = self.module.offset(self.unit.start_pos)
        text = self.module.text
        source = text[:start] + changed + text[start + len(code) :]
        before, after, first = _difference(text, source)
        nth = self.module.nth(self.scope, first)
        return Mutant(
            self.module.name, self.operator, self.line, Key(self.module.name, self.scope, before, after, nth), source
        )


@attrs.frozen(eq=False, slots=False)
class Module:
    """One file of the core."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.lines:
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def offset(self, position: tuple[int, int]) -> int:
        return self._starts[position[0] - 1] + position[1]

    @cached_property
    def _scopes(self) -> dict[int, str]:
        """The function or class that each line belongs to."""
        scopes: dict[int, str] = {}
        for node in _nodes(self.tree):
            if node.type in ("funcdef", "classdef"):
                for line in range(node.start_pos[0], node.end_pos[0] + 1):
                    scopes[line] = _scope(node)
        return scopes

    @cached_property
    def tree(self) -> Any:
        return parso.parse(self.text)

    def nth(self, scope: str, line: int) -> int:
        """Which of the lines in this scope that read the same this one is."""
        same = self.lines[line - 1].strip()
        return sum(
            self.lines[other - 1].strip() == same and self._scopes.get(other, "") == self._scopes.get(line, "")
            for other in range(1, line + 1)
        )

    def sites(self) -> Iterator[Site]:
        """All places, in the order of the text."""
        idle = _idle_ranges(self.tree)
        for unit in _units(self.tree):
            seen: Counter[str] = Counter()
            for node in _nodes(unit):
                for name, operator in _operators().items():
                    for start, _ in operator.mutation_positions(node):
                        occurrence = seen[name]
                        seen[name] += 1
                        if not any(low <= start < high for low, high in idle):
                            yield Site(self, name, unit, occurrence, _scope(node), start[0])


# What an operator is replaced by. Cosmic-ray would replace it by every other one; most of those mutants die of a type
# error, or with the first task that comes, and would only make the score look better. Of comparisons these suffice to
# find what the others find, together with conditions that are negated or decided in advance.
_REPLACED = {
    "ComparisonOperator": "Lt_LtE Lt_NotEq LtE_Lt LtE_Eq Gt_GtE Gt_NotEq GtE_Gt GtE_Eq Eq_NotEq Eq_LtE Eq_GtE "
    "NotEq_Eq NotEq_Lt NotEq_Gt Is_IsNot IsNot_Is",
    "BinaryOperator": "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Mul Pow_Mul RShift_LShift LShift_RShift "
    "BitOr_BitAnd BitAnd_BitOr BitXor_BitOr",
    "UnaryOperator": "USub_UAdd Delete_Not",
}


@cache
def _operators() -> dict[str, Operator]:
    """Those of cosmic-ray, and those of this package."""
    wanted = {f"core/Replace{kind}_{pair}" for kind, pairs in _REPLACED.items() for pair in pairs.split()}
    found = {name: operator() for name, operator in OPERATORS.items()}
    for name in operator_names():
        operator = get_operator(name)
        replaces = any(name.startswith(f"core/Replace{kind}") for kind in _REPLACED)
        if not operator.arguments() and (name in wanted or not replaces):
            found[name] = operator()
    return found


def modules(names: Iterable[str] = ()) -> list[Module]:
    """The files of the core, or those named (without ``.py``). Raises ``ValueError`` for a name that is not one."""
    found = {path.stem: path for path in sorted(CORE.glob("*.py"))}
    wanted = list(names) or list(found)
    for name in wanted:
        if name not in found:
            raise ValueError(f"module: expected one of {', '.join(found)}, got {name!r}")
    return [Module(name, found[name].read_text(encoding="utf-8")) for name in wanted]


def mutants(sites: Iterable[Site]) -> Iterator[Mutant]:
    """The mutants of these sites, each one once, though two operators may make the same change."""
    seen: set[Key] = set()
    for site in sites:
        mutant = site.mutant()
        if mutant is not None and mutant.key not in seen:
            seen.add(mutant.key)
            yield mutant


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


def _units(tree: Any) -> Iterator[Any]:
    """Statements of the module; in place of a class, those in its body."""
    for child in tree.children:
        if child.type == "classdef":
            yield from (unit for unit in child.children[-1].children if hasattr(unit, "children"))
        elif hasattr(child, "children"):
            yield child


def _wrap(code: str, column: int) -> str:
    return code if column == 0 else _WRAPPER + " " * column + code


def _tree(code: str) -> str | None:
    try:
        return ast.dump(ast.parse(code))
    except (SyntaxError, ValueError):
        return None


def _scope(node: Any) -> str:
    names: list[str] = []
    while node is not None:
        if node.type in ("funcdef", "classdef"):
            names.insert(0, node.name.value)
        node = node.parent
    return ".".join(names)


def _idle_ranges(tree: Any) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """What only says a type, or names slots."""
    ranges = []
    for node in _nodes(tree):
        idle = None
        if node.type == "annassign":
            idle = node.parent if node.children[1].get_code().strip() == "TypeAlias" else node.children[1]
        elif node.type == "tfpdef":
            idle = node.children[2]
        elif node.type == "funcdef":
            idle = node.annotation
        elif node.type == "expr_stmt" and node.children[0].get_code().strip() == "__slots__":
            idle = node
        if idle is not None:
            ranges.append((idle.start_pos, idle.end_pos))
    return ranges


def _difference(old: str, new: str) -> tuple[str, str, int]:
    """The lines that differ, without indentation, and the number of the first."""
    before, after = old.split("\n"), new.split("\n")
    first = 0
    while before[first : first + 1] == after[first : first + 1]:
        first += 1
    last = 0
    while before[-1 - last] == after[-1 - last] and last < min(len(before), len(after)) - first - 1:
        last += 1
    ends = len(before) - last, len(after) - last
    shown = [" ".join(" ".join(lines).split()) for lines in (before[first : ends[0]], after[first : ends[1]])]
    return shown[0], shown[1], first + 1
