"""Checks the types of the columns of rows as they come from a database."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]
Types: TypeAlias = tuple[type, ...]

TEXT: Types = (str,)
WHOLE: Types = (int,)
WIDE: Types = (int, str, Decimal)
REAL: Types = (float,)
BYTES: Types = (bytes,)


def optional(types: Types) -> Types:
    """The same types, or NULL."""
    return (*types, NoneType)


class Undecodable(ValueError):
    """A row that this version would not have written. The message names the column and the value."""


class Columns:
    """Names and types of the columns of a row, in order."""

    def __init__(self, **types: Types) -> None:
        self.types: Mapping[str, Types] = types
        self.names = tuple(types)
        self._seen: set[Types] = set()

    def check(self, row: Row) -> None:
        """Raise ``Undecodable`` unless every value of ``row`` has a type of its column.

        Rows come in few combinations of types; a combination is looked at once (a third of a microsecond per row
        instead of three).
        """
        found = tuple(map(type, row))
        if found in self._seen:
            return
        for (name, allowed), value in zip(self.types.items(), row, strict=True):
            if type(value) not in allowed:
                words = " or ".join("NULL" if kind is NoneType else kind.__name__ for kind in allowed)
                raise Undecodable(f"{name}: expected {words}, got {value!r:.80}")
        self._seen.add(found)
