"""The identify example as a user runs it: one command, killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from itertools import accumulate
from pathlib import Path

import matplotlib
import pytest

from examples.identify.task import identify

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "identify"
FILES = 240


@pytest.fixture
def lot(tmp_path: Path) -> Path:
    """A copy of the example's configuration, so that lot and results lie in a folder of the test's own."""
    place = tmp_path / "example"
    place.mkdir()
    for name in ("lot.json", "task.py"):
        shutil.copy(EXAMPLE / name, place / name)
    return place / "lot.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Real files of many types: fonts, images, text, bytecode."""
    data = Path(matplotlib.get_data_path()).parent
    root = tmp_path / "files"
    root.mkdir()
    found = sorted(path for path in data.rglob("*") if path.is_file())
    for path in found[:: len(found) // FILES][:FILES]:
        shutil.copy(path, root / "-".join(path.relative_to(data).parts))
    return root


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "examples.identify", *arguments]
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def results_of(lot: Path) -> list[dict[str, object]]:
    (file,) = (lot.parent / "data").glob("*/results.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_killed_twice_and_run_again_every_file_has_one_result(lot: Path, folder: Path) -> None:
    for attempt in range(2):
        process = start(str(folder), "--config", str(lot))
        lot_file = lot.parent / "data" / "identify.lot"
        deadline = time.monotonic() + 60
        while not lot_file.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert attempt or process.returncode == -signal.SIGKILL, "the first run ended before it was killed"
    out, err = (last := start(str(folder), "--config", str(lot))).communicate(timeout=300)
    assert last.returncode == 0, err
    results = results_of(lot)
    files = sorted(str(path) for path in folder.iterdir())
    assert len(files) == FILES
    assert sorted(result["result"]["path"] for result in results) == files  # type: ignore[index]
    assert len({result["id"] for result in results}) == FILES
    for result in results[::10]:
        found = result["result"]
        assert found == identify({"path": found["path"]})  # type: ignore[index]
    check_budget(lot, results)
    labels = Counter(result["result"]["label"] for result in results)  # type: ignore[index]
    assert f"{FILES} files identified" in out
    for label, count in labels.items():
        assert any(label in line.split() and str(count) in line.split() for line in _plain(out)), label


def check_budget(lot: Path, results: list[dict[str, object]]) -> None:
    """At no moment did the runs that gave these results hold more than the pool has."""
    (file,) = (lot.parent / "data").glob("*/jobs.jsonl")
    jobs = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    units = {job["id"]: job["units"] for job in jobs}
    changes: dict[float, int] = defaultdict(int)
    for result in results:
        changes[float(str(result["started_at"]))] += units[result["id"]]
        changes[float(str(result["finished_at"]))] -= units[result["id"]]
    levels = list(accumulate(changes[moment] for moment in sorted(changes)))
    assert max(units.values()) == max(levels) == 8
    assert levels[-1] == 0


def _plain(out: str) -> list[str]:
    return out.replace("│", " ").splitlines()


def test_a_folder_that_is_none_is_refused(lot: Path, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", lot):
        process = start(str(folder), "--config", str(lot))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert f"error: {folder}: expected a folder" in err
    assert not (lot.parent / "data").exists()


def test_a_folder_without_files_is_refused(lot: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    process = start(str(tmp_path / "empty"), "--config", str(lot))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no files in it" in err


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_a_bad_limit_is_refused(lot: Path, folder: Path, limit: str) -> None:
    process = start(str(folder), "--config", str(lot), f"--limit={limit}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"expected an integer ≥ 1, got '{limit}'" in err


def test_a_config_without_the_pool_is_refused(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "other.json"
    config.write_text('{"pools": {"other": {"max_units": 1}}}')
    process = start(str(folder), "--config", str(config))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "identify" in err
    assert not (tmp_path / "data").exists()
