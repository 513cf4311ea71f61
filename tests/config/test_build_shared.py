"""From settings to stores that several processes share."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_drivers.build import build_client, build_mailbox, build_pool, build_queue
from parking_lot_drivers.config import DATABASE_URL, Settings, load_settings, settings_from
from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.shared_ports import SharedQueue
from parking_lot_drivers.stores.postgres import PostgresMailbox, PostgresQueue
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sqlite import SqliteMailbox
from tests.config.test_settings import DESIGN_EXAMPLE

EXPECTED = (
    'url: expected a database URL such as "postgresql://user@host/database", or the environment variable '
    "PARKING_LOT_DATABASE_URL, got neither"
)
SHARED = {"scope": "shared", "name": "box"}


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test see a database that whoever runs the tests has named."""
    monkeypatch.delenv(DATABASE_URL, raising=False)


def settings(base: Path, **section: Any) -> Settings:
    return settings_from({"pools": {"p": {"max_units": 4, **section}}}, base=base)


def fault(part: Any, settings: Settings, name: str = "p") -> str:
    with pytest.raises(ConfigError) as caught:
        part(settings, name)
    [problem] = caught.value.problems
    return problem


async def double(payload: int) -> int:
    return payload * 2


def test_a_url_that_nobody_gives(tmp_path: Path) -> None:
    beside = settings(tmp_path, queue={"type": "postgres"})
    assert fault(build_queue, beside) == f"pools.p.queue.{EXPECTED}"
    assert fault(build_mailbox, beside) == f"pools.p.queue.{EXPECTED}"
    named = settings(tmp_path, mailbox={"type": "postgres", "table": "t"})
    assert fault(build_mailbox, named) == f"pools.p.mailbox.{EXPECTED}"


def test_the_example_of_the_design_says_what_it_lacks(tmp_path: Path) -> None:
    pools = settings_from(json.loads(DESIGN_EXAMPLE), base=tmp_path)

    assert fault(lambda s, name: build_pool(s, name, executor=double), pools, "cloud_agent") == (
        f"pools.cloud_agent.queue.{EXPECTED}"
    )


@pytest.mark.parametrize("url", ["mysql://me:hunter2@h/d", "hunter2", "postgresql://me:hunter2@h:port/d"])
def test_a_bad_url_in_the_environment_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv(DATABASE_URL, url)
    problem = fault(build_queue, settings(tmp_path, queue={"type": "postgres"}))
    assert problem.startswith(f"environment variable {DATABASE_URL}: ")
    assert "hunter2" not in problem


def test_a_bad_url_in_the_file_has_its_path(tmp_path: Path) -> None:
    problem = fault(build_queue, settings(tmp_path, queue={"type": "postgres", "url": "postgresql://me:a@b@h/d"}))
    assert problem.startswith("pools.p.queue.url: the database URL cannot be read: expected postgresql://")


def test_a_url_of_the_file_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE_URL, "postgresql://of-the-environment/d")
    made = settings(tmp_path, queue={"type": "postgres", "url": "postgresql://of-the-file/d"})
    queue, mailbox = build_queue(made, "p"), build_mailbox(made, "p")
    assert isinstance(queue, PostgresQueue)
    assert isinstance(mailbox, PostgresMailbox)
    assert queue.url == mailbox.url == "postgresql://of-the-file/d"
    apart = settings(tmp_path, queue={"type": "postgres", "url": "postgresql://f/d"}, mailbox={"type": "postgres"})
    elsewhere = build_mailbox(apart, "p")
    assert isinstance(elsewhere, PostgresMailbox)
    assert elsewhere.url == "postgresql://of-the-environment/d"


def test_a_mailbox_has_the_time_to_live_of_its_settings(tmp_path: Path) -> None:
    for mailbox in (
        {"type": "yaque", "path": "d", "ttl": "1h"},
        {"type": "postgres", "url": "postgresql://h/d", "ttl": "1h"},
    ):
        assert build_mailbox(settings(tmp_path, mailbox=mailbox), "p").ttl == 3600.0
    assert build_mailbox(settings(tmp_path), "p").ttl is None
    assert build_mailbox(settings(tmp_path, queue={"type": "yaque", "path": "d"}), "p").ttl is None


def test_pools_that_share_a_budget_share_a_file(tmp_path: Path) -> None:
    lot = settings(tmp_path, budget=SHARED, queue={"type": "yaque", "path": "data"})
    queue, mailbox = build_queue(lot, "p"), build_mailbox(lot, "p")
    assert isinstance(queue, SharedSqliteQueue)
    assert isinstance(mailbox, SharedSqliteMailbox)
    assert queue.file == mailbox.file == tmp_path / "data" / "box.shared.lot"
    assert queue.adopt(mailbox)

    elsewhere = settings(
        tmp_path, budget=SHARED, queue={"type": "yaque", "path": "data"}, mailbox={"type": "yaque", "path": "other"}
    )
    mailbox = build_mailbox(elsewhere, "p")
    assert isinstance(mailbox, SqliteMailbox)
    assert mailbox.file == tmp_path / "other" / "p.lot"
    assert not queue.adopt(mailbox)


@pytest.mark.anyio
async def test_two_pools_of_one_budget_never_run_more_than_it_has(tmp_path: Path) -> None:
    budget = {"scope": "shared", "name": "box"}
    section = {"max_units": 3, "budget": budget, "queue": {"type": "yaque", "path": "data"}}
    made = settings_from({"pools": {"a": section, "b": section}}, base=tmp_path)
    running = most = 0

    async def work(payload: int) -> int:
        nonlocal running, most
        running += payload
        most = max(most, running)
        await anyio.sleep(0.01)
        running -= payload
        return payload

    async with build_pool(made, "a", executor=work) as a, build_pool(made, "b", executor=work) as b:
        tasks = [await pool.submit(units, units=units) for _ in range(4) for pool in (a, b) for units in (1, 2)]
        assert sorted([await task.result() for task in tasks]) == [1] * 8 + [2] * 8
    assert 2 <= most <= 3


@pytest.mark.anyio
async def test_the_pools_of_the_example_of_the_design_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv(DATABASE_URL, database_url)
    file = tmp_path / "lot.json"
    file.write_text(DESIGN_EXAMPLE, encoding="utf-8")
    for name in load_settings(file).pools:
        async with build_pool(file, name, executor=double) as pool:
            tasks = [await pool.submit(number, units=number + 1) for number in range(8)]
            assert [await task.result() for task in tasks] == [2 * number for number in range(8)]
    async with build_client(file, "cloud_agent") as client:
        assert len(await client.fetch()) == 8


@pytest.mark.anyio
async def test_a_pool_in_postgres_is_as_its_file_says(tmp_path: Path, database_url: str) -> None:
    made = settings(
        tmp_path,
        budget=SHARED,
        queue={"type": "postgres", "url": database_url, "table": "jobs", "audit": False, "archive": True},
        mailbox={"type": "postgres", "url": database_url, "table": "answers"},
    )
    async with build_pool(made, "p", executor=double) as pool:
        assert await (await pool.submit(4, units=4)).result() == 8
    queue = build_queue(made, "p")
    assert isinstance(queue, SharedQueue)
    await queue.open(schedule=False)
    try:
        assert dict(await queue.prune(older_than=0)) == {"archived tasks": 1, "audit records": 0}
    finally:
        await queue.aclose()
    async with build_client(made, "p") as client:
        assert [result.value for result in await client.fetch()] == [8]


@pytest.mark.parametrize("queue", [{"type": "postgres"}, {"type": "postgres_pgmq", "queue_name": "q"}])
def test_without_psycopg_the_error_names_the_extra(queue: dict[str, str]) -> None:
    script = f"""
import sys
sys.modules["psycopg"] = None
from parking_lot_drivers.build import build_queue
from parking_lot_drivers.config import settings_from
from parking_lot_drivers.errors import MissingExtra
queue = {queue | {"url": "postgresql://h/d"}}
try:
    build_queue(settings_from({{"pools": {{"p": {{"max_units": 1, "queue": queue}}}}}}), "p")
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "needs the package psycopg, which is not installed" in done.stdout, done.stderr
    assert "pip install 'prometheus-parking-lot[postgres]'" in done.stdout
