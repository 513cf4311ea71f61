"""The job list of ``parking-lot batch``: one JSON object a line, read one at a time.

A task's id is the line's own or, without one, a hash of the pool's name, the line and how often the same line came
before. So the same list gives the same tasks, and a second run continues the first. Of the lines that were read, only
hashes of ids are remembered.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from typing import Any, BinaryIO, TypeAlias

import attrs

from parking_lot_drivers.cli.json_text import read_json
from parking_lot_drivers.cli.task_options import TASK_ID, OptionsReader, TaskOptions
from parking_lot_drivers.config.problems import Fault, shown

#: The longest line that is read, in bytes.
LINE_BYTES_MAX = 64 * 1024 * 1024

#: A hash of a task id. Long enough that two ids never share one.
Digest: TypeAlias = bytes

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@attrs.frozen
class Job:
    """A task that a line asks for. ``line`` is the line's number, from 1."""

    line: int
    id: str
    payload: Any
    options: TaskOptions


@attrs.frozen
class BadLine:
    """A line that asks for nothing that can be run, and why."""

    line: int
    error: str


def digest_of(task_id: str) -> Digest:
    """The hash by which a task is remembered."""
    return hashlib.blake2b(task_id.encode(errors="surrogatepass"), digest_size=16).digest()


def read_jobs(
    file: BinaryIO, pool: str, *, unit: str | None, done: Container[Digest]
) -> Iterator[Job | BadLine | None]:
    """The jobs of a list, ``None`` for those that are ``done``. Units may be sizes if the pool has a ``unit``."""
    options = OptionsReader(unit, "id", "payload")
    for found in _identified(file, pool):
        if isinstance(found, BadLine):
            yield found
            continue
        number, asked, task_id = found
        if digest_of(task_id) in done:
            yield None
            continue
        try:
            yield Job(number, task_id, _payload(asked), options.read(asked))
        except ValueError as error:
            yield BadLine(number, str(error))


def _payload(asked: Mapping[str, Any]) -> Any:
    if "payload" not in asked:
        raise ValueError("payload: expected what the task gets, any JSON value; got nothing")
    return asked["payload"]


def index_jobs(file: BinaryIO, pool: str) -> dict[Digest, int]:
    """Line numbers by task, for all lines that name or imply one, whatever else may be wrong with them."""
    return {digest_of(found[2]): found[0] for found in _identified(file, pool) if not isinstance(found, BadLine)}


def count_lines(file: BinaryIO) -> int:
    """How many lines are not empty."""
    return sum(1 for _ in _numbered(file))


def _identified(file: BinaryIO, pool: str) -> Iterator[tuple[int, Mapping[str, Any], str] | BadLine]:
    ids = _Ids(pool)
    for number, raw in _numbered(file):
        try:
            asked = _object(raw)
            yield number, asked, ids.claim(number, raw, asked)
        except ValueError as error:
            yield BadLine(number, str(error))


def _numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines that are not empty, with their numbers. Of one that is too long, a little more than is allowed."""
    file.seek(0)
    number = 0
    while raw := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        end = raw
        while not end.endswith(b"\n") and (end := file.readline(LINE_BYTES_MAX)):
            pass
        line = raw.removeprefix(_BYTE_ORDER_MARK).strip() if number == 1 else raw.strip()
        if line:
            yield number, line


def _object(raw: bytes) -> Mapping[str, Any]:
    if len(raw) > LINE_BYTES_MAX:
        raise ValueError(f"expected a line of at most {LINE_BYTES_MAX // 2**20} MiB, got a longer one")
    asked = read_json(raw)
    if not isinstance(asked, dict):
        raise ValueError(f'expected a JSON object such as {{"units": 2, "payload": ...}}, got {shown(asked)}')
    return asked


class _Ids:
    """Gives each line its task id, and each id to one line only."""

    def __init__(self, pool: str) -> None:
        self._pool = pool
        self._line_of: dict[Digest, int] = {}
        self._repeats: Counter[Digest] = Counter()

    def claim(self, number: int, raw: bytes, asked: Mapping[str, Any]) -> str:
        """The id of a line's task. Raises ``ValueError`` for a bad one, and for one that an earlier line has."""
        task_id = self._given(asked["id"]) if "id" in asked else self._derived(raw)
        first = self._line_of.setdefault(digest_of(task_id), number)
        if first != number:
            raise ValueError(f"id: {shown(task_id)} is the id of line {first} already; give each line its own")
        return task_id

    @staticmethod
    def _given(given: object) -> str:
        try:
            return str(TASK_ID.structure(given))
        except Fault as fault:
            raise ValueError(f"id: {fault}") from None

    def _derived(self, raw: bytes) -> str:
        task_id = self._nth(raw, 1)
        digest = digest_of(task_id)
        if digest in self._line_of:
            self._repeats[digest] += 1
            task_id = self._nth(raw, 1 + self._repeats[digest])
        return task_id

    def _nth(self, raw: bytes, occurrence: int) -> str:
        named = hashlib.sha256(f"{self._pool}\0{occurrence}\0".encode())
        named.update(raw)
        return "line-" + named.hexdigest()[:32]
