"""The job list: what a line may say, which task it is, and what is wrong with a bad one."""

from __future__ import annotations

import io
import json
from collections.abc import Container

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking_lot_drivers.cli import batch_jobs
from parking_lot_drivers.cli.batch_jobs import BadLine, Job, count_lines, digest_of, index_jobs, read_jobs


def read(
    text: bytes | str, *, pool: str = "p", unit: str | None = None, done: Container[bytes] = ()
) -> list[Job | BadLine | None]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_jobs(io.BytesIO(data), pool, unit=unit, done=done))


def fault(line: bytes | str, unit: str | None = None) -> str:
    [bad] = read(line, unit=unit)
    assert isinstance(bad, BadLine)
    assert bad.line == 1
    return bad.error


def ids(text: str, pool: str = "p") -> list[str]:
    return [job.id for job in read(text, pool=pool) if isinstance(job, Job)]


def test_a_line_may_say_all_that_submit_takes() -> None:
    line = {
        "id": "a1",
        "payload": {"path": "a.png"},
        "units": 2,
        "priority": "HIGH",
        "tenant": "acme",
        "timeout": "1h",
        "run_timeout": 300,
        "delay": 0,
        "max_attempts": 3,
    }
    [job] = read(json.dumps(line))
    assert isinstance(job, Job)
    assert (job.line, job.id, job.payload) == (1, "a1", {"path": "a.png"})
    assert vars(job.options) == {
        "units": 2,
        "priority": "high",
        "tenant": "acme",
        "timeout": 3600.0,
        "run_timeout": 300.0,
        "delay": 0.0,
        "max_attempts": 3,
    }


def test_only_the_payload_must_be_there_and_may_be_anything() -> None:
    for payload in (None, 0, "", [], {"units": "many"}, [{"id": 1}]):
        [job] = read(json.dumps({"payload": payload}))
        assert isinstance(job, Job)
        assert job.payload == payload
        assert (job.options.units, job.options.priority, job.options.timeout) == (1, "normal", None)


def test_units_are_sizes_where_the_pool_has_a_unit() -> None:
    [job] = read('{"payload": 0, "units": "1GiB"}', unit="MiB")
    assert isinstance(job, Job)
    assert job.options.units == 1024
    assert fault('{"payload": 0, "units": "1GiB"}') == (
        'units: expected an integer ≥ 1, got "1GiB"; for sizes, give the pool a unit, such as "MiB"'
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("[1]", 'expected a JSON object such as {"units": 2, "payload": ...}, got a list'),
        ("null", 'expected a JSON object such as {"units": 2, "payload": ...}, got null'),
        ('{"payload": 1', "broken JSON at column 14: Expecting ',' delimiter"),
        ('{"payload": 1} {}', "broken JSON at column 16: Extra data"),
        ('{"payload": NaN}', "NaN is not JSON; give a number"),
        ('{"payload": -Infinity}', "-Infinity is not JSON; give a number"),
        ('{"payload": ' + "[" * 100_000, "objects or lists are nested too deeply"),
        ('{"payload": ' + "9" * 5000 + "}", "an integer has thousands of digits; give it as text"),
        ('{"payload": {"a": 1, "a": 2}}', 'the key "a" is given more than once; keep one'),
        ('{"id": "x"}', "payload: expected what the task gets, any JSON value; got nothing"),
        ('{"payload": 1, "id": ""}', 'id: expected text that is not empty and whole Unicode, got ""'),
        (
            '{"payload": 1, "id": 7}',
            "id: expected text that is not empty and whole Unicode, got 7; write it in quotes",
        ),
        ('{"payload": 1, "units": 0}', "units: expected an integer ≥ 1, got 0"),
        ('{"payload": 1, "units": 1.5}', "units: expected an integer ≥ 1, got 1.5"),
        ('{"payload": 1, "max_attempts": 0}', "max_attempts: expected an integer ≥ 1, got 0"),
        (
            '{"payload": 1, "priority": "hihg"}',
            'priority: expected one of critical, high, normal, low, got "hihg"; did you mean high?',
        ),
        ('{"payload": 1, "tenant": 5}', "tenant: expected text in whole Unicode, got 5; write it in quotes"),
        ('{"payload": 1, "unit": 1, "delay": -1}', "unit: unknown key; did you mean units?; delay: expected seconds"),
        (b'{"payload": "\xff"}', "expected UTF-8, got the byte 0xff at byte 14"),
        ('{"payload": 1, "id": "\\ud800"}', "id: expected text that is not empty and whole Unicode"),
        ('{"payload": 1, "id": "a\\u0000"}', "id: expected text that is not empty and whole Unicode"),
    ],
)
def test_a_bad_line_is_told_with_what_is_allowed(line: str | bytes, error: str) -> None:
    assert fault(line).startswith(error)


def test_good_lines_around_bad_ones_keep_their_numbers() -> None:
    found = read('\ufeff{"payload": 1}\r\n\n   \n{"payload": \n{"payload": 2}')
    assert [(type(each), each.line) for each in found if each] == [(Job, 1), (BadLine, 4), (Job, 5)]


def test_a_line_that_is_too_long_is_bad_and_the_next_one_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_jobs, "LINE_BYTES_MAX", 40)
    exact = '{"payload": "' + "x" * 25 + '"}'
    assert len(exact) == 40
    long = '{"payload": "' + "x" * 500 + '"}'
    found = read(f'{exact}\n{long}\n{{"payload": 2}}\n{long}')
    assert [(type(each), each.line) for each in found if each] == [(Job, 1), (BadLine, 2), (Job, 3), (BadLine, 4)]


def test_an_id_is_stable_and_its_own() -> None:
    text = '{"payload": 1}\n{"payload": 2}\n{"payload": 1}\n{"payload": 1}\n'
    first = ids(text)
    assert len(set(first)) == 4
    assert ids(text) == first
    assert set(ids(text, pool="q")).isdisjoint(first)


def test_lines_before_do_not_change_an_id() -> None:
    text = '{"payload": 1}\n{"payload": 2}\n{"payload": 1}\n'
    assert ids('{"payload": 0}\n[]\n\n' + text)[1:] == ids(text)


def test_the_second_line_with_an_id_is_bad() -> None:
    found = read('{"id": "a", "payload": 1}\n{"id": "b", "payload": 1}\n{"id": "a", "payload": 2}\n')
    assert [getattr(each, "id", None) for each in found] == ["a", "b", None]
    assert found[2] == BadLine(3, 'id: "a" is the id of line 1 already; give each line its own')


def test_a_given_id_may_be_one_that_was_derived_elsewhere() -> None:
    line = '{"payload": 1}'
    [derived] = ids(line)
    found = read(f'{{"id": "{derived}", "payload": 5}}\n{line}\n')
    assert [type(each) for each in found] == [Job, Job]


def test_done_lines_are_passed_over_whatever_else_they_say() -> None:
    text = '{"id": "a", "payload": 1}\n{"id": "b", "units": 0}\n{"id": "c", "payload": 3}\n'
    found = read(text, done={digest_of("a"), digest_of("b")})
    assert found[:2] == [None, None]
    assert isinstance(found[2], Job)


_LINES = st.lists(
    st.one_of(
        st.sampled_from(["", "  ", "[]", "{", '{"payload": 1}', '{"id": "a", "payload": 1}', '{"units": 0}', "\r"]),
        st.builds(json.dumps, st.fixed_dictionaries({"id": st.sampled_from("abc"), "payload": st.integers(0, 3)})),
    )
)


@given(_LINES)
def test_every_line_that_is_not_empty_is_told_once_and_indexed_alike(lines: list[str]) -> None:
    data = io.BytesIO("\n".join(lines).encode())
    found = list(read_jobs(data, "p", unit=None, done=()))
    numbers = [each.line for each in found if each is not None]
    assert numbers == [number for number, line in enumerate(lines, start=1) if line.strip()]
    assert count_lines(data) == len(numbers)
    index = index_jobs(data, "p")
    jobs = [each for each in found if isinstance(each, Job)]
    assert {digest_of(job.id): job.line for job in jobs}.items() <= index.items()
    assert len({job.id for job in jobs}) == len(jobs)
