"""Payloads as PGMQ messages: what goes in comes out, and other clients can read it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from parking_lot_drivers import codec
from parking_lot_drivers.stores.sql.pgmq_payloads import as_message, as_payload

TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8) | st.sampled_from(
    ["\0", "\\u0000", "1e+5", "-0", "$"]
)
KEYS = TEXTS | st.sampled_from(["$json", "$base64", "$bytes", "parking_lot"])
NUMBERS = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, 2**63, -(10**60), 1.0])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | st.binary(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS, children, max_size=3),
    max_leaves=10,
)
UNCHANGED = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def server(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a real server, which has the last word on what ``jsonb`` is."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


def through(server: psycopg.Connection[Any], payload: bytes) -> tuple[str, bytes]:
    """The message that the server keeps, and the payload that it gives."""
    row = server.execute("SELECT kept::text FROM (SELECT %s::jsonb AS kept) m", (as_message(payload),)).fetchone()
    assert row is not None
    return row[0], as_payload(row[0])


def told_apart(value: Any) -> str:
    """A text that differs wherever values do, also 1 from 1.0 and 0.0 from -0.0; but not in the order of keys."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{told_apart(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(told_apart, value)) + "]"
    return repr(value)


def test_every_value_comes_back_equal(server: psycopg.Connection[Any]) -> None:
    @UNCHANGED
    @given(VALUES)
    @example({"$json": 1})
    @example({"$base64": "AAAA"})
    @example({"n": 1e22, "m": -0.0, "k": 10**400})
    @example({"text": "\0 and \ud800"})
    def check(value: Any) -> None:
        _, payload = through(server, codec.encode(value))
        assert told_apart(codec.decode(payload)) == told_apart(codec.decode(codec.encode(value)))

    check()


def test_any_bytes_come_back_the_same_unless_they_are_a_compact_object(server: psycopg.Connection[Any]) -> None:
    @UNCHANGED
    @given(st.binary(max_size=30) | st.text('{}[]",:-+.eE01 nul\\\0', max_size=12).map(str.encode))
    @example(b"")
    @example(b"\x00\xff")
    @example(b" 1")
    @example(b'{"a": 1}')
    @example(b'{"a":1,"a":2}')
    @example(b'{"a":1e400}')
    @example(b'{"a":-0}')
    @example(b'{"a":NaN}')
    @example(b"[" * 5000 + b"]" * 5000)
    @example(b'{"b":1,"a":[-1,0,"x"]}')
    def check(payload: bytes) -> None:
        _, back = through(server, payload)
        if back != payload:
            assert told_apart(json.loads(back)) == told_apart(json.loads(payload))

    check()


@pytest.mark.parametrize(
    "value", [{"prompt": "hi"}, {"a": [1, 2.5, {"b": None}], "ü": "名前 🚗"}, {}, {"x": -1, "y": 0}]
)
def test_an_object_is_the_message_itself(server: psycopg.Connection[Any], value: Any) -> None:
    message, _ = through(server, codec.encode(value))
    assert json.loads(message) == value


@pytest.mark.parametrize("value", [None, 17, "text", [1, 2]])
def test_other_values_can_be_read_too(server: psycopg.Connection[Any], value: Any) -> None:
    message, back = through(server, codec.encode(value))
    assert json.loads(message) == {"$json": value}
    assert codec.decode(back) == value


def test_what_jsonb_would_change_is_kept_as_bytes(server: psycopg.Connection[Any]) -> None:
    payload = b'{"n":1e+22}'
    message, back = through(server, payload)
    assert json.loads(message) == {"$base64": base64.b64encode(payload).decode()}
    assert back == payload


@pytest.mark.parametrize("message", ['{"$base64": "no base64"}', '{"$base64": 7}', '{"$base64": "AAAA", "more": 1}'])
def test_what_only_looks_wrapped_is_a_payload(message: str) -> None:
    assert json.loads(as_payload(message)) == json.loads(message)
