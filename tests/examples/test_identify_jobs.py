"""The identify example's job list and summary."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from examples.identify.jobs import BYTES_PER_UNIT, Job, walk, write_jobs
from examples.identify.summary import read_results, show, summarise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty files in five folders, and a link to one of them."""
    root = tmp_path / "files"
    for number in range(30):
        file = root / f"d{number % 5}" / f"f{number:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * number * 1000)
    (root / "link").symlink_to(root / "d0" / "f00.txt")
    (root / "loop").symlink_to(root)
    return root


def test_every_regular_file_is_a_job_in_the_order_of_its_path(folder: Path) -> None:
    found = walk(folder)
    expected = sorted(str(path) for path in folder.glob("d*/*"))
    assert [job.path for job in found.jobs] == expected
    assert [job.size for job in found.jobs] == [Path(path).stat().st_size for path in expected]
    assert len({job.id for job in found.jobs}) == 30
    assert found.skipped == []
    assert walk(folder) == found


def test_the_same_file_is_the_same_job_however_the_folder_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert walk(Path("files")) == walk(folder) == walk(Path("files/../files"))
    assert Job("/a", 1).id == Job("/a", 2).id != Job("/b", 1).id


def test_a_limit_spreads_and_grows(folder: Path) -> None:
    few, more = (walk(folder, limit=limit).jobs for limit in (8, 16))
    assert len(few) == 8
    assert set(few) < set(more) < set(walk(folder).jobs)
    assert len({Path(job.path).parent for job in more}) > 2
    assert [job.path for job in more] == sorted(job.path for job in more)


def test_a_folder_can_be_left_out(folder: Path) -> None:
    found = walk(folder, leave_out=folder / "d1")
    assert {Path(job.path).parent.name for job in found.jobs} == {"d0", "d2", "d3", "d4"}


def test_pipes_and_names_that_are_not_utf8_are_left_out(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"caf\xe9")).write_text("x")
    found = walk(folder)
    assert len(found.jobs) == 30
    assert len(found.skipped) == 1
    assert "its name is not valid UTF-8" in found.skipped[0]
    found.skipped[0].encode()


def test_a_folder_that_cannot_be_listed_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("d2"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not stop a superuser, and tests may run as one
    found = walk(folder)
    assert len(found.jobs) == 24
    assert found.skipped == [f"{folder / 'd2'}: Permission denied"]


def test_only_a_folder_can_be_walked(folder: Path) -> None:
    for path in (folder / "none", folder / "d0" / "f00.txt"):
        with pytest.raises(NotADirectoryError, match="expected a folder"):
            walk(path)


@pytest.mark.parametrize(
    ("size", "units", "priority"),
    [
        (0, 1, "high"),
        (4096, 1, "high"),
        (4097, 1, "normal"),
        (BYTES_PER_UNIT, 1, "normal"),
        (BYTES_PER_UNIT + 1, 2, "normal"),
        (7 * BYTES_PER_UNIT, 7, "normal"),
        (7 * BYTES_PER_UNIT + 1, 8, "low"),
        (10**12, 8, "low"),
    ],
)
def test_units_and_priority_follow_the_size(size: int, units: int, priority: str) -> None:
    job = Job("/some/file", size)
    assert (job.units(8), job.priority(8)) == (units, priority)
    assert 1 <= job.units(1) <= 1


def test_jobs_are_lines_of_json(folder: Path, tmp_path: Path) -> None:
    (folder / 'naïve "quoted"\nname').write_text("x")
    file = tmp_path / "new" / "folder" / "jobs.jsonl"
    jobs = walk(folder).jobs
    write_jobs(jobs, file, max_units=4)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [line["payload"] for line in lines] == [{"path": job.path} for job in jobs]
    assert [line["id"] for line in lines] == [job.id for job in jobs]
    assert {line["units"] for line in lines} == {1, 2}
    assert {line["priority"] for line in lines} == {"high", "normal"}
    write_jobs(jobs[:3], file, max_units=4)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3
    assert list(file.parent.iterdir()) == [file]


def result(number: int, label: str, size: int) -> dict[str, object]:
    return {
        "id": str(number),
        "status": "succeeded",
        "result": {"label": label, "mime_type": f"text/{label}", "size": size},
    }


def test_the_summary_counts_the_results_of_its_jobs(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    lines = [
        *(result(number, "python", 1024) for number in range(6)),
        result(6, "css", 2048),
        {"id": "7", "status": "failed", "error": "/x: No such file or directory"},
        {"id": "8", "status": "timed_out"},
        result(99, "another run's", 1),
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = summarise(read_results(file), [str(number) for number in range(11)])
    assert summary.files == {("python", "text/python"): 6, ("css", "text/css"): 1}
    assert summary.sizes == {("python", "text/python"): 6 * 1024, ("css", "text/css"): 2048}
    assert summary.errors == {"7": "/x: No such file or directory", "8": "timed_out"}
    assert (summary.identified, summary.missing) == (7, 2)
    out = io.StringIO()
    show(summary, Console(file=out, width=100))
    text = out.getvalue()
    assert "7 files identified" in text
    assert text.index("python") < text.index("css")
    assert "85.7%" in text
    assert "2 jobs have no result yet" in text
    assert "2 files could not be identified" in text
    assert "/x: No such file or directory" in text


def test_without_results_everything_is_missing(tmp_path: Path) -> None:
    summary = summarise(read_results(tmp_path / "none.jsonl"), ["a", "b"])
    assert (summary.identified, summary.missing) == (0, 2)
    show(summary, Console(file=io.StringIO()))
