"""``parking-lot schema``."""

from __future__ import annotations

import json
from pathlib import Path

from parking_lot_drivers.config import schema
from tests.cli.conftest import Run


def test_it_prints_the_schema(parking_lot: Run) -> None:
    done = parking_lot("schema")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == schema()


def test_it_writes_the_schema_to_a_file(tmp_path: Path, parking_lot: Run) -> None:
    done = parking_lot("schema", "--output", "lot.schema.json")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert json.loads((tmp_path / "lot.schema.json").read_text(encoding="utf-8")) == schema()


def test_a_file_that_cannot_be_written(parking_lot: Run) -> None:
    done = parking_lot("schema", "-o", "no/such/folder.json")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == (
        "error: Invalid value for --output: no/such/folder.json: No such file or directory"
    )
