"""Durations and sizes as people write them, converted exactly."""

from __future__ import annotations

import re
from fractions import Fraction

SECONDS = {
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86_400),
}

BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

# Read by Python and, in the JSON Schema, by ECMAScript: only what both understand alike. The number of digits is bound
# so that no quantity leaves the range of a float. The lookahead keeps zero out.
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
DURATION_PATTERN = rf"^ *{_NUMBER} *({'|'.join(SECONDS)}) *$"
DURATION_ABOVE_ZERO_PATTERN = rf"^(?=.*[1-9]) *{_NUMBER} *({'|'.join(SECONDS)}) *$"
SIZE_PATTERN = rf"^(?=.*[1-9]) *{_NUMBER} *({'|'.join(BYTES)}) *$"


def fit(pattern: str, text: str) -> re.Match[str] | None:
    """The match of a pattern that ends in ``$``, as ECMAScript understands it: to Python, ``$`` also stands before a
    line feed that is the last character."""
    return re.search(pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern, text)


def seconds(text: str, pattern: str = DURATION_PATTERN) -> float | None:
    """``"90s"``, ``"1.5 h"`` in seconds; ``None`` if the text is not of the pattern."""
    match = fit(pattern, text)
    return None if match is None else float(Fraction(match[1]) * SECONDS[match[2]])


def size(text: str, unit: str) -> Fraction | None:
    """``"12GiB"``, ``"512 MiB"`` in ``unit`` (a key of ``BYTES``), exactly; ``None`` if the text is not a size."""
    match = fit(SIZE_PATTERN, text)
    return None if match is None else Fraction(match[1]) * BYTES[match[2]] / BYTES[unit]
