"""Configuration files: any text and any value gives settings, or this library's own error with a path."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parking_lot_drivers.config import Settings, load_settings, schema, settings_from
from parking_lot_drivers.config.quantities import BYTES, SECONDS
from parking_lot_drivers.errors import ConfigError
from tests.fuzz.damage import ODD, TEXTS, as_json, damaged, scribbled

VALID: Any = {
    "$schema": "https://example.org/schema.json",
    "pools": {
        "local_agent": {
            "max_units": 8,
            "queue": {"type": "yaque", "path": "./data"},
            "mailbox": {"type": "in_memory"},
            "executor": {"type": "process", "target": "jobs:run", "env": {"A": "1"}, "max_tasks_per_worker": 3},
        },
        "gpu-box": {
            "unit": "MiB",
            "devices": {"gpu-0": "12GiB", "gpu-1": 4096},
            "budget": {"scope": "shared", "name": "gpu-box-7"},
            "queue": {"type": "postgres", "url": "postgresql://u:secret@h/d", "table": "jobs.tasks", "lease": "20s"},
            "mailbox": {"type": "postgres", "table": "results", "ttl": "30d"},
            "executor": {"type": "command", "argv": ["python", "x.py", "{path}"], "cwd": "work"},
            "backfill_window": "infinity",
            "aging": "15m",
            "timeout": 3600,
            "run_timeout": "1.5h",
            "max_attempts": 4,
            "retry_backoff": "500ms",
            "retry_backoff_max": 60,
            "max_queue_depth": 1000,
            "tenants": {"ann": 2, "": 0.5},
        },
        "cloud_agent": {
            "max_units": 100,
            "queue": {"type": "postgres_pgmq", "queue_name": "inference", "default_units": 2, "archive": True},
            "executor": {"type": "thread", "target": "jobs:run", "max_threads": 2},
        },
    },
}
VALIDATOR = jsonschema.Draft202012Validator(schema())
MANY = settings(max_examples=200)
FEW = settings(max_examples=60)  # PyYAML is slow


def check_error(error: ConfigError) -> None:
    """Every problem is one line that begins with a place, can be printed, and keeps passwords to itself."""
    assert error.problems
    for problem in error.problems:
        assert ": " in problem
        assert problem.isprintable(), problem
        assert "secret" not in problem, problem


@MANY
@given(damaged(VALID, values=ODD))
@example({"pools": {"a": {"max_units": 10**400}}})
@example({"pools": {"a\n": {"max_units": 1}}})
@example({"pools": {"a": {"max_units": 1, "queue": {"type": "yaque", "path": "~nobody-here/x"}}}})
def test_any_mapping_gives_settings_or_a_config_error(mapping: object) -> None:
    try:
        found = settings_from(mapping, base="/somewhere")
    except ConfigError as error:
        check_error(error)
        return
    assert isinstance(found, Settings)
    for name, pool in found.pools.items():
        assert name == name.strip()
        assert all(type(units) is int and units >= 1 for units in pool.policy.budgets.values())


@MANY
@given(damaged(VALID))
def test_the_schema_refuses_no_less_and_no_more_than_the_program(mapping: object) -> None:
    """Where the schema can say it: what it refuses is refused, and what it accepts fails at most by relations."""
    try:
        settings_from(mapping)
        good = True
    except ConfigError:
        good = False
    text = as_json(mapping)
    if good and "\\ud" not in text:
        errors = [error.message for error in VALIDATOR.iter_errors(json.loads(text))]
        assert not errors, errors


@MANY
@given(scribbled(json.dumps(VALID, indent=1).encode()))
@example(b'{"pools": {"a": {"max_units": NaN}}}')
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 100_000)
@example(b'{"pools": ' + b"9" * 5000 + b"}")
def test_any_json_file(text: bytes) -> None:
    read(text, "lot.json")


@FEW
@given(scribbled(yaml.safe_dump(VALID).encode()))
@example(rb'pools: "\UFFFFFFFF"')
@example(rb'pools: "\U00110000"')
@example(b"%YAML " + b"9" * 5000 + b".1\n---\na: b")
@example(b"pools: &x {a: *x}")
@example(b"pools: !!python/object/apply:os.system [x]")
@example(b"pools: !!set {a, b}")
@example(b"pools: 2026-02-31")
@example(b"a: " + b"[" * 3000)
@example(b"<<: 5")
@example(b"? [a]\n: b")
@example(b"%YAML 9.9\n---\na: b")
@example(b"a: !!map [1]")
@example(b"--- a\n--- b")
def test_any_yaml_file(text: bytes) -> None:
    read(text, "lot.yaml")


YAML_PARTS = st.sampled_from(
    [
        *(
            "pools:",
            "\n",
            "  ",
            "a: ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "&x ",
            "*x",
            "<<: ",
            "? ",
            ": ",
            "!!int ",
            "!!map ",
        ),
        *(
            "!!binary ",
            "!!timestamp ",
            "!!omap ",
            "!!set ",
            "!!float ",
            '"',
            "'",
            "\\U",
            "00110000",
            "|\n",
            ">-\n",
            "---\n",
        ),
        *(
            "...\n",
            "%TAG ! x\n",
            "#",
            "max_units: 1",
            "=",
            "1:30",
            "0x",
            "~",
            "\t",
            "\x85",
            "\u2028",
            "12GiB",
            "!",
            "@",
            "`",
        ),
    ]
)


@MANY
@given(st.lists(YAML_PARTS, max_size=12).map("".join))
def test_any_heap_of_yaml(text: str) -> None:
    read(text.encode(), "lot.yml")


def read(text: bytes, name: str) -> None:
    """Load it as a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(text)
        try:
            found = load_settings(file)
        except ConfigError as error:
            named = [str(file) in problem or bool(error.__notes__) for problem in error.problems]
        else:
            named = [found.directory.is_absolute() or found.directory == Path(), bool(found.pools)]
        assert named
        assert all(named)


def test_the_valid_one_is_valid_and_comes_back() -> None:
    """JSON and YAML of the same mapping give the same settings; so do the settings' own values."""
    wanted = settings_from(VALID, base="/base")
    assert {type(pool.queue).__name__ for pool in wanted.pools.values()} == {"YaqueQueue", "PostgresQueue", "PgmqQueue"}
    for text, name in ((json.dumps(VALID), "lot.json"), (yaml.safe_dump(VALID, sort_keys=False), "lot.yaml")):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_text(text, encoding="utf-8")
            assert strip(load_settings(file), folder) == strip(wanted, "/base")


def strip(found: Settings, folder: str) -> str:
    return repr(attrs.asdict(found)).replace(folder, "FOLDER")


PLAIN_NAMES = ("a\n", "a\nb", " a", "a ", "\n", "a\r", "a\u2028")


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_end_where_their_lines_end(name: str) -> None:
    pool = {"max_units": 1, "queue": {"type": "postgres", "url": "postgresql://h/d", "table": "tasks"}}
    with pytest.raises(ConfigError):
        settings_from({"pools": {name: pool}})
    with pytest.raises(ConfigError, match="table"):
        settings_from({"pools": {"a": pool | {"queue": pool["queue"] | {"table": name}}}})
    with pytest.raises(ConfigError, match="target"):
        settings_from({"pools": {"a": pool | {"executor": {"type": "thread", "target": f"jobs:run{name}"}}}})


@MANY
@given(TEXTS | st.from_regex(r"[0-9]{1,4}(\.[0-9]{0,3})? ?[a-zA-Z]{0,3}\n?"))
@example("12GiB\n")
@example("1s\n")
@example("１２GiB")
def test_any_text_as_a_size_and_as_a_duration(text: str) -> None:
    plain = text.strip(" ")
    for mapping, units in (({"max_units": text, "unit": "B"}, BYTES), ({"max_units": 1, "aging": text}, SECONDS)):
        try:
            settings_from({"pools": {"a": mapping}})
        except ConfigError as error:
            check_error(error)
        else:
            assert any(plain.endswith(unit) for unit in units)
            assert plain.isascii()
            assert "\n" not in text
