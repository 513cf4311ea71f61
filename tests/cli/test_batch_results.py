"""The results file: kept, put in order, appended to, and refused if it is something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking_lot_core import OutcomeStatus
from parking_lot_drivers.cli.batch_jobs import BadLine, digest_of
from parking_lot_drivers.cli.batch_results import Examined, ResultsWriter, examine, invalid_line, result_line
from parking_lot_drivers.errors import BatchError
from parking_lot_drivers.handle import TaskResult


def result(task_id: str, line: int | None, value: object = None, status: str = "succeeded") -> bytes:
    told = TaskResult(
        task_id=task_id,
        status=OutcomeStatus(status),
        value=value,
        error=None if status == "succeeded" else "why",
        submitted_at=1.0,
        started_at=None,
        finished_at=2.5,
    )
    return result_line(told, line)


def looked_at(file: Path, *input_ids: str) -> Examined:
    """The file as an input sees it that has these ids, in this order."""
    return examine(file, lambda: {digest_of(task_id): line for line, task_id in enumerate(input_ids, start=1)})


def put_in_order(file: Path, *input_ids: str) -> list[dict[str, Any]]:
    """The entries of the file once a run has opened it, and appended nothing."""

    async def run() -> None:
        writer = ResultsWriter.open(file, looked_at(file, *input_ids))
        writer.finish()
        await writer.run()

    anyio.run(run)
    assert [path for path in file.parent.iterdir() if path.name.startswith(file.name)] == [file]
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_what_a_result_says() -> None:
    assert json.loads(result("a", 3, {"n": b"\0", "$bytes": 1})) == {
        "id": "a",
        "line": 3,
        "status": "succeeded",
        "submitted_at": 1.0,
        "started_at": None,
        "finished_at": 2.5,
        "result": {"n": {"$bytes": "AA=="}, "$bytes": 1},
    }
    failed = json.loads(result("a", 3, status="timed_out"))
    assert failed["error"] == "why"
    assert "result" not in failed
    assert json.loads(invalid_line(BadLine(4, "no"))) == {"line": 4, "status": "invalid", "error": "no"}


def test_a_result_may_be_nested_as_deeply_as_a_mailbox_allows() -> None:
    value: object = 1
    for _ in range(200):
        value = [value]
    assert json.loads(result("a", 1, value))["result"] == value


def test_no_file_and_an_empty_file_hold_nothing(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    assert looked_at(file, "a").done == frozenset()
    file.touch()
    assert looked_at(file, "a").done == frozenset()
    assert put_in_order(file, "a") == []


def test_results_in_order_are_kept_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    whole = result("b", 2, status="failed") + result("a", 1, 7)
    file.write_bytes(whole)
    found = looked_at(file, "a", "b", "c")
    assert found.done == {digest_of("a"), digest_of("b")}
    assert found.statuses == {"succeeded": 1, "failed": 1}
    assert found.in_order
    put_in_order(file, "a", "b", "c")
    assert file.read_bytes() == whole


@given(st.data())
def test_a_torn_last_line_goes_wherever_it_was_torn(data: st.DataObject) -> None:
    import tempfile

    last = result("b", 2, "x" * 10)
    kept = data.draw(st.integers(1, len(last) - 1))
    zeros = data.draw(st.integers(0, 3))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "r.jsonl")
        file.write_bytes(result("a", 1) + last[:kept] + b"\0" * zeros)
        assert looked_at(file, "a", "b").done == {digest_of("a")}
        assert [entry["id"] for entry in put_in_order(file, "a", "b")] == ["a"]


def test_a_file_of_only_a_torn_line_becomes_empty(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(b'{"i')
    assert put_in_order(file, "a") == []


def test_reports_of_invalid_lines_go_because_each_run_writes_its_own(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(invalid_line(BadLine(1, "no")) + result("b", 2))
    assert looked_at(file, "a", "b").statuses == {"succeeded": 1}
    assert [entry.get("id") for entry in put_in_order(file, "a", "b")] == ["b"]


def test_a_result_whose_line_moved_gets_the_new_number(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(result("a", 1, "héllo") + result("b", 2, "\ud800"))
    found = looked_at(file, "new", "a", "b")
    assert found.done == {digest_of("a"), digest_of("b")}
    entries = put_in_order(file, "new", "a", "b")
    assert [(entry["id"], entry["line"], entry["result"]) for entry in entries] == [
        ("a", 2, "héllo"),
        ("b", 3, "\ud800"),
    ]


def test_results_of_tasks_that_left_the_input_stay_without_a_line(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(result("gone", 1) + result("a", 2))
    found = looked_at(file, "a")
    assert (found.others, found.done) == (1, {digest_of("a")})
    assert [(entry["id"], entry["line"]) for entry in put_in_order(file, "a")] == [("gone", None), ("a", 1)]
    assert looked_at(file, "a").in_order


def test_a_second_result_of_a_task_goes(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(result("a", 1, 1) + result("a", 1, 2))
    assert looked_at(file, "a").statuses == {"succeeded": 1}
    assert [entry["result"] for entry in put_in_order(file, "a")] == [1]


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b"hello",
        b"[]\n",
        b"{}\n",
        b'{"payload": 1}\n',
        b'{"id": "a", "status": "succeeded"}\n',
        b'{"id": 1, "line": 1, "status": "succeeded"}\n',
        b"\xff\xfe\n",
        b"\n",
        b"SQLite format 3\0" + b"\0" * 100,
    ],
)
def test_a_file_that_is_something_else_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes.txt"
    for data in (content, result("a", 1) + content):
        file.write_bytes(data)
        with pytest.raises(BatchError, match=r"notes\.txt, line \d: not a results file of a batch \(.*name another"):
            looked_at(file, "a")
        assert file.read_bytes() == data


def test_the_results_of_another_input_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(result("x", 1) + result("y", 2))
    with pytest.raises(BatchError, match="holds 2 results, and none is of a task in the input: name another output"):
        looked_at(file, "a", "b")


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(BatchError, match="is a directory: name a file"):
        looked_at(tmp_path)
    with pytest.raises(BatchError, match=r"there is no directory .*missing: make it"):
        looked_at(tmp_path / "missing" / "r.jsonl")


def test_a_file_that_changed_since_it_was_examined_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(result("a", 1))
    found = looked_at(file, "a", "b")
    with file.open("ab") as other:
        other.write(result("b", 2))
    with pytest.raises(BatchError, match="changed by another process"):
        ResultsWriter.open(file, found)
    found = looked_at(tmp_path / "new.jsonl", "a")
    (tmp_path / "new.jsonl").write_bytes(result("a", 1))
    with pytest.raises(BatchError, match="changed by another process"):
        ResultsWriter.open(tmp_path / "new.jsonl", found)


@pytest.mark.anyio
async def test_the_writer_appends_everything_before_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(result("old", 1))
    names = [f"t{number}" for number in range(300)]
    writer = ResultsWriter.open(file, looked_at(file, "old", *names))
    async with anyio.create_task_group() as group:
        group.start_soon(writer.run)
        for line, name in enumerate(names, start=2):
            writer.add(result(name, line))
            if line % 50 == 0:
                await anyio.sleep(0.002)
        writer.finish()
    assert [json.loads(line)["id"] for line in file.read_bytes().splitlines()] == ["old", *names]


@pytest.mark.anyio
async def test_the_writer_notices_that_it_is_not_alone(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    writer = ResultsWriter.open(file, looked_at(file, "a"))
    with file.open("ab") as other:
        other.write(result("b", 2))
    writer.add(result("a", 1))
    writer.finish()
    with pytest.raises(BatchError, match="another process writes to it too"):
        await writer.run()


@pytest.mark.anyio
async def test_a_full_disk_is_said_in_words() -> None:
    full = Path("/dev/full")
    if not full.exists():  # noqa: ASYNC240
        pytest.skip("this system has no /dev/full")
    writer = ResultsWriter.open(full, examine(full, dict))
    writer.add(result("a", 1))
    writer.finish()
    with pytest.raises(BatchError, match="/dev/full: No space left on device: make it writable, or make room"):
        await writer.run()
