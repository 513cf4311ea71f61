"""Payloads and results as bytes: what goes in comes out, and what cannot is refused by its path."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import math
import subprocess
import sys
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parking_lot_drivers.codec import DEPTH_MAX, decode, encode
from parking_lot_drivers.errors import PayloadNotEncodable, SubmitError

# Keys and strings that resemble what the codec itself writes, or what JSON does to keys that are no strings.
SUSPICIOUS = [
    "$bytes",
    "$$bytes",
    "$$$bytes",
    "bytes",
    "1",
    "-1.5",
    "true",
    "null",
    '":',
    "[",
    "{{",
    "\udcff",
    "\\",
    '"',
]
TEXT = st.one_of(st.text(st.characters()), st.sampled_from(SUSPICIOUS))
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.binary(), TEXT
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(TEXT, inner), st.dictionaries(TEXT, inner, min_size=1, max_size=1)
    ),
)


@given(VALUES)
@example({"$bytes": b"\x00"})
@example({"$$bytes": {"$bytes": "AA=="}})
@example({"$bytes": "not base64"})
@example([b"", {"$bytes": "", "more": b"x"}])
@example({"1": 1, "true": {"null": "-1.5"}})
@example("\ud800 alone")
def test_what_goes_in_comes_out(value: object) -> None:
    encoded = encode(value)
    assert _exact(decode(encoded)) == _exact(value)
    assert encode(decode(encoded)) == encoded
    assert b"\n" not in encoded


def _exact(value: Any) -> Any:
    """``value`` with the type of every part, because 1 == True == 1.0."""
    if isinstance(value, dict):
        return [(key, _exact(item)) for key, item in value.items()]
    if isinstance(value, list):
        return ["list", *map(_exact, value)]
    return type(value), repr(value)


def test_the_form_is_compact_utf8_json() -> None:
    assert encode({"ü": [1, 2.5, True, None], "raw": b"\x00\xff"}) == (
        '{"ü":[1,2.5,true,null],"raw":{"$bytes":"AP8="}}'.encode()
    )
    assert encode({"$bytes": "AP8="}) == b'{"$$bytes":"AP8="}'
    assert encode("\udcff") == b'"\\udcff"'


class Colour(enum.IntEnum):
    RED = 3


class Label(enum.StrEnum):
    BIG = "big"


Pair = collections.namedtuple("Pair", "a b")


def test_tuples_and_subclasses_come_back_as_plain_types() -> None:
    value = {
        "tuple": (1, (2,)),
        "named": Pair(1, 2),
        "int": Colour.RED,
        "str": Label.BIG,
        "dict": collections.defaultdict(int, x=1),
    }
    plain = {"tuple": [1, [2]], "named": [1, 2], "int": 3, "str": "big", "dict": {"x": 1}}
    assert _exact(decode(encode(value))) == _exact(plain)
    with_bytes = decode(encode([value, b"forces the careful way"]))
    assert _exact(with_bytes[0]) == _exact(plain)


@attrs.frozen
class Point:
    x: int


@dataclasses.dataclass
class Box:
    x: int


class Array:
    def tolist(self) -> list[int]:
        return [1]


SELF: list[Any] = []
SELF.append({"me": SELF})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"items": [1, 2, 3, {"when": datetime.datetime(2026, 1, 1)}]},
            "payload.items[3].when: cannot encode datetime; allowed are None, bool, int, finite float, str, bytes, "
            "list, tuple and dict with string keys. Its isoformat() method gives a string",
        ),
        ({"a": {1, 2}}, "payload.a: cannot encode set; allowed are"),
        (object(), "payload: cannot encode object; allowed are"),
        ((1, [bytearray(b"x")]), "payload[1][0]: cannot encode bytearray; allowed are"),
        ({"p": Point(1)}, "payload.p: cannot encode Point; allowed are"),
        ({"p": Point(1)}, "It is an attrs class: make it plain data first, for example with cattrs.unstructure"),
        ([Box(1)], "It is a dataclass: make it plain data first, for example with dataclasses.asdict"),
        ([Array()], "Its tolist() method gives plain data"),
        ({"x": math.nan}, "payload.x: cannot encode the float nan: JSON has no such number"),
        ([math.inf], "payload[0]: cannot encode the float inf"),
        ([-math.inf], "payload[0]: cannot encode the float -inf"),
        ({"a": {1: 2}}, "payload.a: cannot encode the key 1 (int); keys must be strings"),
        ({True: 2}, "payload: cannot encode the key True (bool)"),
        ({None: 2}, "payload: cannot encode the key None (NoneType)"),
        ({-1.5e300: 2}, "payload: cannot encode the key -1.5e+300 (float)"),
        ({(1, 2): 2}, "payload: cannot encode the key (1, 2) (tuple)"),
        ({Colour.RED: 2}, "payload: cannot encode the key <Colour.RED: 3> (Colour)"),
        ({10**5000: 1}, "payload: cannot encode the key that is here (int)"),
        ({("x" * 1000,): 1}, "x… (tuple); keys must be strings"),
        ({b"x": 1}, "payload: cannot encode the key b'x' (bytes)"),
        ({"a b": {'"': {1}}}, 'payload["a b"]["\\""]: cannot encode set'),
        (SELF, "payload[0].me: the value contains itself"),
        ([10**5000], "payload[0]: cannot encode an integer of 16610 bits"),
        ([b"ok", {"$bytes": {3}}], 'payload[1]["$bytes"]: cannot encode set'),
    ],
)
def test_what_cannot_be_encoded_is_refused_by_its_path(value: object, message: str) -> None:
    with pytest.raises(PayloadNotEncodable) as caught:
        encode(value)
    assert message in str(caught.value)
    assert isinstance(caught.value, SubmitError)


def test_the_value_can_have_another_name() -> None:
    with pytest.raises(PayloadNotEncodable, match=r"^result\.x: "):
        encode({"x": {1}}, name="result")


def _nested(depth: int, leaf: object = 0) -> object:
    value = leaf
    for level in range(depth):
        value = {"in": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize("leaf", [0, b"x", "\udcff", "{{{["])
def test_depth(leaf: object) -> None:
    deepest = _nested(DEPTH_MAX, leaf)
    assert decode(encode(deepest)) == deepest
    for depth in (DEPTH_MAX + 1, 900, 20_000):
        with pytest.raises(PayloadNotEncodable, match=f"nested deeper than {DEPTH_MAX} levels"):
            encode(_nested(depth, leaf))


def test_many_containers_and_many_brackets_are_not_depth() -> None:
    wide = [[{"a": []}] for _ in range(1000)]
    assert decode(encode(wide)) == wide
    assert decode(encode("[" * 10_000)) == "[" * 10_000
    assert decode(encode({"a": "{" * 10_000})) == {"a": "{" * 10_000}


def test_the_same_list_twice_is_no_cycle() -> None:
    shared = [b"x"]
    assert decode(encode([shared, shared, {"a": shared}])) == [[b"x"], [b"x"], {"a": [b"x"]}]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"\xff",
        b"1 2",
        b'{"$bytes":1}',
        b'{"$bytes":"%%%"}',
        b'{"$bytes":"AA="}',
        b"[" * 100_000,
        b"\x80\x04\x95.",
        "{}".encode("utf-16"),
        b"1" * 5000,
    ],
)
def test_what_is_not_ours_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)


def test_equal_bytes_under_every_hash_seed() -> None:
    script = "from parking_lot_drivers.codec import encode; print(encode({'b': 1, 'a': [b'x', {'$bytes': 'y'}]}))"
    shown = {
        subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(shown) == 1


def test_other_json_is_read_too() -> None:
    assert decode(json.dumps({"a": [1, "é"]}, indent=2).encode()) == {"a": [1, "é"]}
