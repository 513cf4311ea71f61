"""Job lists and the words of ``submit``: any bytes give jobs, or lines that say what is wrong with them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import typer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parking_lot_drivers.cli.batch_jobs import BadLine, Job, count_lines, digest_of, index_jobs, read_jobs
from parking_lot_drivers.cli.json_text import read_json
from parking_lot_drivers.cli.submit import _options, _payload
from parking_lot_drivers.cli.task_options import OptionsReader, TaskOptions
from parking_lot_drivers.codec import DEPTH_MAX, decode, encode
from parking_lot_drivers.errors import PayloadNotEncodable
from tests.fuzz.damage import JSON, ODD, TEXTS, as_json, damaged, scribbled

MANY = settings(max_examples=200)
GOOD: list[Any] = [
    {"payload": {"path": "a.png"}, "units": 2, "priority": "high", "tenant": "ann"},
    {"id": "mine", "payload": None, "units": "12GiB", "timeout": "15m", "run_timeout": 90.5, "delay": "1h"},
    {"payload": [1, 2.5, "é"], "max_attempts": 3},
    {"payload": [1, 2.5, "é"], "max_attempts": 3},
]


def lines_of(values: list[Any]) -> bytes:
    return "\n".join(map(as_json, values)).encode("utf-8", "surrogatepass")


def read(text: bytes, unit: str | None = "MiB") -> list[Job | BadLine]:
    """All jobs and bad lines, with what must be true of every list."""
    found = [one for one in read_jobs(io.BytesIO(text), "pool", unit=unit, done=()) if one is not None]
    assert found == list(read_jobs(io.BytesIO(text), "pool", unit=unit, done=())), "the same list, the same tasks"
    jobs = [one for one in found if isinstance(one, Job)]
    assert len({job.id for job in jobs}) == len(jobs)
    assert len(found) == count_lines(io.BytesIO(text))
    index = index_jobs(io.BytesIO(text), "pool")
    for one in found:
        if isinstance(one, Job):
            assert index[digest_of(one.id)] == one.line
            assert type(one.options.units) is int
            assert one.options.units >= 1
        else:
            assert one.error
            assert one.error.isprintable(), one.error
    done = {digest_of(job.id) for job in jobs}
    assert not [one for one in read_jobs(io.BytesIO(text), "pool", unit=unit, done=done) if isinstance(one, Job)]
    return found


def test_the_good_ones_are_good() -> None:
    assert all(isinstance(one, Job) for one in read(lines_of(GOOD)))


@MANY
@given(damaged(GOOD, values=JSON))
def test_any_values_as_lines(values: Any) -> None:
    read(lines_of(values if isinstance(values, list) else [values]))


@MANY
@given(scribbled(lines_of(GOOD), wounds=5), st.sampled_from([None, "MiB"]))
@example(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}", None)
@example(b"\xff", None)
@example(b'{"payload": 1, "payload": 2}', None)
@example(b'{"payload": NaN}', None)
@example(b'{"payload": 1, "units": ' + b"9" * 5000 + b"}", None)
@example(b"[" * 100_000, None)
@example(b'{"payload": 1, "id": "\\ud800"}', None)
@example(b'{"payload": 1, "id": "a\\u0000"}', None)
@example(b'{"payload": 1, "id": "a\\n"}\n{"payload":1,"id":"a"}', None)
@example(b'{"payload": 1, "timeout": 1e400}', None)
@example(b'{"payload": 1, "priority": "\\u202e"}', None)
def test_any_bytes_as_a_job_list(text: bytes, unit: str | None) -> None:
    read(text, unit)


@MANY
@given(damaged(GOOD[1], values=ODD))
def test_options_are_options_or_a_value_error(given_options: Any) -> None:
    if not isinstance(given_options, dict):
        return
    try:
        options = OptionsReader("MiB", "id", "payload").read(given_options)
    except ValueError as error:
        words = str(error)
    else:
        words = "fine"
        assert isinstance(options, TaskOptions)
    assert words.isprintable()


@MANY
@given(TEXTS, TEXTS, TEXTS)
@example("1_000", "0x10", " 1 ")
def test_options_as_they_are_typed(units: str, timeout: str, tenant: str) -> None:
    given_options: dict[str, str | None] = {"units": units, "timeout": timeout, "tenant": tenant, "delay": None}
    try:
        found = _options(given_options, "MiB")
    except typer.BadParameter as error:
        complaint = error.message
    else:
        complaint = "none"
        assert found["units"] >= 1
        assert found["timeout"] > 0
        assert found["tenant"] == tenant
    assert complaint.isprintable()


@MANY
@given(TEXTS | JSON.map(as_json))
@example("")  # once an IndexError
@example("@a\x00b")
@example("@")
@example("@/")
@example("@/nowhere/at/all")
@example("[" * 100_000)
def test_a_payload_as_it_is_typed(text: str) -> None:
    if text == "-":
        return
    try:
        _payload(text)
    except typer.BadParameter as error:
        complaint = error.message
    else:
        complaint = "none"
    assert complaint


@MANY
@given(JSON)
def test_strict_json_comes_back(value: Any) -> None:
    assert read_json(as_json(value)) == json.loads(as_json(value))


# The codec


@MANY
@given(JSON.flatmap(lambda value: scribbled(encode_or_empty(value), wounds=4)) | st.binary(max_size=20))
@example(b'{"$bytes":"\xc3\xa9"}')
@example(b'{"$bytes":["AA=="]}')
@example(b'{"$$$bytes":1}')
@example(b"1e999")
@example(b"-1e999")
@example(b'"\\ud800"')
def test_any_bytes_are_decoded_or_a_value_error(data: bytes) -> None:
    """What can be decoded can be encoded again, and comes back the same."""
    try:
        value = decode(data)
    except ValueError:
        return
    try:
        again = encode(value)
    except PayloadNotEncodable as error:
        assert any(word in str(error) for word in ("nested", "float")), error  # noqa: PT017 - else it is to come back
    else:
        assert repr(decode(again)) == repr(value)  # 1 is not True, nor 1.0


def encode_or_empty(value: Any) -> bytes:
    try:
        return encode(value)
    except PayloadNotEncodable:
        return b"{}"


@pytest.mark.parametrize("depth", [DEPTH_MAX, DEPTH_MAX + 1, 5000, 200_000])
def test_depth_is_bounded_on_the_way_in_too(depth: int) -> None:
    data = b"[" * depth + b"]" * depth
    try:
        value = decode(data)
    except ValueError:
        assert depth > DEPTH_MAX
    else:
        assert value is not None
