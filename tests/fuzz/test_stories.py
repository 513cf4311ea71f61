"""Stories, arrival traces and vectors: any text is read, or refused with a word about what is wrong with it."""

from __future__ import annotations

import contextlib
import random
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from parking_lot_core import PoolConfig
from parking_lot_core.testing.strategies import worlds
from parking_lot_core.testing.trace import Story, as_story, read_story
from parking_lot_core.testing.worlds import Climate, Dice, World, make_world
from parking_lot_drivers.errors import TraceError
from parking_lot_drivers.replay.trace import COLUMNS, compress, read_trace
from tests.fuzz.damage import TEXTS, scribbled

MANY = settings(max_examples=150)
TOLD = as_story(
    *(lambda world: (world.config, world.events))(make_world(Dice(random.Random(4).randrange), Climate(), 12))
)
WORDS = st.sampled_from(
    [
        *(
            "config ",
            "max_units=8",
            "max_units=0",
            "devices=a:8,b:4",
            "devices=a",
            "devices=a:b:c",
            "tenants=x:1",
            "\n",
            "\n\n",
        ),
        *(
            "----",
            "submit ",
            "offer ",
            "finish ",
            "tick ",
            "crash",
            "show",
            "explain ",
            "id=a",
            "id=",
            "cost=1",
            "cost=1e9",
        ),
        *(
            "cost=" + "9" * 5000,
            "at=0",
            "at=nan",
            "at=inf",
            "at=-1e400",
            "sequence=1",
            "admitted_at=0",
            "epoch=1",
            "# x",
        ),
        *(
            "outcome=failed",
            "outcome=x",
            "priority=high",
            "run_timeout=0",
            "units=-1",
            "capacity ",
            "device=a",
            "'",
            '"',
            "\\",
        ),
        *(
            "=",
            " ",
            "backfill_window=inf",
            "backfill_window=nan",
            "retryable=maybe",
            "cancel ",
            "withdraw ",
            "start_by=inf",
        ),
    ]
)


def tell(text: str) -> None:
    """Read a story and play it. Only ``ValueError`` may come of it, which names what cannot be read."""
    with contextlib.suppress(ValueError):
        read_story(text)
    try:
        told = Story(text).retell()
    except ValueError:
        pass
    else:
        assert Story(told).retell().strip() == told.strip()


@MANY
@given(scribbled(TOLD.encode(), wounds=4))
@example(b"")
@example(b"tick at=1")
@example(b"config max_units=8\n\ntick at=nan")
@example(b"config max_units=8\n\ncapacity device=0 units=-1 at=0")
@example(b"config max_units=8\n\nsubmit at=0")
@example(b"config max_units=8\n\nexplain")
@example(b"config max_units=8\n\nsubmit id=a cost=1 at")
@example(b"config devices=a")
@example(b"show")
def test_any_bytes_as_a_story(text: bytes) -> None:
    tell(text.decode("utf-8", "replace"))


@MANY
@given(st.lists(WORDS | TEXTS, max_size=14).map("".join))
def test_any_heap_of_words_as_a_story(words: str) -> None:
    tell("config max_units=8\n\n" + words)
    tell(words)


@MANY
@given(worlds())
def test_every_world_comes_out_of_its_story(world: World) -> None:
    found = read_story(as_story(world.config, world.events))
    assert tuple(found.events) == tuple(world.events)
    assert PoolConfig(**{name: getattr(found.config, name) for name in ("max_units", "devices")}).budgets == (
        world.config.budgets
    )


TRACE = (
    b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
    b"2023-11-16 18:15:46.6805900,374,44\n"
    b"2023-11-16 18:15:50.9951690,396,109\n"
    b"2023-11-16 18:15:51.2223670+01:00,879,55\n"
)


@MANY
@given(scribbled(TRACE, wounds=4), st.none() | st.integers(1, 3))
@example(b"", None)
@example(b"\x00", None)
@example(b"\xff\xfe", None)
@example(TRACE + b'"open', None)
@example(TRACE + b"0001-01-01T00:00:00+23:59,1,1\n", None)
@example(TRACE + b"9999-12-31T23:59:59-23:59,1,1\n", None)
@example(TRACE + b"2023-11-16,\xc2\xb2,1\n", None)
@example(TRACE + b"2023-11-16," + b"1" * 200_000 + b",1\n", None)
@example(TRACE.replace(b"ContextTokens", b"GeneratedTokens"), None)
@example(TRACE.replace(b"\n", b"\r"), None)
def test_any_bytes_as_an_arrival_trace(text: bytes, limit: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trace.csv"
        file.write_bytes(text)
        try:
            arrivals = read_trace(file, limit=limit)
        except TraceError as error:
            named, arrivals = str(error).startswith(str(file)), []
        else:
            named = bool(arrivals)
    assert named
    if not arrivals:
        return
    assert arrivals == sorted(arrivals, key=lambda arrival: arrival.at)
    assert all(0 <= arrival.context_tokens < 10**9 for arrival in arrivals)
    assert all(arrival.row >= 1 for arrival in arrivals)
    assert limit is None or len(arrivals) <= limit
    assert len(compress(arrivals, 2.0)) == len(arrivals)
    assert set(COLUMNS) <= set(text.decode("utf-8-sig", "replace").splitlines()[0].replace('"', "").split(","))
