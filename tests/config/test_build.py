"""From settings to parts that work."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers.build import build_executor, build_mailbox, build_pool, build_queue, try_executor
from parking_lot_drivers.config import Settings, load_settings, settings_from
from parking_lot_drivers.errors import ConfigError, MissingExtra
from parking_lot_drivers.executors import CommandExecutor, CoroutineExecutor, ProcessExecutor, ThreadExecutor
from parking_lot_drivers.ports import TaskExecutor
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue

JOBS = """\
async def add(payload):
    return payload["a"] + payload["b"]

def double(payload):
    return payload * 2

def each(payload):
    yield payload

LIMIT = 3
"""


@pytest.fixture(autouse=True)
def own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test's targets be found by the next."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("lot_jobs", "lot_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def settings(base: Path, **section: Any) -> Settings:
    (base / "lot_jobs.py").write_text(JOBS)
    (base / "lot_broken.py").write_text("import lot_missing\n")
    return settings_from({"pools": {"p": {"max_units": 4, **section}}}, base=base)


def fault(part: Any, settings: Settings) -> str:
    with pytest.raises(ConfigError) as caught:
        part(settings, "p")
    [problem] = caught.value.problems
    return problem


@pytest.mark.anyio
async def test_a_pool_runs_tasks_as_its_file_says(tmp_path: Path) -> None:
    (tmp_path / "lot_jobs.py").write_text(JOBS)
    file = tmp_path / "lot.json"
    file.write_text(
        '{"pools": {"p": {"max_units": 4, "queue": {"type": "yaque", "path": "data"},'
        ' "executor": {"type": "coroutine", "target": "lot_jobs:add"}}}}'
    )

    async with build_pool(file, "p") as pool:
        assert pool.config == PoolConfig(max_units=4)
        handle = await pool.submit({"a": 1, "b": 2}, units=3)
        assert await handle.result() == 3

    assert (tmp_path / "data" / "p.lot").is_file()


@pytest.mark.anyio
async def test_an_application_may_give_the_executor(tmp_path: Path) -> None:
    async def negate(payload: int) -> int:
        return -payload

    async with build_pool(settings(tmp_path), "p", executor=CoroutineExecutor(negate)) as pool:
        handle = await pool.submit(3, units=1)
        assert await handle.result() == -3


def test_without_any_executor_there_is_no_pool(tmp_path: Path) -> None:
    assert fault(build_pool, settings(tmp_path)) == (
        "pools.p.executor: expected an executor, here or from the application, got nothing"
    )


def test_an_unknown_pool(tmp_path: Path) -> None:
    pools = settings_from({"pools": {"gpu": {"max_units": 1}, "cpu": {"max_units": 1}}})

    with pytest.raises(ConfigError, match=r'^pools: no pool is named "gp"; did you mean gpu\?$'):
        build_pool(pools, "gp")
    with pytest.raises(ConfigError, match=r'^pools: no pool is named "local"; there are gpu, cpu$'):
        build_queue(pools, "local")


def test_stores(tmp_path: Path) -> None:
    memory = settings(tmp_path)
    assert isinstance(build_queue(memory, "p"), MemoryQueue)
    assert isinstance(build_mailbox(memory, "p"), MemoryMailbox)

    lot = settings(tmp_path, queue={"type": "yaque", "path": "a"}, mailbox={"type": "sqlite", "path": "b"})
    queue, mailbox = build_queue(lot, "p"), build_mailbox(lot, "p")
    assert isinstance(queue, SqliteQueue)
    assert queue.file == tmp_path / "a" / "p.lot"
    assert isinstance(mailbox, SqliteMailbox)
    assert mailbox.file == tmp_path / "b" / "p.lot"
    assert not (tmp_path / "a").exists(), "building opens nothing"


@pytest.mark.parametrize(
    ("executor", "cls"),
    [
        ({"type": "coroutine", "target": "lot_jobs:add"}, CoroutineExecutor),
        ({"type": "thread", "target": "lot_jobs:double", "max_threads": 2}, ThreadExecutor),
        (
            {
                "type": "process",
                "target": "lot_jobs:double",
                "max_tasks_per_worker": 5,
                "idle_workers_max": 0,
                "env": {"A": "1"},
            },
            ProcessExecutor,
        ),
        ({"type": "command", "argv": ["echo", "{a}"], "env": {"A": "1"}, "output_max_bytes": 9}, CommandExecutor),
    ],
)
def test_executors(tmp_path: Path, executor: dict[str, Any], cls: type[TaskExecutor]) -> None:
    made = settings(tmp_path, executor=executor)

    assert type(build_executor(made, "p")) is cls
    try_executor(made, "p")


@pytest.mark.parametrize(
    ("executor", "problem"),
    [
        (
            {"type": "thread", "target": "lot_none:f"},
            "target lot_none:f: cannot import lot_none: ModuleNotFoundError: No module named 'lot_none'",
        ),
        (
            {"type": "thread", "target": "lot_broken:f"},
            "target lot_broken:f: cannot import lot_broken: ModuleNotFoundError: No module named 'lot_missing'",
        ),
        (
            {"type": "process", "target": "lot_jobs:doubel"},
            "target lot_jobs:doubel: lot_jobs has no 'doubel'; did you mean double?",
        ),
        (
            {"type": "thread", "target": "lot_jobs:LIMIT"},
            "target lot_jobs:LIMIT: expected a function of one payload, got int",
        ),
        (
            {"type": "coroutine", "target": "lot_jobs:double"},
            "target lot_jobs:double: expected an async function; for a plain one, use type thread or process",
        ),
        (
            {"type": "thread", "target": "lot_jobs:add"},
            "target lot_jobs:add: expected a plain function; for an async one, use type coroutine",
        ),
        (
            {"type": "command", "argv": ["no-such-program"]},
            "argv[0]: no such command, or not executable: 'no-such-program'",
        ),
        ({"type": "command", "argv": ["ls"], "cwd": "/no/such"}, "cwd: expected an existing folder, got '/no/such'"),
    ],
)
def test_executors_that_cannot_be_used(tmp_path: Path, executor: dict[str, Any], problem: str) -> None:
    assert fault(try_executor, settings(tmp_path, executor=executor)) == f"pools.p.executor: {problem}"


def test_a_pool_in_memory_needs_neither_a_database_package_nor_yaml(tmp_path: Path) -> None:
    script = """\
import sys
for package in ("sqlalchemy", "yaml", "typer", "rich", "trio"):
    sys.modules[package] = None
from parking_lot_drivers.build import build_pool
from parking_lot_drivers.config import settings_from
settings = settings_from({"pools": {"p": {"max_units": 1, "executor": {"type": "command", "argv": ["true"]}}}})

async def show():
    async with build_pool(settings, "p") as pool:
        print(pool.name)

import anyio
anyio.run(show)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("p\n", "")


def test_a_pool_without_anyio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_anyio(name: str, *rest: Any) -> Any:
        if name in ("anyio", "parking_lot_drivers.pool"):
            raise ModuleNotFoundError("No module named 'anyio'", name="anyio")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_anyio)

    with pytest.raises(MissingExtra, match=r"a pool needs the package anyio.*prometheus-parking-lot\[local\]"):
        build_pool(settings(tmp_path), "p")


@pytest.mark.anyio
async def test_load_and_build_from_a_path_that_is_text(tmp_path: Path) -> None:
    file = tmp_path / "lot.json"
    file.write_text('{"pools": {"p": {"max_units": 4, "executor": {"type": "command", "argv": ["true"]}}}}')

    assert build_pool(str(file), "p").config == load_settings(file).pools["p"].policy
