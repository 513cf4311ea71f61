"""Reading an arrival trace: one LLM request a line, with the tokens that it read and wrote.

The format is that of the Azure LLM inference traces: CSV with a header line and the columns ``TIMESTAMP``,
``ContextTokens`` and ``GeneratedTokens``, in any order; further columns are ignored.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from parking_lot_drivers.errors import TraceError

TIMESTAMP, CONTEXT, GENERATED = COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

_DIGITS_MAX = 9


@attrs.frozen
class Arrival:
    """One request of a trace.

    Attributes:
        row: its place in the trace file (≥ 1, the header does not count); stays the same under ``limit``.
        at: when it arrived, in seconds since the Unix epoch.
        context_tokens: tokens that the model reads before it answers (≥ 0).
        generated_tokens: tokens that it writes (≥ 0).
    """

    row: int
    at: float
    context_tokens: int
    generated_tokens: int


def read_trace(path: str | Path, *, limit: int | None = None) -> list[Arrival]:
    """The first ``limit`` requests of a trace file (all without one), in the order of their time.

    Raises ``TraceError`` naming file, line and column: a file that is missing or empty, a column that is missing, a
    line with a wrong number of fields, or a field that is not what its column holds.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected an integer ≥ 1, got {limit!r}")
    try:
        # A byte that is not UTF-8 becomes a character that no field allows, so that the error names line and column.
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            arrivals = list(itertools.islice(_arrivals(str(path), lines), limit))
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not arrivals:
        raise TraceError(f"{path}: expected requests after the header line, got none")
    arrivals.sort(key=lambda arrival: arrival.at)
    return arrivals


def compress(arrivals: Sequence[Arrival], speed: float) -> list[Arrival]:
    """The same requests arriving ``speed`` (> 0) times as fast, counted from the first one; 2 doubles the load."""
    if not 0 < speed < math.inf:
        raise ValueError(f"speed: expected a number > 0, got {speed!r}")
    if not arrivals:
        return []
    first = arrivals[0].at
    return [attrs.evolve(arrival, at=first + (arrival.at - first) / speed) for arrival in arrivals]


def _arrivals(name: str, lines: Iterable[str]) -> Iterator[Arrival]:
    reader = csv.reader(lines, strict=True)
    try:
        header = next(reader, None)
        if header is None:
            raise TraceError(f"{name}: expected a header line with {', '.join(COLUMNS)}, got an empty file")
        when, context, generated = _places(name, header)
        for row, fields in enumerate(filter(None, reader), start=1):
            place = f"{name}, line {reader.line_num}"
            if len(fields) != len(header):
                raise TraceError(f"{place}: expected {len(header)} fields, got {len(fields)}")
            at = _moment(place, fields[when])
            yield Arrival(
                row, at, _tokens(place, CONTEXT, fields[context]), _tokens(place, GENERATED, fields[generated])
            )
    except csv.Error as error:
        raise TraceError(f"{name}, line {reader.line_num}: not CSV: {error}") from error


def _places(name: str, header: Sequence[str]) -> list[int]:
    """Where each column stands in a line."""
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise TraceError(f"{name}, line 1: expected the columns {', '.join(COLUMNS)}; missing {', '.join(missing)}")
    return [header.index(column) for column in COLUMNS]


def _moment(place: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        expected = "expected a time such as 2023-11-16 18:15:46.680"
        raise TraceError(f"{place}, column {TIMESTAMP}: {expected}, got {text[:40]!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _tokens(place: str, column: str, text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX):
        most = f"{10**_DIGITS_MAX - 1:,}"
        raise TraceError(f"{place}, column {column}: expected an integer from 0 to {most}, got {text[:40]!r}")
    return int(digits)
