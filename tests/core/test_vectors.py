"""The golden vectors in ``tests/vectors``: they are what the generator makes, every implementation answers them, and
broken ones do not."""

from __future__ import annotations

import inspect
import json
from functools import cache
from typing import Any

import pytest

from parking_lot_core import OutcomeStatus, RejectReason, Scheduler
from parking_lot_core.testing import broken
from parking_lot_core.testing.model import Model
from tests.vectors import play
from tests.vectors.__main__ import DIGEST, files
from tests.vectors.plain import Plain

SIZE_MAX = 1_500_000

# A base class that changes nothing by itself.
HARMLESS = {"Saying"}

BROKEN = [
    kind
    for name, kind in inspect.getmembers(broken, inspect.isclass)
    if kind.__module__ == broken.__name__ and issubclass(kind, Model) and name not in HARMLESS
]


@cache
def vectors(name: str) -> list[Plain]:
    return play.read(play.FOLDER / f"{name}.json")


FILES = [path.stem for path in play.paths()]


def all_vectors() -> list[Plain]:
    return [vector for name in FILES for vector in vectors(name)]


def test_the_files_are_what_the_generator_writes() -> None:
    expected = files()
    on_disk = {path.name for path in play.FOLDER.glob("*.json")} - {"schema.json"} | {DIGEST}
    assert on_disk == set(expected)
    for name, text in expected.items():
        assert (play.FOLDER / name).read_bytes() == text.encode(), f"{name}: run python -m tests.vectors"


@pytest.mark.parametrize("name", FILES)
def test_the_scheduler_answers_every_vector(name: str) -> None:
    for vector in vectors(name):
        play.play(Scheduler, vector)


@pytest.mark.parametrize("name", FILES)
def test_the_model_answers_every_vector(name: str) -> None:
    for vector in vectors(name):
        play.play(Model, vector, exact_deadlines=False)


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_scheduler_fails_a_vector(kind: Any) -> None:
    for vector in all_vectors():
        try:
            play.play(kind, vector, exact_deadlines=False)
        except play.Mismatch:
            return
        except Exception as error:
            raise AssertionError(f"{vector['name']} was not answered at all") from error
    pytest.fail(f"{kind.__name__} answers every vector as the rules say")


def test_the_broken_ones_are_there() -> None:
    assert len(BROKEN) >= 30


def test_every_field_that_is_changed_is_noticed() -> None:
    """Answers are compared whole: change any one number or word in them, and the vector fails."""
    (vector,) = (one for one in vectors("ends") if one["name"] == "cancels")
    text = json.dumps(vector)
    changed = 0
    for number, step in enumerate(vector["steps"]):
        for part in ("commands", "check"):
            for path in _leaves(step.get(part, []), ()):
                copy = json.loads(text)
                _change(copy["steps"][number][part], path)
                with pytest.raises(play.Mismatch):
                    play.play(Scheduler, copy)
                changed += 1
    assert changed > 200


def _leaves(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for key, item in enumerate(value) for leaf in _leaves(item, (*path, key))]
    return [path]


def _change(value: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = "changed"


def test_a_deadline_has_bounds() -> None:
    vector = vectors("time")[0]
    for late in ("next_deadline", "tick_by"):
        copy = json.loads(json.dumps(vector))
        for step in copy["steps"]:
            if step.get(late) is not None:
                step[late] -= 0.125
        with pytest.raises(play.Mismatch, match="next_deadline"):
            play.play(Scheduler, copy, exact_deadlines=late == "next_deadline")


def test_the_schema_describes_every_file_and_nothing_else() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((play.FOLDER / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for path in play.paths():
        errors = [error.message for error in validator.iter_errors(json.loads(path.read_text(encoding="utf-8")))]
        assert not errors, (path.name, errors[:3])
    one = json.loads((play.FOLDER / "sharing.json").read_text(encoding="utf-8"))
    for path in _members(one, ())[::150]:
        copy = json.loads(json.dumps(one))
        _drop(copy, path)
        assert list(validator.iter_errors(copy)), f"the schema does not miss {path}"


def _members(value: Any, path: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Paths of all members of objects, but for those objects whose members are names."""
    if isinstance(value, dict):
        free = path and path[-1] in ("tenants", "finish_tags", "passed_over", "used", "value")
        own = [] if free else [(*path, key) for key in value]
        return own + [leaf for key, item in value.items() for leaf in _members(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for key, item in enumerate(value) for leaf in _members(item, (*path, key))]
    return []


def _drop(value: Any, path: tuple[Any, ...]) -> None:
    for key in path[:-1]:
        value = value[key]
    del value[path[-1]]


def test_the_vectors_cover_everything_that_there_is_to_say() -> None:
    steps = [step for vector in all_vectors() for step in vector["steps"]]
    events = [step["event"] for step in steps if "event" in step]
    commands = [command for step in steps for command in step.get("commands", ())]
    assert {event["kind"] for event in events} == {
        *("submitted", "offered", "finished", "tick", "cancelled", "withdrawn", "capacity_changed")
    }
    assert {command["kind"] for command in commands} == {
        *("enqueue", "start", "deliver", "expire", "reject", "interrupt")
    }
    rejects = {command["reason"] for command in commands if command["kind"] == "reject"}
    assert rejects == {reason.value for reason in RejectReason}
    interrupts = {command["reason"] for command in commands if command["kind"] == "interrupt"}
    assert interrupts == {"cancelled", "timed_out"}
    ends = {event["outcome"]["status"] for event in events if event["kind"] == "finished"}
    assert ends == {status.value for status in OutcomeStatus}
    counted = [step["check"]["counters"] for step in steps if "check" in step]
    assert all(any(row[name] for row in counted) for name in counted[0])
    assert sum("restore" in step for step in steps) >= 20


def test_the_vectors_cover_every_policy() -> None:
    pools = [vector["config"] for vector in all_vectors()]
    assert {0, "infinity"} < {pool["backfill_window"] for pool in pools}
    for name in ("aging", "timeout", "run_timeout", "tenants"):
        assert {bool(pool[name]) for pool in pools} == {True, False}
    assert {len(pool["devices"]) for pool in pools} >= {1, 2, 3}
    bounded = [pool for pool in pools if pool["backfill_window"] not in (0, "infinity")]
    assert {pool["run_timeout"] is None for pool in bounded} == {True, False}
    assert {pool["max_queue_depth"] < 10 for pool in pools} == {True, False}


def test_names_are_unique_and_the_files_are_small() -> None:
    for name in FILES:
        names = [vector["name"] for vector in vectors(name)]
        assert len(set(names)) == len(names)
    assert sum(path.stat().st_size for path in play.FOLDER.glob("*.json")) < SIZE_MAX
