"""What the documents show is run, and what they draw is what the code has."""

from __future__ import annotations

import re
import subprocess
import sys
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
