"""``parking-lot check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers import cli
from parking_lot_drivers.cli.pools import duration
from parking_lot_drivers.config import load_settings, settings_from
from tests.cli.conftest import Run

GOOD = """\
pools:
  local_agent:
    max_units: 8
    queue: {type: yaque, path: data}
    executor: {type: process, target: "lot_jobs:run"}
  gpu:
    unit: MiB
    devices: {gpu0: 24GiB, gpu1: 1MiB}
    timeout: 15m
    backfill_window: infinity
    tenants: {acme: 2, "": 0.5}
    queue: {type: sqlite, path: /var/lib/lots}
    mailbox: {type: in_memory}
  commands:
    max_units: 1
    executor: {type: command, argv: [echo, "[red]{path}", "\\x1b[2J"]}
"""

TABLE = """\
lot.yaml
 ──────────────────────────────────────────────────────────────────────────────
  local_agent   budget     8 units
                queue      yaque data/local_agent.lot
                mailbox    yaque data/local_agent.lot
                executor   process lot_jobs:run
                policy     defaults
 ──────────────────────────────────────────────────────────────────────────────
  gpu           budget     24,576 MiB on gpu0, 1 MiB on gpu1
                queue      yaque /var/lib/lots/gpu.lot
                mailbox    in_memory
                executor   none: the application gives one
                policy     backfill_window infinity; timeout 15m; tenants acme
                           2, (none) 0.5
 ──────────────────────────────────────────────────────────────────────────────
  commands      budget     1 unit
                queue      in_memory
                mailbox    in_memory
                executor   command echo '[red]{path}' '\\x1b[2J'
                policy     defaults
 ──────────────────────────────────────────────────────────────────────────────
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "lot_jobs.py").write_text("print('imported')\ndef run(payload): return payload\n")
    file = tmp_path / "lot.yaml"
    file.write_text(GOOD)
    return file


def test_a_good_configuration_is_shown_as_a_table(config: Path, parking_lot: Run) -> None:
    done = parking_lot("check", config.name)

    assert done.returncode == 0
    assert [line.rstrip() for line in done.stdout.splitlines()] == TABLE.splitlines()
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert sorted(path.name for path in config.parent.iterdir() if path.suffix != "") == ["lot.yaml", "lot_jobs.py"]


def test_a_terminal_that_knows_ascii_only(config: Path, parking_lot: Run) -> None:
    done = parking_lot("check", config.name, PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert "| local_agent | budget   | 8 units" in done.stdout


def test_json_is_a_configuration_with_the_same_meaning(config: Path, parking_lot: Run) -> None:
    done = parking_lot("check", config.name, "--json")

    assert done.returncode == 0
    shown = json.loads(done.stdout)
    assert shown["config"] == "lot.yaml"
    assert settings_from({"pools": shown["pools"]}, base=config.parent) == load_settings(config)


def test_a_password_is_shown_nowhere(tmp_path: Path, parking_lot: Run) -> None:
    (tmp_path / "lot.json").write_text(
        '{"pools": {"p": {"max_units": 1, "queue": {"type": "postgres", "url": "postgresql://me:hunter2@h/d"}}}}'
    )

    for arguments in (["check", "lot.json"], ["check", "--json", "lot.json"]):
        done = parking_lot(*arguments)
        assert "hunter2" not in done.stdout + done.stderr


def test_every_problem_is_told(tmp_path: Path, parking_lot: Run) -> None:
    (tmp_path / "lot.json").write_text(
        '{"pools": {"local_agent": {"max_units": "8GB"}, "b": {"max_units": 0, "quue": {}}}}'
    )
    problems = [
        'pools.local_agent.max_units: expected an integer ≥ 1, got "8GB"; '
        'for sizes, give the pool a unit, such as "MiB"',
        "pools.b.quue: unknown key; did you mean queue?",
        "pools.b.max_units: expected an integer ≥ 1, got 0",
    ]

    plain = parking_lot("check", "lot.json")
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr.splitlines() == [*(f"error: {problem}" for problem in problems), "(in lot.json)"]

    as_json = parking_lot("check", "lot.json", "--json")
    assert (as_json.returncode, as_json.stderr) == (2, "")
    assert json.loads(as_json.stdout) == {"error": {"type": "ConfigError", "problems": problems}, "exit_code": 2}


def test_everything_that_cannot_run_here_is_told(tmp_path: Path, parking_lot: Run) -> None:
    (tmp_path / "lot.yaml").write_text(
        "pools:\n"
        "  a: {max_units: 1, executor: {type: process, target: 'lot_none:run'}}\n"
        "  b: {max_units: 1, queue: {type: postgres}, executor: {type: command, argv: [no-such-program]}}\n"
    )

    done = parking_lot("check", "lot.yaml")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: pools.a.executor: target lot_none:run: cannot import lot_none: "
        "ModuleNotFoundError: No module named 'lot_none'",
        'error: pools.b.queue.url: expected a database URL such as "postgresql://user@host/database", or the '
        "environment variable PARKING_LOT_DATABASE_URL, got neither",
        "error: pools.b.executor: argv[0]: no such command, or not executable: 'no-such-program'",
        "(in lot.yaml)",
    ]


@pytest.mark.parametrize(
    ("name", "contents", "problem"),
    [
        ("none.json", None, "none.json: no such file"),
        ("empty.json", b"", 'empty.json: the file is empty; it needs at least {"pools": {...}}'),
        ("l1.json", b"{\n\xe4", "l1.json: line 2, column 1: expected UTF-8, got the byte 0xe4; save it as UTF-8"),
        ("bad.json", b'{"a" 1}', "bad.json: line 1, column 6: broken JSON: Expecting ':' delimiter"),
        ("lot.toml", b"", "lot.toml: expected a file name that ends in .json, .yaml or .yml"),
    ],
)
def test_files_that_cannot_be_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    contents: bytes | None,
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if contents is not None:
        Path(name).write_bytes(contents)

    assert cli.main(["check", name]) == 2
    assert capsys.readouterr() == ("", f"error: {problem}\n")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0s"), (0.25, "250ms"), (1.5, "1500ms"), (90.0, "90s"), (900.0, "15m"), (7200.0, "2h"), (172_800.0, "2d")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
    assert PoolConfig(max_units=1, retry_backoff=seconds) == (
        settings_from({"pools": {"p": {"max_units": 1, "retry_backoff": shown}}}).pools["p"].policy
    )
