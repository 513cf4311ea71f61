"""One job for every file of a folder, as a line of ``jobs.jsonl``.

Units: one for every started 16 KiB of the file, at least 1 and at most the pool's ``max_units``. So under 8 units at
most 8 small files are worked on at once, or fewer larger ones; a file of more than 112 KiB runs alone.

Priority: ``high`` up to 4 KiB, ``low`` for files that take the whole pool, ``normal`` for all others, so that the many
quick answers come first.

Ids depend on the absolute path alone, so the same folder gives the same jobs, and a second run continues the first.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

BYTES_PER_UNIT = 16 * 1024
SMALL_BYTES_MAX = 4 * 1024


@attrs.frozen
class Job:
    """One file: its absolute path, and its size in bytes when the folder was walked."""

    path: str
    size: int

    @property
    def id(self) -> str:
        """Name of the task: a hash of the path."""
        return hashlib.sha256(self.path.encode()).hexdigest()[:20]

    def units(self, max_units: int) -> int:
        """Units that the job takes in a pool of ``max_units``."""
        return min(max_units, max(1, -(-self.size // BYTES_PER_UNIT)))

    def priority(self, max_units: int) -> str:
        """Priority class of the job."""
        if self.size <= SMALL_BYTES_MAX:
            return "high"
        return "low" if self.units(max_units) == max_units else "normal"

    def line(self, max_units: int) -> str:
        """The job as one line of ``jobs.jsonl``, without the line break."""
        job = {
            "id": self.id,
            "units": self.units(max_units),
            "priority": self.priority(max_units),
            "payload": {"path": self.path},
        }
        return json.dumps(job, ensure_ascii=False)


@attrs.frozen
class Walk:
    """What a walk through a folder found: jobs sorted by path, and what was left out, with the reason."""

    jobs: Sequence[Job]
    skipped: Sequence[str]


def walk(folder: Path, *, limit: int | None = None, leave_out: Path | None = None) -> Walk:
    """Every regular file below ``folder``, but for those below ``leave_out``; links are not followed.

    With ``limit``, so many of them, spread over the whole folder; a larger limit adds to the files of a smaller one.
    Raises ``NotADirectoryError`` if the folder is none.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: expected a folder")
    jobs: list[Job] = []
    skipped: list[str] = []
    for path in _files(folder.resolve(), skipped, leave_out.resolve() if leave_out else None):
        try:
            status = path.lstat()
            str(path).encode()
        except OSError as error:
            skipped.append(f"{path}: {error.strerror}")
        except UnicodeEncodeError:
            skipped.append(f"{str(path)!r}: its name is not valid UTF-8")
        else:
            if stat.S_ISREG(status.st_mode):
                jobs.append(Job(str(path), status.st_size))
    if limit is not None:
        jobs = sorted(jobs, key=lambda job: job.id)[:limit]
    return Walk(sorted(jobs, key=lambda job: job.path), skipped)


def _files(folder: Path, skipped: list[str], leave_out: Path | None) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        skipped.append(f"{error.filename}: {error.strerror}")

    for where, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if Path(where, name) != leave_out]
        for name in names:
            yield Path(where, name)


def write_jobs(jobs: Sequence[Job], file: Path, *, max_units: int) -> None:
    """Write ``jobs.jsonl`` in one piece: whoever reads it sees the old file or the whole new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(file.name + ".part")
    with draft.open("w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(f"{job.line(max_units)}\n" for job in jobs)
    draft.replace(file)
