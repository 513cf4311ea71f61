"""Every test of the contract runs on every store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.registry import STORES, Lot


@pytest.fixture(params=sorted(STORES))
def lot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lot]:
    """An empty lot of one of the stores."""
    lot = STORES[request.param](tmp_path)
    yield lot
    lot.drop()


@pytest.fixture(params=[name for name, store in sorted(STORES.items()) if store.shared])
def shared_lot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lot]:
    """An empty lot that several objects, and several processes, may open."""
    lot = STORES[request.param](tmp_path)
    yield lot
    lot.drop()
