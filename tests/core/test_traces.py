"""Long stories in ``traces/``, told again and compared. ``pytest tests/core/test_traces.py --rewrite`` records them.

A person reads the difference before it is committed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from parking_lot_core.testing.trace import Story

TRACES = sorted((Path(__file__).parent / "traces").glob("*.txt"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace(path: Path, rewrite: bool) -> None:
    written = path.read_text(encoding="utf-8")
    told = Story(written).retell()
    if rewrite:
        path.write_text(told, encoding="utf-8")
    else:
        assert told == written


def test_a_story_that_ends_differently_is_noticed() -> None:
    told = Story("config max_units=8\n\nsubmit id=a cost=8 at=0\n----\nenqueue a\n").retell()
    assert told == "config max_units=8\n\nsubmit id=a cost=8 at=0\n----\nenqueue a\nstart a device=0 epoch=1\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("park id=a at=0", "expected one of submit"),
        ("submit id=a price=4 at=0", "'price=4': expected one of"),
        ("submit id=a cost=four at=0", "'cost=four'"),
        ("finish id=a epoch=1 outcome=eaten at=0", "'outcome=eaten'"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Story(f"config max_units=8\n\n{line}\n----\n").retell()
