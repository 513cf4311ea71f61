"""Damaged values: JSON in which something is wrong, text that was cut or scribbled on, and values for cells of tables.

A value is damaged by a few ``Wound``s, each of which Hypothesis chooses, remembers and shrinks.
"""

from __future__ import annotations

import copy
import json
import math
from typing import Any

from hypothesis import strategies as st

#: Texts at which parsers of ours, or parsers that they use, might stumble.
TEXTS = st.sampled_from(
    [
        *("", " ", "0", "-1", "1e400", "NaN", "infinity", "true", "null", "é", "😀", "\x00", "\n", "\ud800", "\u202e"),
        *("a\n", "12GiB", "12 GiB", "1.5h", "15m", "0s", "12GiB\n", "１２", "1_000", "9" * 5000, "x" * 300, "$bytes"),
        *(
            "__class__",
            "../..",
            "~",
            "~nobody-here/x",
            "a:b",
            ":",
            "%s",
            "{}",
            "{x}",
            "'; --",
            '"',
            "\\",
            "<<",
            "\ufeff",
        ),
    ]
) | st.text(st.characters(exclude_categories=[]), max_size=8)

NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 8, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**400, 0.5, 1.0, -0.0, 1e-320, 1e308, 2.5]
) | st.integers(-5, 20)

SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS

#: Any JSON, small. Floats are finite: others are no JSON.
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

#: What Python's parsers make of words that are no JSON either, for code that is given values and not text.
ODD = JSON | st.sampled_from([math.inf, -math.inf, math.nan])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything inside a JSON value, itself first."""
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    return [path, *(place for key, item in inside for place in places(item, (*path, key)))]


@st.composite
def damaged(draw: st.DrawFn, original: Any, *, wounds: int = 3, values: st.SearchStrategy[Any] = JSON) -> Any:
    """A copy of a JSON value with up to so many wounds: values replaced, left out, added, doubled, or renamed."""
    value = copy.deepcopy(original)
    for _ in range(draw(st.integers(1, wounds))):
        path = draw(st.sampled_from(places(value)))
        if not path:
            value = draw(values) if draw(st.integers(0, 9)) == 9 else value
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        _wound(draw, parent, path[-1], values)
    return value


def _wound(draw: st.DrawFn, parent: Any, key: Any, values: st.SearchStrategy[Any]) -> None:
    how = draw(st.sampled_from(["replace", "remove", "add", "rename", "nest"]))
    if how == "replace":
        parent[key] = draw(values)
    elif how == "remove":
        del parent[key]
    elif how == "nest":
        parent[key] = draw(st.sampled_from([lambda it: [it], lambda it: {"type": it}, lambda it: {key: it}]))(
            parent[key]
        )
    elif isinstance(parent, dict):
        item = parent.pop(key) if how == "rename" else draw(values)
        parent[draw(TEXTS | st.sampled_from(["type", "url", "unit", "path"]))] = item
    else:
        parent.insert(draw(st.integers(0, len(parent))), draw(values))


@st.composite
def scribbled(draw: st.DrawFn, original: bytes, *, wounds: int = 3) -> bytes:
    """The bytes with parts cut out, doubled, overwritten, or something put between."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, wounds))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 8))
        piece = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"}", b"[", b",", b":", b"\n", b"\\u", b"\x00", b"e9"])
        )
        how = draw(st.sampled_from(["cut", "put", "overwrite", "double", "end"]))
        if how == "cut":
            del data[at : at + length]
        elif how == "end":
            del data[at:]
        elif how == "double":
            data[at:at] = data[at : at + length]
        else:
            data[at : at + (length if how == "overwrite" else 0)] = piece
    return bytes(data)


def as_json(value: Any) -> str:
    """JSON text of a value, which may hold half surrogate pairs."""
    return json.dumps(value, allow_nan=False)


#: Cells of a SQLite table, as SQL. Numbers past 64 bits become floats there, and ``9e999`` infinity.
CELLS = (
    *(
        "NULL",
        "''",
        "'x'",
        "'running'",
        "'parked'",
        "'stopping'",
        "'0'",
        "' 7 '",
        "'-3'",
        "'many'",
        "x'00ff'",
        "x''",
    ),
    *("0", "1", "-1", "3", "9", "0.5", "1.5", "-0.0", "9e999", "-9e999", "1e18", "1e308", "9223372036854775807"),
    *(
        "-9223372036854775808",
        "4611686018427387905",
        "9007199254740993",
        "CAST(x'626164ff' AS TEXT)",
        "'[]'",
        "'{'",
    ),
    *("char(0)", "'\u202e'", "replace(hex(zeroblob(200)), '00', '9')", "'cancelled'", "'timed_out'", "'succeeded'"),
)
