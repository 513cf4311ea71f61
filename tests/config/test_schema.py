"""The JSON Schema says what the loader does."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from parking_lot_drivers.config import schema, settings_from
from parking_lot_drivers.errors import ConfigError
from tests.config.test_settings import DESIGN_EXAMPLE

VALIDATOR = Draft202012Validator(schema())

GOOD_POOLS: list[dict[str, Any]] = [
    *json.loads(DESIGN_EXAMPLE)["pools"].values(),
    {"unit": "MiB", "devices": {"gpu0": "12GiB", "gpu1": 512}},
    {"max_units": 8, "timeout": "15m", "aging": None, "backfill_window": "infinity", "tenants": {"a": 0.5}},
    {"max_units": 8, "executor": {"type": "process", "target": "jobs:run", "max_tasks_per_worker": 3}},
    {"max_units": 8, "executor": {"type": "command", "argv": ["ls"], "env": {"A": ""}, "cwd": "~"}},
    {"max_units": 8, "queue": {"type": "sqlite", "path": "x"}, "mailbox": {"type": "yaque", "path": "y"}},
    {"max_units": 8, "queue": {"type": "postgres", "url": "postgresql+psycopg://h/d", "table": "s.t"}},
    {
        "max_units": 8,
        "budget": {"scope": "shared", "name": "gpu-box-7"},
        "queue": {"type": "postgres", "audit": False, "archive": True, "lease": "30s", "wait_for_server": "1m"},
        "mailbox": {"type": "postgres", "ttl": "7d"},
    },
    {"max_units": 8, "queue": {"type": "postgres_pgmq", "queue_name": "q", "default_units": 2}},
    {"max_units": 8, "budget": {"scope": "shared", "name": "a"}, "queue": {"type": "yaque", "path": "x"}},
]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())
    assert json.loads(json.dumps(schema())) == schema()


@pytest.mark.parametrize("pool", GOOD_POOLS)
def test_good_pools(pool: dict[str, Any]) -> None:
    VALIDATOR.validate({"$schema": "x", "pools": {"p": pool}})
    settings_from({"pools": {"p": pool}})


@pytest.mark.parametrize(
    "pool",
    [
        {},
        {"max_units": 8, "devices": {"a": 1}},
        {"max_units": "8GB"},
        {"devices": {"a": "8GB"}},
        {"unit": "MB2", "max_units": 8},
        {"unit": "MiB", "max_units": "eight"},
        {"max_units": 0},
        {"max_unit": 8},
        {"max_units": 8, "timeout": "0s"},
        {"max_units": 8, "timeout": 0},
        {"max_units": 8, "queue": {"type": "yaque"}},
        {"max_units": 8, "queue": {"type": "in_memory", "path": "x"}},
        {"max_units": 8, "queue": {"type": "redis"}},
        {"max_units": 8, "mailbox": {}},
        {"max_units": 8, "executor": {"type": "command", "argv": []}},
        {"max_units": 8, "executor": {"type": "thread", "target": "jobs"}},
        {"max_units": 8, "tenants": {"a": 0}},
        {"max_units": 8, "budget": {"scope": "shared", "name": "a"}},
        {"max_units": 8, "budget": {"scope": "shared", "name": "a"}, "queue": {"type": "in_memory"}},
        {"max_units": 8, "budget": {"scope": "shared"}, "queue": {"type": "postgres"}},
        {"max_units": 8, "budget": {"scope": "host", "name": "a"}},
    ],
)
def test_bad_pools(pool: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({"pools": {"p": pool}})
    with pytest.raises(ConfigError):
        settings_from({"pools": {"p": pool}})


@pytest.mark.parametrize("document", [[], {}, {"pools": {}}, {"pools": {"a/b": {"max_units": 1}}}, {"polls": {}}])
def test_bad_documents(document: object) -> None:
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(ConfigError):
        settings_from(document)


def test_everything_in_the_schema_is_described() -> None:
    pool = schema()["properties"]["pools"]["additionalProperties"]
    sections = [
        pool,
        *(s for name in ("queue", "mailbox", "executor", "budget") for s in pool["properties"][name]["oneOf"]),
    ]

    for section in sections:
        assert section["description"]
        undescribed = {name for name, about in section["properties"].items() if not about.get("description")}
        assert undescribed <= {"type", "scope"}, section["description"]


def test_defaults_are_those_of_the_classes() -> None:
    properties = schema()["properties"]["pools"]["additionalProperties"]["properties"]

    assert {name: about["default"] for name, about in properties.items() if "default" in about} == {
        "max_queue_depth": 100_000,
        "backfill_window": 60.0,
        "max_attempts": 3,
        "retry_backoff": 1.0,
        "retry_backoff_max": 300.0,
    }


# Values that are near to right somewhere in a configuration, and some that are right nowhere.
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 20),
    st.sampled_from([0.0, -0.5, 0.5, 8.0, 1e300]),
    st.sampled_from(
        [
            *(
                "",
                "0s",
                "90s",
                "1.5 h",
                "0.0m",
                "3 weeks",
                "infinity",
                "8GB",
                "12GiB",
                "0MiB",
                "1.0001KiB",
                "MiB",
                "GB",
            ),
            *("x", "a/b", "..", "jobs:run", "jobs", "a.b:c.d", "postgres://h", "mysql://h", "s.t", "a b", "\0", "A="),
            *(
                "in_memory",
                "yaque",
                "sqlite",
                "postgres",
                "postgres_pgmq",
                "host",
                "shared",
                "coroutine",
                "thread",
                "process",
                "command",
            ),
        ]
    ),
    st.lists(st.sampled_from(["ls", "-l", 1, None]), max_size=2),
    st.dictionaries(st.sampled_from(["a", "", "A=", "0"]), st.sampled_from([0, 1, 2.5, "1", "4GiB", None]), max_size=2),
)

_KEYS = st.sampled_from(
    [
        *schema()["properties"]["pools"]["additionalProperties"]["properties"],
        *("type", "path", "url", "table", "queue_name", "target", "max_threads", "argv", "env", "cwd", "nonsense"),
        *("scope", "name", "audit", "archive", "lease", "wait_for_server", "default_units", "ttl"),
    ]
)


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    """A good configuration in which some keys, at any depth, were set, replaced or taken away."""
    pool = copy.deepcopy(draw(st.sampled_from(GOOD_POOLS)))
    for _ in range(draw(st.integers(0, 4))):
        inner = [value for value in pool.values() if isinstance(value, dict)]
        place = draw(st.sampled_from([pool, *inner]))
        key = draw(st.sampled_from(sorted(place)) | _KEYS if place else _KEYS)
        if draw(st.booleans()):
            place.pop(key, None)
        else:
            place[key] = draw(_VALUES)
    return {"pools": {draw(st.sampled_from(["p", "p", "p", "a b", ""])): pool}}


def _faults(document: dict[str, Any]) -> tuple[str, ...]:
    try:
        settings_from(document)
    except ConfigError as error:
        return error.problems
    return ()


@given(_documents())
def test_the_schema_and_the_loader_agree(document: dict[str, Any]) -> None:
    # A schema cannot multiply: that a size is a whole number of the pool's unit is for the loader alone to see.
    faults = [fault for fault in _faults(document) if "expected a whole number of " not in fault]
    beyond_the_schema = len(faults) < len(_faults(document))

    if not beyond_the_schema or faults:
        assert VALIDATOR.is_valid(document) == (not faults), (
            faults,
            [e.message for e in VALIDATOR.iter_errors(document)],
        )
