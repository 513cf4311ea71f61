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


#: Stores that pass the contract as the others do, and that the pool meets as it meets Postgres tables.
_ALIKE = ("pgmq", "shared_sqlite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On a server, one event loop is enough for a quick run."""
    here = Path(__file__).parent
    for item in (item for item in items if item.path.is_relative_to(here)):
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if parameters.get("lot") == "postgres" and parameters.get("anyio_backend") == "trio":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.slow if name in _ALIKE else ()) for name in sorted(STORES)]
)
def lot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lot]:
    """An empty lot of one of the stores; queue and mailbox share a transaction."""
    lot = STORES[request.param](tmp_path)
    yield lot
    lot.drop()
