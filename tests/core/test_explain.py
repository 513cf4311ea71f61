"""What the scheduler says about a task that waits: every number, and the sentence for a person."""

from __future__ import annotations

import math
from typing import Any

import attrs
import pytest

from parking_lot_core import Cancelled, CapacityChanged, Event, Explanation, PoolConfig, Reason, Scheduler, Tick
from tests.core.play import submit


def explained(task_id: str, *events: Event, **policy: Any) -> Explanation:
    scheduler = Scheduler(PoolConfig(**{"max_units": 8, **policy} if "devices" not in policy else policy))
    for event in events:
        scheduler.step(event)
    found = scheduler.explain(task_id)
    assert found is not None
    return found


def facts(explanation: Explanation) -> dict[str, Any]:
    """Those that are said."""
    nothing = attrs.asdict(Explanation(task_id="", reason=Reason.RUNNING))
    return {name: fact for name, fact in attrs.asdict(explanation).items() if name == "reason" or fact != nothing[name]}


RUNS = submit("runs", 6, at=0)
RUNS_UNTIL_60 = submit("runs", 6, at=0, run_timeout=60.0)
HEAD = submit("head", 5, at=1)


@pytest.mark.parametrize(
    ("task_id", "events", "policy", "expected", "sentence"),
    [
        ("runs", [RUNS], {}, {"reason": Reason.RUNNING, "device": "0"}, "runs is running on device 0."),
        (
            "runs",
            [RUNS, Cancelled("runs", 1)],
            {},
            {"reason": Reason.STOPPING, "device": "0"},
            "runs was told to stop, and is stopping on device 0.",
        ),
        (
            "later",
            [submit("later", 1, at=0, not_before=9.0)],
            {},
            {"reason": Reason.DELAYED, "delayed_until": 9.0},
            "later is not to start before 9.0.",
        ),
        (
            "runs too",
            [RUNS, submit("runs too", 7, at=0), CapacityChanged("0", 6, at=1)],
            {},
            {"reason": Reason.TOO_LARGE_NOW, "position": 1},
            "runs too is larger than any device is at present.",
        ),
        (
            "head",
            [RUNS, HEAD],
            {},
            {"reason": Reason.FIRST_IN_LINE, "device": "0", "position": 1, "units_short": 3},
            "head is next on device 0, which is 3 units short.",
        ),
        (
            "small",
            [RUNS, HEAD, submit("small", 1, at=1)],
            {"backfill_window": 0},
            {"reason": Reason.HELD_BACK, "device": "0", "position": 2, "ahead": "head"},
            "small would fit on device 0, which is kept for head.",
        ),
        (
            "exact",
            [RUNS, HEAD, submit("exact", 2, at=1)],
            {"backfill_window": 0},
            {"reason": Reason.HELD_BACK, "device": "0", "position": 2, "ahead": "head"},
            "exact would fit on device 0, which is kept for head.",
        ),
        (
            "behind",
            [RUNS, HEAD, submit("behind", 4, at=1)],
            {},
            {"reason": Reason.BEHIND, "device": "0", "position": 2, "ahead": "head", "units_short": 2},
            "behind is number 2 in line; device 0 is 2 units short of it.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_reason_with_its_numbers(
    task_id: str, events: list[Event], policy: dict[str, Any], expected: dict[str, Any], sentence: str
) -> None:
    why = explained(task_id, *events, **policy)
    assert facts(why) == {"task_id": task_id, **expected}
    assert str(why) == sentence


def test_a_task_that_is_unknown_has_no_explanation() -> None:
    assert Scheduler(PoolConfig(max_units=8)).explain("nobody") is None


def test_a_head_knows_when_it_starts_at_the_latest() -> None:
    assert explained("head", RUNS_UNTIL_60, HEAD).starts_by == 60


@pytest.mark.parametrize("window", [0, math.inf])
def test_without_reservations_nobody_knows(window: float) -> None:
    assert explained("head", RUNS_UNTIL_60, HEAD, backfill_window=window).starts_by is None


def test_only_the_head_has_a_reservation() -> None:
    assert explained("behind", RUNS_UNTIL_60, HEAD, submit("behind", 4, at=1)).starts_by is None


def test_a_run_past_its_limit_may_end_at_any_moment() -> None:
    why = explained("head", RUNS_UNTIL_60, HEAD, Tick(at=75))
    assert (why.starts_by, why.units_short) == (75, 3)


def test_a_head_that_was_passed_over_says_since_when_and_for_how_long_it_may_be() -> None:
    passed = (RUNS, HEAD, submit("passes", 1, at=2))
    why = explained("head", *passed, backfill_window=30)
    assert (why.passed_over_since, why.passed_over_until) == (2, 32)
    why = explained("head", *passed, backfill_window=math.inf)
    assert (why.passed_over_since, why.passed_over_until) == (2, None)
    too_large = explained("head", *passed, CapacityChanged("0", 4, at=3), backfill_window=30)
    assert (too_large.reason, too_large.passed_over_since, too_large.passed_over_until) == (Reason.TOO_LARGE_NOW, 2, 32)


def test_of_several_devices_the_one_that_waits_for_the_task_is_named() -> None:
    """The head waits for ``b``, where it lacks least; the next waits for ``a``; the third is behind both."""
    events = (
        submit("on a", 7, at=0),
        submit("on b", 6, at=0),
        submit("first", 5, at=1),
        submit("second", 4, at=1),
        submit("third", 3, at=1),
    )
    devices = {"a": 8, "b": 8}
    why = {name: explained(name, *events, devices=devices) for name in ("first", "second", "third")}
    assert {name: (it.reason, it.device, it.ahead, it.units_short) for name, it in why.items()} == {
        "first": (Reason.FIRST_IN_LINE, "b", None, 3),
        "second": (Reason.FIRST_IN_LINE, "a", None, 3),
        "third": (Reason.BEHIND, "b", "first", 1),
    }


def test_a_device_that_is_too_small_now_is_not_named() -> None:
    why = explained(
        "second",
        submit("on a", 7, at=0),
        submit("first", 8, at=1),
        submit("second", 6, at=1),
        CapacityChanged("b", 4, at=2),
        devices={"b": 4, "a": 8},
    )
    assert (why.reason, why.device, why.ahead) == (Reason.BEHIND, "a", "first")


def test_nothing_is_kept_for_anybody_on_a_device_that_nobody_waits_for() -> None:
    """``large`` is too large for any device; so ``b`` and ``c`` are next."""
    events = (submit("runs", 8, at=0), submit("large", 7, at=0), CapacityChanged("0", 6, at=1), submit("b", 5, at=1))
    why = explained("b", *events)
    assert (why.reason, why.ahead, why.position, why.units_short) == (Reason.FIRST_IN_LINE, None, 2, 7)
