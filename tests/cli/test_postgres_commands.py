"""The commands on a lot in Postgres, in processes of their own, on a real server."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.lots import LotFolder, MakeLot, ended, until
from tests.postgres.server import OwnServer, Server

MakePostgresLot = Callable[..., LotFolder]


@pytest.fixture(params=["postgres", "postgres_pgmq"])
def queue(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A queue of either kind, in the database that the environment names."""
    named = {"queue_name": "jobs"} if request.param == "postgres_pgmq" else {"table": "jobs"}
    return {"type": request.param, **named}


@pytest.fixture
def lot(
    make_lot: MakeLot, queue: dict[str, Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LotFolder]:
    """A lot in Postgres, of an empty database."""
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", database_url)
    made = make_lot(executor="process", queue=queue)
    yield made
    made.close()  # before the database is dropped


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def hosts(lot: LotFolder) -> int:
    done = lot.run_here("top", "lot.json", "--json")
    return len(json.loads(done.stdout).get("hosts", []))


def test_from_migration_to_outcomes_with_two_hosts(lot: LotFolder) -> None:
    made = lot.run("migrate", "lot.json")
    assert made.returncode == 0, made.stderr
    assert "made or upgraded shared, results parking_lot_results, " in made.stdout
    again = lot.run_here("migrate", "lot.json")
    assert again.stdout.endswith(": all tables are current\n")
    workers = [lot.start("work", "lot.json", "--plain") for _ in range(2)]
    until(lambda: hosts(lot) == 2)
    picture = lot.run_here("top", "lot.json", "--once").stdout
    assert picture.count(", lease renewed ") == 2
    assert "0 of 8 units, 2 hosts" in picture
    ids = []
    for number in range(12):
        done = lot.run_here("submit", "lot.json", json.dumps({"n": number, "s": 0.2}), "--units", "3", "--json")
        ids.append(told(done)["id"])
    for number, task_id in enumerate(ids):
        assert told(lot.run_here("fetch", "lot.json", task_id, "--wait", "60")) == {"n": number}
    assert len({parent for _, _, parent, _ in lot.logged("start")}) == 2, "both hosts ran some"
    known = {host["id"]: host["pid"] for host in told(lot.run_here("top", "lot.json", "--json"))["hosts"]}
    assert set(known.values()) == {worker.pid for worker in workers}
    trail = [json.loads(line) for line in lot.run_here("audit", "lot.json", "--json").stdout.splitlines()]
    assert {move["host"] for move in trail if move["move"] == "Start"} == set(known)
    assert all(host_id in picture for host_id in known)
    assert lot.most_units_at_a_time() <= 4
    assert "succeeded" in lot.run_here("status", "lot.json", ids[0]).stdout
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [ended(worker).returncode for worker in workers] == [0, 0]
    assert told(lot.run_here("status", "lot.json", "--json"))["ended"] == 12


def test_a_task_waits_for_a_host_and_can_be_cancelled(lot: LotFolder) -> None:
    done = lot.run_here("submit", "lot.json", '{"n": 1}', "--id", "one", "--tenant", "acme")
    assert (done.returncode, done.stdout) == (0, "one\n")
    assert "no process serves this lot now" in done.stderr
    assert lot.run_here("submit", "lot.json", '{"n": 2}', "--id", "two").returncode == 0
    assert lot.run_here("cancel", "lot.json", "two").returncode == 0
    worked = lot.run("work", "lot.json", "--until-empty", "--json")
    assert json.loads(worked.stdout)["left"] == 0
    assert told(lot.run_here("fetch", "lot.json", "one")) == {"n": 1}
    assert lot.run_here("fetch", "lot.json", "two").returncode == 1
    assert [o["id"] for o in told(lot.run_here("fetch", "lot.json", "--tenant", "acme", "--json"))["outcomes"]] == [
        "one"
    ]


def test_a_batch(lot: LotFolder) -> None:
    lot.write_jobs({"payload": {"n": number}} for number in range(20))
    done = lot.batch("--plain")
    assert done.returncode == 0, done.stderr
    assert sorted(result["result"]["n"] for result in lot.results()) == list(range(20))


def test_the_audit_trail(lot: LotFolder) -> None:
    for name, tenant in (("a", "acme"), ("b", "bert")):
        lot.run_here("submit", "lot.json", '{"n": 1}', "--id", name, "--tenant", tenant)
    assert lot.run("work", "lot.json", "--until-empty").returncode == 0
    lines = lot.run_here("audit", "lot.json", "--task", "a", "--json").stdout.splitlines()
    moves = [json.loads(line) for line in lines]
    assert [move["move"] for move in moves] == ["Enqueue", "Start", "Deliver"]
    assert [(m["pool"], m["task_id"], m["tenant"], m["units"]) for m in moves] == [("p", "a", "acme", 1)] * 3
    assert [move["at"] for move in moves] == sorted(move["at"] for move in moves)
    assert moves[2]["detail"] == "succeeded"
    host = moves[1]["host"]
    assert host

    def found(*options: str) -> list[tuple[str, str]]:
        done = lot.run_here("audit", "lot.json", "--json", *options)
        records = [json.loads(line) for line in done.stdout.splitlines()]
        return [(record["task_id"], record["move"]) for record in records]

    assert len(found()) == 6
    assert len(found("--tenant", "bert")) == 3
    assert {task for task, _ in found("--host", host)} == {"a", "b"}
    assert {move for _, move in found("--epoch", "1")} == {"Start", "Deliver"}
    assert len(found("--since", "1h")) == 6
    assert found("--until", "1h") == []
    assert found("--since", str(moves[2]["at"] + 1e6)) == []
    assert found("--limit", "2") == found()[-2:]
    table = lot.run_here("audit", "lot.json", "--task", "a").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["time", *[line.split()[0] for line in table[1:]]]
    assert [line.split()[3] for line in table[1:]] == ["Enqueue", "Start", "Deliver"]
    nothing = lot.run_here("audit", "lot.json", "--task", "nobody")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "note: no records\n")
    bad = lot.run_here("audit", "lot.json", "--since", "yesterday")
    assert bad.returncode == 2
    assert "expected how long ago, such as 90s, 1h, 7d" in bad.stderr


def test_pruning(make_lot: MakeLot, queue: dict[str, Any], database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", database_url)
    lot = make_lot(queue={**queue, "archive": True})
    for name in ("a", "b"):
        lot.run_here("submit", "lot.json", '{"n": 1}', "--id", name)
    assert lot.run("work", "lot.json", "--until-empty").returncode == 0
    lot.run_here("submit", "lot.json", '{"n": 1}', "--id", "later", "--delay", "1h")
    young = lot.run_here("prune", "lot.json", "--older-than", "1h")
    assert (young.returncode, young.stdout) == (0, "pool p: 0 outcomes, 0 archived tasks, 0 audit records\n")
    old = told(lot.run_here("prune", "lot.json", "--older-than", "0", "--json"))["pools"]["p"]
    assert (old["outcomes"], old["archived tasks"]) == (2, 2)
    assert old["audit records"] >= 6
    assert lot.run_here("fetch", "lot.json", "a").returncode == 2
    assert told(lot.run_here("status", "lot.json", "later", "--json"))["id"] == "later"
    assert lot.run_here("audit", "lot.json", "--json").stdout == ""
    lot.close()


def test_the_audit_trail_can_be_switched_off(
    make_lot: MakeLot, queue: dict[str, Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", database_url)
    lot = make_lot(queue={**queue, "audit": False})
    lot.run_here("submit", "lot.json", '{"n": 1}')
    assert lot.run("work", "lot.json", "--until-empty").returncode == 0
    done = lot.run_here("audit", "lot.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("note: the audit trail of this pool is switched off now")
    lot.close()


def test_the_sql_needs_no_server_and_makes_the_same_tables(
    lot: LotFolder, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PARKING_LOT_DATABASE_URL")
    printed = lot.run("migrate", "lot.json", "--sql")
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout.startswith("-- For the database that PARKING_LOT_DATABASE_URL names\nBEGIN;\n")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(printed.stdout.encode())
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", database_url)
    assert lot.run_here("migrate", "lot.json").stdout.endswith(": all tables are current\n")
    lot.run_here("submit", "lot.json", '{"n": 1}', "--id", "a")
    assert lot.run("work", "lot.json", "--until-empty").returncode == 0


def test_several_migrate_at_once(lot: LotFolder) -> None:
    running = [lot.start("migrate", "lot.json", "--json") for _ in range(4)]
    changed = [told(ended(process))["databases"][0]["changed"] for process in running]
    assert sorted(map(bool, changed)) == [False, False, False, True]


def test_a_newer_schema_is_refused_everywhere(lot: LotFolder, postgres_server: Server, database_url: str) -> None:
    assert lot.run_here("migrate", "lot.json").returncode == 0
    postgres_server.execute("UPDATE parking_lot_schema SET version = 99", database_url)
    for arguments in (["migrate"], ["submit", "1"], ["status"], ["work"], ["audit"], ["prune", "--older-than", "1d"]):
        command, *rest = arguments
        done = lot.run_here(command, "lot.json", *rest)
        assert (done.returncode, done.stdout) == (3, ""), command
        assert "were made by a newer version of this library" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.fixture
def own_server(postgres_server: Server) -> OwnServer:
    """The server of the tests, where its passwords are known."""
    if not isinstance(postgres_server, OwnServer):
        pytest.skip("needs a server whose users the test may make")
    return postgres_server


COMMANDS = (
    ["migrate"],
    ["work"],
    ["batch", "-i", "jobs.jsonl", "-o", "results.jsonl"],
    ["submit", "1"],
    ["status"],
    ["fetch"],
    ["cancel", "x"],
    ["top", "--once"],
    ["audit"],
    ["prune", "--older-than", "1d"],
)


def failures(lot: LotFolder) -> Iterator[str]:
    """What each command says on a database that it cannot use: one line, and exit code 3."""
    lot.write_jobs([{"payload": 1}])
    for command, *rest in COMMANDS:
        done = lot.run_here(command, "lot.json", *rest)
        assert done.returncode == 3, (command, done.stderr)
        assert done.stdout == ""
        (line,) = [line for line in done.stderr.splitlines() if not line.startswith(("note: ", "("))]
        assert line.startswith("error: database ")
        yield line


def test_a_server_that_is_down(lot: LotFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/d")
    for line in failures(lot):
        assert "the server cannot be reached: see that it runs" in line
        assert "hunter2" not in line


def test_a_wrong_password(lot: LotFolder, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", own_server.tcp_url(password="hunter2"))
    for line in failures(lot):
        assert "the server refuses this user or password" in line
        assert "hunter2" not in line


def test_missing_rights(
    lot: LotFolder, own_server: OwnServer, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = database_url.partition("?")[0].rpartition("/")[2]
    own_server.execute("DROP ROLE IF EXISTS reader")
    own_server.execute("CREATE ROLE reader LOGIN PASSWORD 'hunter2'")
    try:
        monkeypatch.setenv("PARKING_LOT_DATABASE_URL", own_server.tcp_url("reader", "hunter2", database))
        for line in failures(lot):
            assert "this user lacks a right" in line
            assert "hunter2" not in line
    finally:
        own_server.execute("DROP ROLE reader")


def test_a_server_that_comes_up_late_is_waited_for(
    make_lot: MakeLot, queue: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.postgres import server

    running = server.start(fsync=False)
    try:
        monkeypatch.setenv("PARKING_LOT_DATABASE_URL", running.url)
        lot = make_lot(queue={**queue, "wait_for_server": "2m"})
        running.end()
        worker = lot.start("submit", "lot.json", '{"n": 1}', "--id", "a")
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1.0)
        running.launch()
        assert ended(worker).returncode == 0
        lot.close()
    finally:
        running.stop()


def test_check_says_where_pools_lie_and_no_password(lot: LotFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", "postgresql://me:hunter2@db.example.org/app")
    done = lot.run_here("check", "lot.json")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.split())
    kind = "postgres_pgmq jobs" if "postgres_pgmq" in words else "postgres jobs"
    assert f'queue {kind} in database "app" on db.example.org:5432 as user "me"' in words
    assert 'mailbox postgres parking_lot_results in database "app" on db.example.org:5432 as user "me"' in words
    assert "hunter2" not in done.stdout + done.stderr
    as_json = lot.run_here("check", "lot.json", "--json")
    assert "hunter2" not in as_json.stdout


def test_where_there_is_nothing_to_do(make_lot: MakeLot) -> None:
    lot = make_lot()
    done = lot.run_here("migrate", "lot.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "note: no pool keeps anything in Postgres: there is nothing to migrate\n"
    done = lot.run_here("audit", "lot.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pools.p.queue: yaque keeps no audit trail; postgres, " in done.stderr
    assert lot.run_here("prune", "lot.json", "--older-than", "1d").stdout == "pool p: nothing to prune\n"
    assert not (lot.folder / "data").exists()


def test_a_lot_file_is_pruned(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.run_here("submit", "lot.json", '{"n": 1}', "--id", "a")
    assert lot.run("work", "lot.json", "--until-empty").returncode == 0
    assert lot.run_here("prune", "lot.json", "--older-than", "1h").stdout == "pool p: 0 outcomes\n"
    assert lot.run_here("prune", "lot.json", "--older-than", "0").stdout == "pool p: 1 outcome\n"
    assert lot.run_here("fetch", "lot.json", "a").returncode == 2


def test_processes_that_share_a_budget_in_a_file(make_lot: MakeLot) -> None:
    lot = make_lot(executor="process", budget={"scope": "shared", "name": "box"})
    workers = [lot.start("work", "lot.json", "--plain") for _ in range(2)]
    until(lambda: (lot.folder / "data" / "box.shared.lot").exists() and hosts(lot) == 2)
    picture = lot.run_here("top", "lot.json", "--once").stdout
    assert "0 of 4 units" in picture
    assert "2 hosts" not in picture
    for number in range(8):
        assert (
            lot.run_here(
                "submit", "lot.json", json.dumps({"n": number, "s": 0.1, "units": 3}), "--units", "3"
            ).returncode
            == 0
        )
    until(lambda: told(lot.run_here("status", "lot.json", "--json"))["ended"] == 8, timeout=60)
    running = most = 0
    for line in lot.log.read_text().splitlines():
        running += 1 if line.startswith("start ") else -1
        most = max(most, running)
    assert most == 1, "over both processes, since two do not fit"
    assert len(lot.run_here("audit", "lot.json", "--json").stdout.splitlines()) == 24
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [ended(worker).returncode for worker in workers] == [0, 0]
