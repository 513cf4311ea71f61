"""Fixtures of the pool's tests."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.registry import STORES, Lot

#: A test that takes longer than this hangs: where it stands is printed, and the run ends. In seconds.
_PATIENCE = 100


@pytest.fixture(autouse=True)
def _no_test_hangs(request: pytest.FixtureRequest) -> Iterator[None]:
    slow = request.node.get_closest_marker("slow") is not None
    faulthandler.dump_traceback_later(10 * _PATIENCE if slow else _PATIENCE, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=sorted(STORES))
def lot(request: pytest.FixtureRequest, tmp_path: Path) -> Lot:
    """An empty lot of one of the stores; queue and mailbox share a transaction."""
    return STORES[request.param](tmp_path)
