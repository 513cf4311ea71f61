"""Fixtures that every test may use."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.postgres.server import Server

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--rewrite`` is for traces and printed pages; only the outermost ``conftest.py`` may add an option."""
    parser.addoption("--rewrite", action="store_true", help="record what is told and printed, do not compare it")


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether what is told and printed is to be recorded."""
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every asynchronous test runs on both event loops."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A Postgres server for all tests; see ``tests/postgres/server.py``."""
    if sys.platform == "win32":
        pytest.skip("the Postgres server of the tests runs on Linux and macOS")
    from tests.postgres import server

    running = server.shared()
    yield running
    running.stop()
    server.shared.cache_clear()


@pytest.fixture
def database_url(postgres_server: Server) -> Iterator[str]:
    """The URL of an empty Postgres database for one test."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)
