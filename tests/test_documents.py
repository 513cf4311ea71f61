"""What the documents show is run, and what they draw is what the code has."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from parking_lot_core.lifecycle import diagram

ROOT = Path(__file__).parent.parent


def blocks(document: str, language: str) -> list[str]:
    """The fenced code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), flags=re.M | re.S)


def run(code: str, folder: Path) -> str:
    """Run a code block as a program of its own, as a reader would."""
    script = folder / "block.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_driver_in_the_core_readme_runs(tmp_path: Path) -> None:
    (code,) = blocks("parking_lot_core/README.md", "python")
    lines = run(code, tmp_path).splitlines()
    assert lines[0] == "huge: too_large"
    assert lines[1] == "summary is next on device 0, which is 2 units short."
    assert sorted(lines[2:]) == [
        "chat succeeded hello",
        "hung timed_out None",
        "index succeeded indexed",
        "summary succeeded summed up",
    ]


def test_the_diagram_in_the_core_readme_is_the_table() -> None:
    (drawn,) = blocks("parking_lot_core/README.md", "mermaid")
    assert drawn.strip() == diagram()


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_the_examples_in_the_readme_run(number: int, tmp_path: Path) -> None:
    run(blocks("README.md", "python")[number], tmp_path)


def command(name: str) -> list[str]:
    """The steps of one of the README's two commands, which are one line each."""
    text = (ROOT / "README.md").read_text()
    (line,) = re.findall(rf"^<!-- command: {name} -->\n```sh\n(.*)\n```$", text, flags=re.M)
    return str(line).split(" && ")


def test_both_commands_need_nothing_but_python() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("main", "tests"):
        environment, install, run_it = command(name)
        assert environment == "python3 -m venv .venv"
        (extra,) = re.fullmatch(r"\.venv/bin/pip install -q -e '\.\[(\w+)\]'", install).groups()  # type: ignore[union-attr]
        assert extra in extras
        assert run_it.startswith(".venv/bin/python -m ")


def test_the_main_command_runs(tmp_path: Path) -> None:
    own = tmp_path / "lot.json"
    own.write_text((ROOT / "examples/identify/lot.json").read_text())
    (tmp_path / "task.py").write_text((ROOT / "examples/identify/task.py").read_text())
    run_it = command("main")[-1].split()
    assert run_it[0] == ".venv/bin/python"
    done = subprocess.run(
        [sys.executable, *run_it[1:], "--limit", "20", "--config", own],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "20 files identified" in done.stdout
    (results,) = tmp_path.glob("data/*/results.jsonl")
    assert len(results.read_text().splitlines()) == 20
