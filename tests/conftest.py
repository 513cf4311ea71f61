"""Fixtures that every test may use."""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rewrite`` is for ``tests/core/test_traces.py``; only the outermost ``conftest.py`` may add an option."""
    parser.addoption("--rewrite", action="store_true", help="record the traces instead of comparing them")


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether the traces are to be recorded."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every asynchronous test runs on both event loops."""
    return str(request.param)
