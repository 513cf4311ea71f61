"""What all commands have in common: help, version, usage errors, exit codes."""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from parking_lot_core import OutcomeStatus
from parking_lot_drivers import cli, errors
from parking_lot_drivers.cli import app
from parking_lot_drivers.cli.app import COMMANDS
from parking_lot_drivers.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from tests.cli.conftest import REPOSITORY, Run


def test_help_tells_commands_and_exit_codes(parking_lot: Run) -> None:
    done = parking_lot("--help")

    assert (done.returncode, done.stderr) == (0, "")
    for name, summary in COMMANDS.items():
        assert f"  {name:<{max(map(len, COMMANDS))}}  {summary}\n" in done.stdout  # none is cut short
    for code, meaning in MEANINGS.items():
        assert f"    {code.value:<4} {meaning}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_within_80_columns(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0

    told = capsys.readouterr().out
    assert told.startswith(f"Usage: parking-lot {command} ")
    assert max(map(len, told.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_documented_function_of_its_module(command: str) -> None:
    assert getattr(importlib.import_module(f"parking_lot_drivers.cli.{command}"), command).__doc__


def test_version(parking_lot: Run) -> None:
    done = parking_lot("--version")

    assert done.returncode == 0
    assert done.stdout.startswith("parking-lot")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command."),
        (["chekc"], "No such command 'chekc'."),
        (["check"], "Missing argument 'CONFIG'."),
        (["check", "--jsn", "x.json"], "No such option: --jsn"),
    ],
)
def test_usage_errors_are_plain_lines(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == ExitCode.BAD_USAGE

    told = capsys.readouterr()
    assert told.out == ""
    first, *rest = told.err.splitlines()
    assert first.startswith(f"error: {message}")
    assert rest[-1].startswith("For help: parking-lot ")


def test_usage_errors_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--json"]) == ExitCode.BAD_USAGE

    told = capsys.readouterr()
    assert told.err == ""
    assert json.loads(told.out) == {
        "error": {"type": "UsageError", "problems": ["Missing argument 'CONFIG'."]},
        "exit_code": 2,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.MissingExtra("x", "y", "z"), 2),
        (errors.UnknownTask("x"), 2),
        (errors.QueueFull(1, 1), 2),
        (errors.TaskFailed("x", OutcomeStatus.FAILED, None), 1),
        (errors.StoreUnavailable("x"), 3),
        (errors.StoreInUse("x"), 3),
        (errors.NotALot("x"), 3),
    ],
)
def test_each_error_has_its_exit_code(
    error: errors.ParkingLotError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: list[str]) -> None:
        raise error

    monkeypatch.setattr(app, "_app", fail)

    assert exit_code_of(error) == code
    assert cli.main([]) == code
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_bug_shows_where_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "_app", fail)

    assert cli.main([]) == ExitCode.BUG
    assert "test_app.py" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "parking_lot_drivers", "schema"],
            cwd=REPOSITORY,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (2, "error: [Errno 28] No space left on device\n")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "lot_slow.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\n")
    config = tmp_path / "lot.json"
    config.write_text('{"pools": {"p": {"max_units": 1, "executor": {"type": "thread", "target": "lot_slow:f"}}}}')
    process = subprocess.Popen(
        [sys.executable, "-m", "parking_lot_drivers", "check", config.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background has SIGINT ignored, and children inherit that.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)

    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=30)

    assert (process.returncode, *told) == (130, "", "interrupted\n")


def test_without_the_cli_extra() -> None:
    script = """\
import sys
sys.modules["typer"] = None
from parking_lot_drivers.cli import main
sys.exit(main(["check", "x.json"]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "error: the command line needs the package typer, which is not installed: "
        "pip install 'prometheus-parking-lot[cli]'\n",
    )
