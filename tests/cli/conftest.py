"""Running ``parking-lot`` in a process of its own, as people do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def parking_lot(tmp_path: Path) -> Run:
    """Runs the command in ``tmp_path``, as on a terminal of 80 columns."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "parking_lot_drivers", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "80", **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def make_lot(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes a ``LotFolder`` in ``tmp_path``; its processes end with the test."""
    from tests.cli.lots import LotFolder

    made: list[LotFolder] = []

    def make(**pool: Any) -> LotFolder:
        made.append(LotFolder(tmp_path, **pool))
        return made[-1]

    yield make
    for lot in made:
        lot.close()
