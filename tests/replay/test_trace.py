"""Reading traces: the real one, and files that are not what they should be."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest

from parking_lot_drivers.errors import TraceError
from parking_lot_drivers.replay import Arrival, compress, read_trace
from tests.replay.conftest import TRACE

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "trace.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_the_real_trace(arrivals: list[Arrival]) -> None:
    assert len(arrivals) == 19_366
    assert arrivals[0] == Arrival(1, datetime(2023, 11, 16, 18, 15, 46, 680_590, UTC).timestamp(), 374, 44)
    assert arrivals[-1] == Arrival(19_366, datetime(2023, 11, 16, 19, 14, 8, 402_527, UTC).timestamp(), 197, 183)
    assert all(earlier.at <= later.at for earlier, later in itertools.pairwise(arrivals))
    # Sums by another way: the last two columns, cut out of the text.
    columns = [line.rsplit(",", 2) for line in TRACE.read_text().splitlines()[1:]]
    assert sum(arrival.context_tokens for arrival in arrivals) == sum(int(context) for _, context, _ in columns)
    assert sum(arrival.generated_tokens for arrival in arrivals) == sum(int(generated) for _, _, generated in columns)


def test_a_limit_keeps_the_first_requests(arrivals: list[Arrival]) -> None:
    assert read_trace(TRACE, limit=100) == arrivals[:100]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit: expected an integer ≥ 1, got {limit}"):
        read_trace(TRACE, limit=limit)


def test_columns_in_any_order_further_columns_blank_lines_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = (
        "\ufeffGeneratedTokens,Model,TIMESTAMP,ContextTokens\n7,x,2023-11-16 00:00:01,5\n\n8,y,2023-11-16 00:00:02,6\n"
    )
    start = datetime(2023, 11, 16, tzinfo=UTC).timestamp()
    assert read_trace(written(tmp_path, text)) == [Arrival(1, start + 1, 5, 7), Arrival(2, start + 2, 6, 8)]


def test_a_time_with_an_offset_is_that_moment(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, HEADER + "2023-11-16 02:00:00+02:00,1,1\n"))
    assert trace[0].at == datetime(2023, 11, 16, tzinfo=UTC).timestamp()


def test_requests_out_of_order_are_sorted_and_keep_their_rows(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, HEADER + "2023-11-16 00:00:02,1,1\n2023-11-16 00:00:01,2,2\n"))
    assert [arrival.row for arrival in trace] == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header line with TIMESTAMP, ContextTokens, GeneratedTokens, got an empty file"),
        (HEADER, "expected requests after the header line, got none"),
        ("TIMESTAMP,Tokens\n", "line 1: .*missing ContextTokens, GeneratedTokens"),
        (HEADER + "2023-11-16 00:00:01,1\n", "line 2: expected 3 fields, got 2"),
        (HEADER + "2023-11-16 00:00:01,1,2,3\n", "line 2: expected 3 fields, got 4"),
        (HEADER + "yesterday,1,2\n", "line 2, column TIMESTAMP: expected a time .*, got 'yesterday'"),
        (HEADER + "2023-11-16 00:00:01,1,2\n2023-11-16 00:00:01,many,2\n", "line 3, column ContextTokens: .*'many'"),
        (HEADER + "2023-11-16 00:00:01,1,-2\n", "line 2, column GeneratedTokens: expected an integer .*, got '-2'"),
        (HEADER + "2023-11-16 00:00:01,1,2.5\n", "line 2, column GeneratedTokens: expected an integer .*, got '2.5'"),
        (HEADER + "2023-11-16 00:00:01,1,\n", "line 2, column GeneratedTokens: expected an integer .*, got ''"),
        (HEADER + f"2023-11-16 00:00:01,{'9' * 5000},1\n", "line 2, column ContextTokens: .* from 0 to 999,999,999"),
        (HEADER + "2023-11-16 00:00:01,²,1\n", "line 2, column ContextTokens: expected an integer"),
        (HEADER + '2023-11-16 00:00:01,"1,2\n', "line 2: not CSV: unexpected end of data"),
        (HEADER.encode() + b"2023-11-16 00:00:01,1\xff,2\n", r"line 2, column ContextTokens: .*got '1\\udcff'"),
    ],
)
def test_a_bad_trace_says_where_and_what_is_allowed(tmp_path: Path, text: str | bytes, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(TraceError, match=message) as raised:
        read_trace(file)
    assert str(file) in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"nowhere\.csv: cannot be read: No such file or directory"):
        read_trace(tmp_path / "nowhere.csv")


def test_compressing_divides_the_gaps(arrivals: list[Arrival]) -> None:
    fast = compress(arrivals[:50], 4)
    first = arrivals[0].at
    assert [a.at - first for a in fast] == pytest.approx([(a.at - first) / 4 for a in arrivals[:50]])
    assert [(a.row, a.context_tokens) for a in fast] == [(a.row, a.context_tokens) for a in arrivals[:50]]
    assert compress([], 4) == []


@pytest.mark.parametrize("speed", [0, -1, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(arrivals: list[Arrival], speed: float) -> None:
    with pytest.raises(ValueError, match="speed: expected a number > 0"):
        compress(arrivals, speed)
