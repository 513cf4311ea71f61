"""The kinds of value that a configuration holds.

A kind knows two things about itself: how to read a value that a file gave (``structure``), and the JSON Schema of the
values that it accepts (``schema``). Fields name their kind with ``attrs.field(metadata=read_as(KIND))``.
"""

from __future__ import annotations

import abc
import datetime
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs
from cattrs.errors import BaseValidationError, IterableValidationError

from parking_lot_core.config import WeightByTenant, Whole
from parking_lot_drivers.config.problems import Fault, Unfit, placed, suggestion
from parking_lot_drivers.config.quantities import fit

Schema: TypeAlias = dict[str, Any]

KIND = "parking_lot_kind"


class Kind(abc.ABC):
    """One kind of value."""

    @abc.abstractmethod
    def structure(self, given: object, _type: object = None) -> Any:
        """What the program works with. Raises ``Fault``, or a cattrs group of them."""

    @abc.abstractmethod
    def schema(self) -> Schema:
        """JSON Schema (2020-12) of the values that ``structure`` accepts."""


def read_as(kind: Kind) -> dict[str, Kind]:
    """Metadata of an attrs field that is read from a configuration."""
    return {KIND: kind}


def real(given: object) -> float | None:
    """A number as a float; ``None`` for what is no number, or is past the range of a float."""
    if not isinstance(given, (int, float)) or isinstance(given, bool):
        return None
    try:
        return float(given)
    except OverflowError:
        return None


def _as_is(text: str) -> Any:
    return text


@attrs.frozen(kw_only=True)
class Text(Kind):
    """A string that a pattern describes. ``secret``: it must not be repeated in an error."""

    expected: str = "text that is not empty"
    pattern: str = r"^[^\u0000]+$"
    examples: tuple[str, ...] = ()
    secret: bool = False
    convert: Callable[[str], Any] = _as_is

    def structure(self, given: object, _type: object = None) -> Any:
        """The string, converted."""
        if isinstance(given, str) and fit(self.pattern, given):
            return self.convert(given)
        if self.secret and isinstance(given, str):
            raise Fault(f"expected {self.expected}, got another text (not shown: it may hold a password)")
        scalar = isinstance(given, (bool, int, float, datetime.date))
        raise Unfit(self.expected, given, "; write it in quotes" if scalar else "")

    def schema(self) -> Schema:
        """A string of the pattern."""
        examples = {"examples": list(self.examples)} if self.examples else {}
        return {"type": "string", "pattern": self.pattern} | examples


ANY_TEXT = Text(expected="text", pattern=r"^[^\u0000]*$")


@attrs.frozen
class Choice(Kind):
    """One of a few words."""

    words: tuple[str, ...]

    def structure(self, given: object, _type: object = None) -> str:
        """The word."""
        if isinstance(given, str) and given in self.words:
            return given
        raise Unfit(f"one of {', '.join(self.words)}", given, suggestion(given, self.words))

    def schema(self) -> Schema:
        """An enumeration."""
        return {"enum": list(self.words)}


class Switch(Kind):
    """Yes or no."""

    def structure(self, given: object, _type: object = None) -> bool:
        """The truth value."""
        if isinstance(given, bool):
            return given
        raise Unfit("true or false", given)

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@attrs.frozen
class Integer(Kind):
    """A whole number with a lower bound. ``8.0`` is one, as in JSON Schema."""

    bound: Whole = Whole(1)

    def structure(self, given: object, _type: object = None) -> int:
        """The number."""
        if isinstance(given, float) and given.is_integer():
            given = int(given)
        if isinstance(given, int) and not isinstance(given, bool) and given >= self.bound.minimum:
            return given
        raise Unfit(self.bound.expected, given)

    def schema(self) -> Schema:
        """An integer with a minimum."""
        return {"type": "integer", "minimum": self.bound.minimum}


@attrs.frozen
class Weight(Kind):
    """A fair-share weight."""

    bound: WeightByTenant

    def structure(self, given: object, _type: object = None) -> float:
        """The number."""
        read = real(given)
        if read is None or not self.bound.allows(read):
            raise Unfit(self.bound.expected, given)
        return read

    def schema(self) -> Schema:
        """A number with bounds."""
        return {"type": "number", "minimum": self.bound.minimum, "maximum": self.bound.maximum}


@attrs.frozen(kw_only=True)
class Entries(Kind):
    """An object whose keys are names and whose values are all of one kind."""

    expected: str
    value: Kind
    name: Text = Text(expected="a name that is not empty")
    at_least: int = 0

    def structure(self, given: object, _type: object = None) -> dict[str, Any]:
        """A dict, in the order given."""
        if not isinstance(given, Mapping) or len(given) < self.at_least:
            raise Unfit(self.expected, given)
        read, faults = {}, []
        for key, value in given.items():
            try:
                self.name.structure(key)
                read[key] = self.value.structure(value)
            except (Fault, BaseValidationError) as fault:
                faults.append(placed(fault, key))
        if faults:
            raise IterableValidationError("faults", faults, dict)
        return read

    def schema(self) -> Schema:
        """An object with names and values as they must be."""
        return {
            "type": "object",
            "propertyNames": {"pattern": self.name.pattern},
            "additionalProperties": self.value.schema(),
            "minProperties": self.at_least,
        }


@attrs.frozen(kw_only=True)
class Items(Kind):
    """A list whose items are all of one kind."""

    expected: str
    item: Kind
    at_least: int = 0

    def structure(self, given: object, _type: object = None) -> tuple[Any, ...]:
        """A tuple."""
        if not isinstance(given, (list, tuple)) or len(given) < self.at_least:
            raise Unfit(self.expected, given)
        read, faults = [], []
        for index, value in enumerate(given):
            try:
                read.append(self.item.structure(value))
            except (Fault, BaseValidationError) as fault:
                faults.append(placed(fault, index))
        if faults:
            raise IterableValidationError("faults", faults, tuple)
        return tuple(read)

    def schema(self) -> Schema:
        """An array."""
        return {"type": "array", "items": self.item.schema(), "minItems": self.at_least}
