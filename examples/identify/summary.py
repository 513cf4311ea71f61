"""What the results say, for a person: labels by count, and what failed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.table import Table

_FAILURES_SHOWN = 5


@attrs.frozen
class Summary:
    """Counts over the results of some jobs: files and bytes by (label, MIME type), errors by path or id."""

    files: Counter[tuple[str, str]]
    sizes: Counter[tuple[str, str]]
    errors: dict[str, str]
    missing: int

    @property
    def identified(self) -> int:
        """How many files have a label."""
        return self.files.total()


def summarise(results: Iterable[dict[str, Any]], ids: Collection[str]) -> Summary:
    """Count the results of the jobs with these ids; results of other jobs are left out."""
    wanted = set(ids)
    files: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    errors: dict[str, str] = {}
    for line in results:
        if line["id"] not in wanted:
            continue
        wanted.discard(line["id"])
        if line["status"] == "succeeded":
            found = line["result"]
            kind = (found["label"], found["mime_type"])
            files[kind] += 1
            sizes[kind] += found["size"]
        else:
            errors[line["id"]] = str(line.get("error") or line["status"])
    return Summary(files, sizes, errors, missing=len(wanted))


def read_results(file: Path) -> Iterator[dict[str, Any]]:
    """The lines of ``results.jsonl``; none if it does not exist."""
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)


def show(summary: Summary, console: Console) -> None:
    """Print the table of labels, then what failed."""
    table = Table(title=f"{summary.identified:,} files identified")
    table.add_column("label")
    table.add_column("MIME type")
    table.add_column("files", justify="right")
    table.add_column("share", justify="right")
    table.add_column("KiB", justify="right")
    for (label, mime_type), count in sorted(summary.files.items(), key=lambda item: (-item[1], item[0])):
        share = f"{count / summary.identified:.1%}"
        table.add_row(label, mime_type, f"{count:,}", share, f"{summary.sizes[label, mime_type] / 1024:,.0f}")
    console.print(table)
    if summary.missing:
        console.print(f"{summary.missing:,} jobs have no result yet; run the command again to continue.")
    if summary.errors:
        console.print(f"{len(summary.errors):,} files could not be identified, among them:")
        for error in list(summary.errors.values())[:_FAILURES_SHOWN]:
            console.print(f"  {error}", markup=False)
