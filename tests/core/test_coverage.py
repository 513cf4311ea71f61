"""Every line and every branch of the core is taken by tests that are the same every time: examples, traces, vectors,
fixed worlds. Random worlds only come on top."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("coverage")
ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "emscripten", reason="a browser starts no processes"),
]

FILES = (
    "test_values",
    "test_config",
    "test_lifecycle",
    "test_scheduler",
    "test_dispatch",
    "test_dispatch_devices",
    "test_windows",
    "test_restore",
    "test_fair_share",
    "test_ranking",
    "test_devices",
    "test_books",
    "test_timers",
    "test_cost",
    "test_tree",
    "test_line",
    "test_traces",
    "test_vectors",
    "test_corners",
    "test_explain",
)


def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coverage", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_branch_coverage_of_the_core_is_complete(tmp_path: Path) -> None:
    data = f"--data-file={tmp_path / 'coverage'}"
    files = [f"tests/core/{name}.py" for name in FILES]
    pytest_ = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "not broken and not the_model and not generator and not the_line_answers",
    ]
    ran = coverage("run", "--branch", "--source=parking_lot_core", data, *pytest_, *files)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    report = coverage("report", data, "--omit=*/parking_lot_core/testing/*", "--show-missing", "--fail-under=100")
    assert report.returncode == 0, report.stdout
