"""The results file of ``parking-lot batch``: one JSON object a line, in the order in which tasks end.

Results are appended in groups, each flushed to the disk. A run that was killed leaves at most a torn last line. The
next run reads what is there, keeps each result that belongs to a line of the input, and adds what is missing: from
the mailbox where a task has ended meanwhile. So the file needs no transaction with the lot.

Before it appends, a run puts the file in order, in one atomic step: a torn line goes, reports of invalid lines go (each
run writes its own), results whose line has moved in the input get its new number, and those of tasks that are not in
the input any more are kept with ``"line": null``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from parking_lot_drivers.cli.batch_jobs import BadLine, Digest, digest_of
from parking_lot_drivers.cli.json_text import read_json
from parking_lot_drivers.codec import encode
from parking_lot_drivers.config.problems import shown
from parking_lot_drivers.errors import BatchError
from parking_lot_drivers.handle import TaskResult

#: The status of a line that asks for nothing that can be run.
INVALID = "invalid"

_BEGINNINGS = (b'{"id":', b'{"line":')


def result_line(result: TaskResult, line: int | None) -> bytes:
    """What the file says about a task that ended. Bytes in a result look as in a store: ``{"$bytes": ...}``."""
    said: dict[str, object] = {
        "id": result.task_id,
        "line": line,
        "status": result.status.value,
        "submitted_at": result.submitted_at,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
    }
    if not result.succeeded:
        said["error"] = result.error
        return encode(said) + b"\n"
    # Spliced in, so that a result may be nested as deeply here as in the mailbox.
    return encode(said)[:-1] + b',"result":' + encode(result.value, name="result") + b"}\n"


def invalid_line(bad: BadLine) -> bytes:
    """What the file says about a line that asks for nothing that can be run."""
    return encode({"line": bad.line, "status": INVALID, "error": bad.error}) + b"\n"


@attrs.frozen(kw_only=True)
class Examined:
    """What a results file holds for an input.

    Attributes:
        done: tasks of the input that have a result.
        statuses: how many of those ended in each way.
        others: results of tasks that are not in the input.
        in_order: whether the file may be appended to as it is.
        seen: size and time of change when it was read; ``None`` if there was no file.
        line_of: lines of the input by task, if they were needed.
    """

    done: frozenset[Digest] | set[Digest] = frozenset()
    statuses: Counter[str] = attrs.field(factory=Counter)
    others: int = 0
    in_order: bool = True
    seen: tuple[int, int] | None = None
    line_of: Mapping[Digest, int] = attrs.field(factory=dict)


def examine(path: Path, index: Callable[[], Mapping[Digest, int]]) -> Examined:
    """Read a results file, and change nothing. ``index`` finds the lines of the input's tasks.

    Raises ``BatchError`` for what cannot be a results file, a file that no batch wrote, or one of another input.
    """
    if path.is_dir():
        raise BatchError(f"{path} is a directory: name a file for the results")
    if not path.parent.is_dir():
        raise BatchError(f"{path}: there is no directory {path.parent}: make it, or name another output")
    seen = _seen(path)
    if seen is None or seen[0] == 0:
        return Examined(seen=seen)
    line_of = index()
    done: set[Digest] = set()
    statuses: Counter[str] = Counter()
    others = 0
    in_order = True
    for entry in _settled(path, line_of):
        in_order &= entry.kept is entry.raw
        if entry.kept is None:
            continue
        if entry.line is None:
            others += 1
        else:
            done.add(entry.digest)
            statuses[entry.status] += 1
    if others and not done:
        raise BatchError(
            f"{path} holds {others:,} results, and none is of a task in the input: name another output, or remove it"
        )
    return Examined(done=done, statuses=statuses, others=others, in_order=in_order, seen=seen, line_of=line_of)


def _seen(path: Path) -> tuple[int, int] | None:
    status = path.stat() if path.exists() else None
    return status and (status.st_size, status.st_mtime_ns)


@attrs.frozen(kw_only=True)
class _Entry:
    """A line of the file, and what is to be kept of it: ``None`` if nothing."""

    raw: bytes
    kept: bytes | None = None
    digest: Digest = b""
    line: int | None = None
    status: str = ""


def _settled(path: Path, line_of: Mapping[Digest, int]) -> Iterator[_Entry]:
    met: set[Digest] = set()
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                _check_torn(path, number, raw)
                yield _Entry(raw=raw)
                return
            said = _parsed(path, number, raw)
            digest = digest_of(said["id"]) if "id" in said else b""
            if said["status"] == INVALID or digest in met:
                yield _Entry(raw=raw)
                continue
            met.add(digest)
            line = line_of.get(digest)
            kept = raw if said["line"] == line else _dumped(said | {"line": line})
            yield _Entry(raw=raw, kept=kept, digest=digest, line=line, status=said["status"])


def _parsed(path: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        said = read_json(raw)
    except ValueError as error:
        raise _not_ours(path, number, str(error)) from None
    fields = said if isinstance(said, dict) else {}
    named = isinstance(fields.get("id"), str) or fields.get("status") == INVALID
    if not named or not isinstance(fields.get("status"), str) or "line" not in fields:
        raise _not_ours(path, number, f'expected {{"id": ..., "line": ..., "status": ...}}, got {shown(said)}')
    return fields


def _check_torn(path: Path, number: int, raw: bytes) -> None:
    begun = raw.rstrip(b"\0")  # a power cut may leave zeros where the data never arrived
    if not any(begun.startswith(beginning[: len(begun)]) for beginning in _BEGINNINGS):
        raise _not_ours(path, number, "expected a result")


def _not_ours(path: Path, number: int, problem: str) -> BatchError:
    return BatchError(f"{path}, line {number}: not a results file of a batch ({problem}); name another output")


def _dumped(entry: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


class ResultsWriter:
    """Appends to the results file, in groups, from a worker thread."""

    def __init__(self, file: FileIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._size = os.fstat(file.fileno()).st_size
        self._waiting: list[bytes] = []
        self._news = anyio.Event()
        self._closing = False

    @classmethod
    def open(cls, path: Path, examined: Examined) -> ResultsWriter:
        """Put the file in order, and make it if there is none. Raises ``BatchError`` if it has changed since."""
        if _seen(path) != examined.seen:
            raise BatchError(f"{path} was changed by another process just now; run this again when that has ended")
        try:
            if not examined.in_order:
                _rewrite(path, examined.line_of)
            return cls(FileIO(path, "a"), path)
        except OSError as error:
            raise _cannot_write(path, error) from error

    def add(self, line: bytes) -> None:
        """Have a line written soon."""
        self._waiting.append(line)
        self._news.set()

    def finish(self) -> None:
        """Let ``run`` return when all is written."""
        self._closing = True
        self._news.set()

    async def run(self) -> None:
        """Write until ``finish``. Raises ``BatchError`` if that fails."""
        with self._file, anyio.CancelScope(shield=True):
            while self._waiting or not self._closing:
                await self._news.wait()
                self._news = anyio.Event()
                lines, self._waiting = self._waiting, []
                await anyio.to_thread.run_sync(self._append, b"".join(lines))

    def _append(self, data: bytes) -> None:
        try:
            if os.fstat(self._file.fileno()).st_size != self._size:
                raise BatchError(f"{self._path}: another process writes to it too; run again when that has ended")
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        self._size += len(data)


def _rewrite(path: Path, line_of: Mapping[Digest, int]) -> None:
    draft = path.with_name(path.name + ".part")
    with draft.open("wb") as file:
        file.writelines(entry.kept for entry in _settled(path, line_of) if entry.kept is not None)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _cannot_write(path: Path, error: OSError) -> BatchError:
    return BatchError(f"{path}: {error.strerror or error}: make it writable, or make room, and run this again")
