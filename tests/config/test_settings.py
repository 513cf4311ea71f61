"""What a configuration means, once it is read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers.config import (
    CommandSettings,
    CoroutineSettings,
    HostBudget,
    InMemoryMailbox,
    InMemoryQueue,
    PgmqQueue,
    PoolSettings,
    PostgresMailbox,
    PostgresQueue,
    ProcessSettings,
    SharedBudget,
    ThreadSettings,
    YaqueMailbox,
    YaqueQueue,
    load_settings,
    settings_from,
)
from parking_lot_drivers.config.kinds import Kind
from parking_lot_drivers.config.sections import kind_of
from parking_lot_drivers.errors import ConfigError

DESIGN_EXAMPLE = """\
{
  "pools": {
    "local_agent": {
      "max_units": 8,
      "queue": { "type": "yaque", "path": "./data" },
      "mailbox": { "type": "in_memory" }
    },
    "cloud_agent": {
      "max_units": 100,
      "queue": { "type": "postgres_pgmq", "queue_name": "inference" },
      "mailbox": { "type": "postgres", "table": "results" }
    }
  }
}
"""


def pool(**section: Any) -> PoolSettings:
    """The one pool of a configuration with this section."""
    return settings_from({"pools": {"p": section}}, base="/srv").pools["p"]


def problems(**section: Any) -> list[str]:
    """What is wrong with this section, without the path of the pool."""
    with pytest.raises(ConfigError) as caught:
        pool(**section)
    return [problem.removeprefix("pools.p.") for problem in caught.value.problems]


def test_the_example_of_the_design_loads_as_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "lot.json"
    file.write_text(DESIGN_EXAMPLE, encoding="utf-8")

    pools = load_settings(file).pools

    assert pools["local_agent"] == PoolSettings(
        max_units=8, queue=YaqueQueue(path=tmp_path / "data"), mailbox=InMemoryMailbox()
    )
    assert pools["cloud_agent"] == PoolSettings(
        max_units=100, queue=PgmqQueue(queue_name="inference"), mailbox=PostgresMailbox(table="results")
    )


def test_a_pool_is_in_memory_and_without_executor_unless_it_says_otherwise() -> None:
    plain = pool(max_units=8)

    assert plain.policy == PoolConfig(max_units=8)
    assert (plain.queue, plain.mailbox, plain.executor) == (InMemoryQueue(), InMemoryMailbox(), None)


@pytest.mark.parametrize(
    ("queue", "mailbox"),
    [
        ({"type": "in_memory"}, InMemoryMailbox()),
        ({"type": "yaque", "path": "d"}, YaqueMailbox(path=Path("/srv/d"))),
        ({"type": "postgres", "url": "postgresql://h/d"}, PostgresMailbox(url="postgresql://h/d")),
        ({"type": "postgres_pgmq", "queue_name": "q"}, PostgresMailbox()),
    ],
)
def test_a_mailbox_that_is_not_named_lies_beside_the_queue(queue: dict[str, str], mailbox: object) -> None:
    assert pool(max_units=1, queue=queue).mailbox == mailbox


def test_sqlite_is_another_name_of_yaque() -> None:
    assert pool(max_units=1, queue={"type": "sqlite", "path": "d"}) == pool(
        max_units=1, queue={"type": "yaque", "path": "d"}
    )


def test_every_field_of_the_policy_can_be_configured() -> None:
    section = {
        "devices": {"gpu0": 16, "gpu1": 24},
        "max_queue_depth": 10,
        "backfill_window": "infinity",
        "aging": "5m",
        "timeout": "1.5h",
        "run_timeout": 90,
        "max_attempts": 5,
        "retry_backoff": "500ms",
        "retry_backoff_max": "1d",
        "tenants": {"acme": 2, "": 0.5},
    }
    left_out = {"max_units"}  # excludes devices
    assert set(section) == {field.name for field in attrs.fields(PoolConfig)} - left_out

    policy = pool(**section).policy

    assert policy == PoolConfig(
        devices={"gpu0": 16, "gpu1": 24},
        max_queue_depth=10,
        backfill_window=math.inf,
        aging=300.0,
        timeout=5400.0,
        run_timeout=90.0,
        max_attempts=5,
        retry_backoff=0.5,
        retry_backoff_max=86_400.0,
        tenants={"acme": 2.0, "": 0.5},
    )
    assert list(policy.devices) == ["gpu0", "gpu1"]


def test_every_field_of_the_policy_has_a_kind() -> None:
    assert all(isinstance(kind_of(field), Kind) for field in attrs.fields(PoolConfig))


@pytest.mark.parametrize("name", ["aging", "timeout", "run_timeout"])
def test_null_switches_a_bound_off(name: str) -> None:
    assert getattr(pool(max_units=1, **{name: None}), name) is None


@pytest.mark.parametrize(
    ("unit", "given", "units"),
    [
        ("MiB", "12GiB", 12_288),
        ("MiB", "512 MiB", 512),
        ("MiB", " 1.5 GiB ", 1536),
        ("GiB", "2TiB", 2048),
        ("MB", "24GB", 24_000),
        ("kB", "1.5 MB", 1500),
        ("KB", "1.5 MB", 1500),
        ("B", "1KiB", 1024),
        ("MiB", 77, 77),
        ("MiB", 77.0, 77),
        (None, 77, 77),
    ],
)
def test_sizes_become_units_exactly(unit: str | None, given: object, units: int) -> None:
    section = {} if unit is None else {"unit": unit}

    assert pool(max_units=given, **section).max_units == units
    assert pool(devices={"gpu": given}, **section).devices == {"gpu": units}


@pytest.mark.parametrize(
    ("unit", "given", "problem"),
    [
        ("GiB", "512MiB", 'expected a whole number of GiB, got "512MiB", which is 0.5 GiB'),
        ("MiB", "12GB", 'expected a whole number of MiB, got "12GB", which is 11444.1 MiB'),
        ("MiB", "12", 'expected an integer ≥ 1, or a size such as "12GiB", got "12"'),
        ("MiB", "12gib", 'expected an integer ≥ 1, or a size such as "12GiB", got "12gib"'),
        ("MiB", "-1GiB", 'expected an integer ≥ 1, or a size such as "12GiB", got "-1GiB"'),
        ("MiB", "0GiB", 'expected an integer ≥ 1, or a size such as "12GiB", got "0GiB"'),
        ("MiB", 0, "expected an integer ≥ 1, got 0"),
        ("MiB", -8, "expected an integer ≥ 1, got -8"),
        (None, "8GB", 'expected an integer ≥ 1, got "8GB"; for sizes, give the pool a unit, such as "MiB"'),
        (None, "eight", 'expected an integer ≥ 1, got "eight"'),
        (None, 0, "expected an integer ≥ 1, got 0"),
        (None, -8, "expected an integer ≥ 1, got -8"),
        (None, 1.5, "expected an integer ≥ 1, got 1.5"),
        (None, True, "expected an integer ≥ 1, got true"),
        (None, None, "expected an integer ≥ 1, got null"),
        (None, [8], "expected an integer ≥ 1, got a list"),
    ],
)
def test_bad_amounts(unit: str | None, given: object, problem: str) -> None:
    section = {} if unit is None else {"unit": unit}

    assert problems(max_units=given, **section) == [f"max_units: {problem}"]
    assert problems(devices={"gpu 0": given}, **section) == [f'devices."gpu 0": {problem}']


@pytest.mark.parametrize(
    "given", ["0s", 0, -1, "-1s", "1 week", "", "1h30m", True, math.nan, math.inf, 10**400, "infinity", [], {}]
)
def test_bad_durations(given: object) -> None:
    [problem] = problems(max_units=1, timeout=given)

    assert problem.startswith('timeout: expected seconds > 0, or text such as "90s", "15m", "2h", got ')


def test_a_backfill_window_may_be_zero_or_infinite_but_not_negative() -> None:
    assert pool(max_units=1, backfill_window=0).backfill_window == 0
    assert pool(max_units=1, backfill_window="0s").backfill_window == 0
    assert pool(max_units=1, backfill_window=math.inf).backfill_window == math.inf
    assert problems(max_units=1, backfill_window=-1) == [
        'backfill_window: expected seconds ≥ 0, or text such as "90s", "15m", "2h", or "infinity", got -1'
    ]


def test_a_pool_has_exactly_one_budget() -> None:
    assert problems() == ["pools.p: expected either max_units or devices, got neither"]
    assert problems(max_units=1, devices={"a": 1}) == ["pools.p: expected either max_units or devices, got both"]
    assert problems(devices={}) == [
        "devices: expected an object of device names and their units, with at least one device, got an empty object"
    ]


def test_paths_start_at_the_file_and_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def path(given: str, base: str = "conf") -> Path:
        section = {"max_units": 1, "queue": {"type": "yaque", "path": given}}
        queue = settings_from({"pools": {"p": section}}, base=base).pools["p"].queue
        assert isinstance(queue, YaqueQueue)
        return queue.path

    assert path("data") == tmp_path / "conf" / "data"
    assert path("~/data") == tmp_path / "data"
    assert path("/data") == Path("/data")
    assert path("data", base="/etc") == Path("/etc/data")


def test_a_home_that_is_not_known() -> None:
    [problem] = problems(max_units=1, queue={"type": "yaque", "path": "~no-such-user-here/x"})

    assert problem == ('queue.path: expected a path that starts in a known home directory, got "~no-such-user-here/x"')


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ({"type": "coroutine", "target": "a.b:c"}, CoroutineSettings(target="a.b:c")),
        ({"type": "thread", "target": "a:c.d"}, ThreadSettings(target="a:c.d")),
        ({"type": "thread", "target": "a:b", "max_threads": 4}, ThreadSettings(target="a:b", max_threads=4)),
        (
            {"type": "process", "target": "a:b", "max_tasks_per_worker": 9, "env": {"X": ""}},
            ProcessSettings(target="a:b", max_tasks_per_worker=9, env={"X": ""}),
        ),
        ({"type": "command", "argv": ["ls", "-l"]}, CommandSettings(argv=("ls", "-l"), cwd=Path("/srv"))),
        (
            {"type": "command", "argv": ["ls"], "cwd": "sub", "env": {"A": "b"}},
            CommandSettings(argv=("ls",), cwd=Path("/srv/sub"), env={"A": "b"}),
        ),
    ],
)
def test_executors(section: dict[str, Any], settings: object) -> None:
    assert pool(max_units=1, executor=section).executor == settings


@pytest.mark.parametrize(
    ("executor", "problem"),
    [
        ({"type": "coroutine"}, 'target: expected a function as "package.module:function", got nothing'),
        (
            {"type": "thread", "target": "jobs.run"},
            'target: expected a function as "package.module:function", got "jobs.run"',
        ),
        ({"type": "thread", "target": "a:b", "max_threads": 0}, "max_threads: expected an integer ≥ 1, got 0"),
        (
            {"type": "command", "argv": []},
            'argv: expected a list of texts such as ["python", "job.py"], got an empty list',
        ),
        (
            {"type": "command", "argv": "ls -l"},
            'argv: expected a list of texts such as ["python", "job.py"], got "ls -l"',
        ),
        ({"type": "command", "argv": ["ls", 1]}, "argv[1]: expected text, got 1; write it in quotes"),
        ({"type": "command", "argv": ["a\0b"]}, 'argv[0]: expected text, got "a\\u0000b"'),
        ({"type": "command", "argv": ["ls"], "env": {"A": 1}}, "env.A: expected text, got 1; write it in quotes"),
        (
            {"type": "command", "argv": ["ls"], "env": {"A=": "1"}},
            'env."A=": expected the name of an environment variable, without "=", got "A="',
        ),
        (
            {"type": "proces", "target": "a:b"},
            'type: expected one of coroutine, thread, process, command, got "proces"; did you mean process?',
        ),
        ({"target": "a:b"}, "type: expected one of coroutine, thread, process, command, got nothing"),
    ],
)
def test_bad_executors(executor: dict[str, Any], problem: str) -> None:
    assert problems(max_units=1, executor=executor) == [f"executor.{problem}"]


def test_an_executor_that_is_no_object() -> None:
    assert problems(max_units=1, executor="thread") == [
        'executor: expected an executor as an object, such as {"type": "coroutine"}, got "thread"'
    ]


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        settings_from(
            {
                "pols": {},
                "pools": {
                    "a": {"max_units": "8GB", "timout": 3, "queue": {"type": "postgre"}, "zzz": 1},
                    "b": {"devices": {"0": 0}, "queue": {"type": "yaque"}, "retry_backoff": "soon"},
                    "../c": {"max_units": 1},
                    "d": 7,
                },
            }
        )

    assert list(caught.value.problems) == [
        "pols: unknown key; did you mean pools?",
        "pools.a.timout: unknown key; did you mean timeout?",
        "pools.a.zzz: unknown key; allowed: aging, backfill_window, budget, devices, executor, mailbox, max_attempts, "
        "max_queue_depth, max_units, queue, retry_backoff, retry_backoff_max, run_timeout, tenants, timeout, unit",
        'pools.a.max_units: expected an integer ≥ 1, got "8GB"; for sizes, give the pool a unit, such as "MiB"',
        "pools.a.queue.type: expected one of in_memory, yaque, sqlite, postgres, postgres_pgmq, "
        'got "postgre"; did you mean postgres?',
        "pools.b.devices.0: expected an integer ≥ 1, got 0",
        'pools.b.retry_backoff: expected seconds ≥ 0, or text such as "90s", "15m", "2h", got "soon"',
        "pools.b.queue.path: expected the path of a directory, as text, got nothing",
        'pools."../c": expected a name of at most 100 letters, digits, "_", "-" and ".", '
        'the first a letter or digit, got "../c"',
        "pools.d: expected an object of settings, got 7",
    ]


@pytest.mark.parametrize("mapping", [None, [], "pools", 3, {}, {"pools": {}}, {"pools": []}])
def test_something_else_than_pools(mapping: object) -> None:
    with pytest.raises(ConfigError, match=r"^(top level|pools): expected an object "):
        settings_from(mapping)


def test_a_wrong_unit_is_one_problem() -> None:
    assert problems(unit="MBs", max_units="8GB") == [
        'unit: expected one of B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB, got "MBs"; did you mean MB?'
    ]


def test_a_password_is_never_repeated() -> None:
    [problem] = problems(max_units=1, queue={"type": "postgres", "url": "mysql://me:hunter2@db/x"})
    assert "hunter2" not in problem

    good = pool(max_units=1, queue={"type": "postgres", "url": "postgresql://me:hunter2@db/x"})
    assert "hunter2" not in repr(good)


def test_what_was_given_is_shown_short_and_harmless() -> None:
    [problem] = problems(max_units="\x1b[2J\u202e\ud800" + "x" * 1000)

    assert problem.isprintable()
    assert len(problem) < 150


def test_a_key_for_editors_is_allowed_at_the_top() -> None:
    mapping = json.loads(DESIGN_EXAMPLE)

    assert settings_from({"$schema": "lot.schema.json", **mapping}) == settings_from(mapping)


def test_the_keys_of_queues_in_postgres() -> None:
    keys = {"audit": False, "archive": True, "lease": "1m", "wait_for_server": "2m"}
    read = {"audit": False, "archive": True, "lease": 60.0, "wait_for_server": 120.0}
    plain = {"audit": True, "archive": False, "lease": 15.0, "wait_for_server": 0.0}
    pgmq = {"type": "postgres_pgmq", "queue_name": "q"}

    assert pool(max_units=1, queue={"type": "postgres"}).queue == PostgresQueue(table="parking_lot_tasks", **plain)
    assert pool(max_units=1, queue={"type": "postgres", **keys}).queue == PostgresQueue(**read)
    assert pool(max_units=1, queue=pgmq).queue == PgmqQueue(queue_name="q", default_units=1, **plain)
    assert pool(max_units=1, queue=pgmq | keys | {"default_units": 3}).queue == PgmqQueue(
        queue_name="q", default_units=3, **read
    )


def test_a_mailbox_beside_a_queue_waits_as_long_for_the_server() -> None:
    queue = {"type": "postgres", "wait_for_server": 5}

    assert pool(max_units=1, queue=queue).mailbox == PostgresMailbox(wait_for_server=5.0)


def test_outcomes_may_have_a_time_to_live() -> None:
    assert pool(max_units=1, mailbox={"type": "postgres", "ttl": "7d"}).mailbox == PostgresMailbox(ttl=604_800.0)
    assert pool(max_units=1, mailbox={"type": "yaque", "path": "d", "ttl": 60}).mailbox == YaqueMailbox(
        path=Path("/srv/d"), ttl=60.0
    )


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"queue": {"type": "postgres", "audit": 1}}, "queue.audit: expected true or false, got 1"),
        ({"queue": {"type": "postgres", "archive": "no"}}, 'queue.archive: expected true or false, got "no"'),
        (
            {"queue": {"type": "postgres", "lease": "500ms"}},
            'queue.lease: expected seconds ≥ 1, or text such as "90s", "15m", "2h", got "500ms"',
        ),
        (
            {"queue": {"type": "postgres_pgmq", "queue_name": "q", "default_units": 0}},
            "queue.default_units: expected an integer ≥ 1, got 0",
        ),
        (
            {"mailbox": {"type": "yaque", "path": "d", "ttl": 0}},
            'mailbox.ttl: expected seconds > 0, or text such as "90s", "15m", "2h", got 0',
        ),
        ({"mailbox": {"type": "in_memory", "ttl": 5}}, "mailbox.ttl: unknown key; allowed: type"),
    ],
)
def test_bad_keys_of_stores(section: dict[str, Any], problem: str) -> None:
    assert problems(max_units=1, **section) == [problem]


def test_names_that_are_no_identifiers() -> None:
    for bad in ("results; drop table x", 'a"b', "", "1a", "a.b.c", "x" * 64):
        assert problems(max_units=1, queue={"type": "postgres", "table": bad})[0].startswith("queue.table: expected a ")
        assert problems(max_units=1, queue={"type": "postgres_pgmq", "queue_name": bad})[0].startswith(
            "queue.queue_name: expected a queue name "
        )


def test_a_budget_is_each_hosts_own_unless_it_says_otherwise() -> None:
    assert pool(max_units=1).budget == HostBudget()
    assert pool(max_units=1, budget={"scope": "host"}).budget == HostBudget()


@pytest.mark.parametrize(
    "queue",
    [
        {"type": "yaque", "path": "d"},
        {"type": "sqlite", "path": "d"},
        {"type": "postgres"},
        {"type": "postgres_pgmq", "queue_name": "q"},
    ],
)
def test_a_budget_may_be_shared(queue: dict[str, str]) -> None:
    budget = {"scope": "shared", "name": "gpu-box-7"}

    assert pool(max_units=1, queue=queue, budget=budget).budget == SharedBudget(name="gpu-box-7")


IN_MEMORY_IS_ALONE = (
    "budget: scope shared needs a queue that other processes can see (yaque, sqlite, postgres, postgres_pgmq), "
    "got in_memory: give the pool such a queue, or leave the budget out"
)


@pytest.mark.parametrize(
    ("budget", "queue", "problem"),
    [
        (
            {"scope": "shared"},
            {"type": "postgres"},
            "budget.name: expected the name by which the processes know the budget that they share: at most 100 "
            'letters, digits, "_", "-" and ".", the first a letter or digit, got nothing',
        ),
        (
            {"scope": "shared", "name": ""},
            {"type": "postgres"},
            "budget.name: expected the name by which the processes know the budget that they share: at most 100 "
            'letters, digits, "_", "-" and ".", the first a letter or digit, got ""',
        ),
        ({"scope": "host", "name": "x"}, {"type": "postgres"}, "budget.name: unknown key; allowed: scope"),
        ({}, {"type": "postgres"}, "budget.scope: expected one of host, shared, got nothing"),
        (
            "shared",
            {"type": "postgres"},
            'budget: expected a budget as an object, such as {"scope": "host"}, got "shared"',
        ),
        ({"scope": "shared", "name": "x"}, {"type": "in_memory"}, IN_MEMORY_IS_ALONE),
        ({"scope": "shared", "name": "x"}, None, IN_MEMORY_IS_ALONE),
    ],
)
def test_bad_budgets(budget: object, queue: dict[str, str] | None, problem: str) -> None:
    section = {} if queue is None else {"queue": queue}

    assert problems(max_units=1, budget=budget, **section) == [problem]
