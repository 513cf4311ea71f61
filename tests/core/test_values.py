"""The values that tasks, events and commands are made of: what they allow, what they refuse, and how they compare."""

from __future__ import annotations

import inspect
import math
import sys
from typing import Any

import attrs
import pytest

import parking_lot_core
from parking_lot_core import (
    Checkpoint,
    DeviceRecord,
    DeviceView,
    Explanation,
    MailboxKey,
    Move,
    Outcome,
    OutcomeStatus,
    Priority,
    Reason,
    RejectReason,
    ResourceCost,
    ScheduledTask,
    Start,
    TaskMetadata,
    TaskState,
    Tick,
)
from parking_lot_core._values import evolve
from parking_lot_core.timers import Alarm
from tests.core.play import task

# What is written into databases and messages: a change makes what was saved unreadable, or mean something else.

WORDS: dict[Any, str] = {
    TaskState: "new parked running stopping delivered expired rejected withdrawn",
    OutcomeStatus: "succeeded failed lost returned timed_out cancelled expired rejected",
    RejectReason: "duplicate too_large queue_full",
}
LEVELS: dict[Any, list[str]] = {
    Priority: ["LOW", "NORMAL", "HIGH", "CRITICAL"],
    Alarm: ["EXPIRE", "RUN_LIMIT", "READY", "PROMOTE"],
}


@pytest.mark.parametrize("kind", WORDS)
def test_words_that_are_saved_stay_as_they_are(kind: Any) -> None:
    assert [member.value for member in kind] == WORDS[kind].split()
    assert [member.name for member in kind] == WORDS[kind].upper().split()


@pytest.mark.parametrize("kind", LEVELS)
def test_numbers_that_are_saved_stay_as_they_are(kind: Any) -> None:
    assert {member.name: int(member) for member in kind} == {name: level for level, name in enumerate(LEVELS[kind])}


def test_words_that_people_read_stay_as_they_are() -> None:
    assert " ".join(made.value for made in Move) == "Enqueue Offered Reject Start Expire Deliver Interrupt Withdrawn"
    assert [reason.value for reason in Reason] == [
        "running",
        "stopping",
        "delayed",
        "too large now",
        "first in line",
        "held back",
        "behind",
    ]


# Bounds

LARGEST = sys.float_info.max
PAST_FLOATS = 10**400


@pytest.mark.parametrize("units", [1, 2, 2**53 - 1, 2**53])
def test_a_cost_is_a_whole_number_that_json_can_carry(units: int) -> None:
    assert ResourceCost(units).units == units


@pytest.mark.parametrize("units", [0, -1, 2**53 + 1, True, 1.0, "8", None])
def test_any_other_cost_is_refused(units: Any) -> None:
    with pytest.raises(ValueError, match=r"^units: expected an integer ≥ 1 ") as refused:
        ResourceCost(units)
    assert str(refused.value).endswith(f"got {units!r}")


ALLOWED: list[tuple[str, list[Any]]] = [
    ("id", ["a", "0", "ü/…"]),
    ("run_timeout", [None, 5e-324, 0.25, 1, LARGEST]),
    ("start_by", [None, -LARGEST, -1.0, 0, 0.0, LARGEST]),
    ("not_before", [None, -LARGEST, -1.0, 0, 0.0, LARGEST]),
    ("max_attempts", [0, 1, 10**9]),
]
REFUSED: list[tuple[str, list[Any], str]] = [
    ("id", ["", None, 7, b"a"], "a non-empty string"),
    ("run_timeout", [0, 0.0, -1, math.inf, math.nan, PAST_FLOATS], "seconds > 0"),
    ("start_by", [math.inf, -math.inf, math.nan, PAST_FLOATS, -PAST_FLOATS], "seconds since the Unix epoch"),
    ("not_before", [math.inf, -math.inf, math.nan, PAST_FLOATS, -PAST_FLOATS], "seconds since the Unix epoch"),
    ("max_attempts", [-1, True, 1.0, "3", None], "an integer ≥ 0"),
]


def metadata(**fields: Any) -> TaskMetadata:
    return TaskMetadata(**{"id": "a", "cost": ResourceCost(1), **fields})


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ALLOWED for value in values])
def test_what_a_submitter_may_say(name: str, value: Any) -> None:
    assert getattr(metadata(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "expected"), [(name, value, expected) for name, values, expected in REFUSED for value in values]
)
def test_what_a_submitter_may_not_say_is_named_with_what_is_allowed(name: str, value: Any, expected: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        metadata(**{name: value})
    assert str(refused.value) == f"{name}: expected {expected}, got {value!r}"


# What is not said


def test_a_task_that_says_nothing_is_an_ordinary_one() -> None:
    said = metadata()
    assert attrs.asdict(said, recurse=False) == {
        "id": "a",
        "cost": ResourceCost(1),
        "priority": Priority.NORMAL,
        "tenant": "",
        "start_by": None,
        "run_timeout": None,
        "not_before": None,
        "max_attempts": 0,
    }
    assert ScheduledTask(said, 3, 0, 1.5) == ScheduledTask(
        said,
        3,
        0,
        1.5,
        TaskState.PARKED,
        epoch=0,
        attempts=0,
        ready_at=None,
        device=None,
        started_at=None,
        stop_reason=None,
    )


def test_a_failure_may_be_tried_again_unless_it_says_otherwise() -> None:
    assert Outcome(OutcomeStatus.FAILED) == Outcome(OutcomeStatus.FAILED, error=None, value=None, retryable=True)
    assert MailboxKey() == MailboxKey("", "", "")


def test_a_lot_that_was_never_saved_begins_at_the_beginning() -> None:
    assert Checkpoint() == Checkpoint(
        now=0.0, next_sequence=1, virtual_time=0, finish_tags=(), passed_over=(), devices=()
    )


def test_the_units_and_the_name_of_a_task_are_those_of_its_metadata() -> None:
    kept = ScheduledTask(task("index", units=6), 1, 0, 0.0)
    assert (kept.id, kept.units, kept.metadata.units) == ("index", 6, 6)


# Values


def test_values_are_compared_by_what_they_hold() -> None:
    assert (Tick(1.0), Tick(1.0)) == (Tick(1), Tick(at=1.0))
    assert Tick(1.0) != Tick(2.0)
    assert len({metadata(), metadata(), metadata(max_attempts=2)}) == 2
    assert repr(Tick(1.0)) == "Tick(at=1.0)"


def test_an_outcome_has_a_hash_whatever_it_carries() -> None:
    carries_a_list = Outcome(OutcomeStatus.SUCCEEDED, value=["not", "hashable"])
    assert {carries_a_list: 1}[Outcome(OutcomeStatus.SUCCEEDED, value=["not", "hashable"])] == 1
    assert carries_a_list != Outcome(OutcomeStatus.SUCCEEDED)


def test_a_copy_with_changes_leaves_the_original_alone() -> None:
    first = metadata()
    second = evolve(first, max_attempts=2)
    assert (first.max_attempts, second.max_attempts, second.id) == (0, 2, "a")


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        evolve(metadata(), max_attempts=-1)


def public_values() -> list[type]:
    """Every class of the core's interface that holds facts and nothing else."""
    named = [getattr(parking_lot_core, name) for name in parking_lot_core.__all__]
    return [found for found in named if inspect.isclass(found) and attrs.has(found) and found.__name__ != "PoolConfig"]


@pytest.mark.parametrize("kind", public_values())
def test_a_value_has_no_room_for_anything_else(kind: Any) -> None:
    """A million parked tasks must fit in memory; and a misspelt field must not go unnoticed."""
    made = kind.__new__(kind)
    with pytest.raises((AttributeError, attrs.exceptions.FrozenInstanceError)):
        made.no_such_field = 1
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("kind", [ScheduledTask, TaskMetadata, ResourceCost])
def test_what_there_are_a_million_of_has_not_even_room_for_weak_references(kind: Any) -> None:
    assert not hasattr(kind, "__weakref__")


@pytest.mark.parametrize("kind", [kind for kind in public_values() if kind.__name__ != "Counters"])
def test_values_are_hashable(kind: Any) -> None:
    assert kind.__hash__ is not None


def test_what_a_checkpoint_and_an_explanation_hold_is_said_by_name() -> None:
    """Their fields are many and alike: numbers in a row would be mixed up."""
    with pytest.raises(TypeError):
        Checkpoint(1.0)  # type: ignore[misc]
    with pytest.raises(TypeError):
        DeviceRecord("a", 1, 1, 1)  # type: ignore[misc]
    with pytest.raises(TypeError):
        Explanation("a", Reason.RUNNING)  # type: ignore[misc]


@pytest.mark.parametrize(
    "saved",
    [Checkpoint(), DeviceRecord(device="a", configured=1, capacity=1, capacity_max=1)],
    ids=lambda s: type(s).__name__,
)
def test_what_was_saved_cannot_be_changed(saved: Any) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(saved, attrs.fields(type(saved))[0].name, 9)


def test_values_are_written_in_the_order_of_their_fields() -> None:
    kept = ScheduledTask(task("a"), 1, 0, 0.0)
    assert Start(kept, "0", 1) == Start(task=kept, device="0", epoch=1)
    assert DeviceView("0", 4, 3, 1) == DeviceView(name="0", capacity=4, used=3, free=1)
