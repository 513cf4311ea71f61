"""Kinds of value that carry a unit of measure: amounts of a device's units, and durations."""

from __future__ import annotations

import math
from typing import ClassVar

import attrs

from parking_lot_core.config import Seconds, Units
from parking_lot_drivers.config import quantities
from parking_lot_drivers.config.kinds import Integer, Kind, Schema, real
from parking_lot_drivers.config.problems import Fault, Unfit


@attrs.frozen
class Amount(Kind):
    """Units of a device: a whole number or, where the pool has a ``unit``, a size that is a whole number of it."""

    bound: Units
    unit: str | None

    EXAMPLE: ClassVar[str] = "12GiB"

    def structure(self, given: object, _type: object = None) -> int:
        """Whole units."""
        if not isinstance(given, str) or self.unit is None:
            return self._number(given)
        size = quantities.size(given, self.unit)
        if size is None:
            raise Unfit(f'{self.bound.expected}, or a size such as "{self.EXAMPLE}"', given)
        if size.denominator != 1:
            raise Unfit(f"a whole number of {self.unit}", given, f", which is {float(size):.6g} {self.unit}")
        return Integer(self.bound).structure(int(size))

    def _number(self, given: object) -> int:
        is_size = isinstance(given, str) and quantities.size(given, "B") is not None
        try:
            return Integer(self.bound).structure(given)
        except Unfit as unfit:
            raise Fault(f'{unfit}; for sizes, give the pool a unit, such as "MiB"' if is_size else f"{unfit}") from None

    def schema(self) -> Schema:
        """An integer, or a size."""
        number = Integer(self.bound).schema()
        if self.unit is None:
            return number
        return {"anyOf": [number, {"type": "string", "pattern": quantities.SIZE_PATTERN, "examples": [self.EXAMPLE]}]}


@attrs.frozen
class Duration(Kind):
    """A number of seconds, or text such as ``"15m"``; ``"infinity"`` and null where the bound allows them."""

    bound: Seconds

    @property
    def _pattern(self) -> str:
        above_zero = self.bound.exclusive and self.bound.minimum == 0
        return quantities.DURATION_ABOVE_ZERO_PATTERN if above_zero else quantities.DURATION_PATTERN

    @property
    def _expected(self) -> str:
        number = self.bound.expected.replace("a number", "seconds")
        infinity = ', or "infinity"' if self.bound.infinite else ""
        return f'{number}, or text such as "90s", "15m", "2h"{infinity}'

    def structure(self, given: object, _type: object = None) -> float | None:
        """Seconds."""
        if given is None and self.bound.optional:
            return None
        if given == "infinity" and self.bound.infinite:
            return math.inf
        read = quantities.seconds(given, self._pattern) if isinstance(given, str) else real(given)
        if read is None or not self.bound.allows(read):
            raise Unfit(self._expected, given)
        return read

    def schema(self) -> Schema:
        """A number, a text, and the words that stand for no bound."""
        low = "exclusiveMinimum" if self.bound.exclusive else "minimum"
        allowed: list[Schema] = [
            {"type": "number", low: self.bound.minimum},
            {"type": "string", "pattern": self._pattern, "examples": ["90s", "15m", "2h"]},
        ]
        if self.bound.infinite:
            allowed.append({"const": "infinity"})
        if self.bound.optional:
            allowed.append({"type": "null"})
        return {"anyOf": allowed}
