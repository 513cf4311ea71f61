"""Fixtures of the tests with several host processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.hosts.cluster import Cluster
from tests.hosts.stores import STORES

if TYPE_CHECKING:
    from tests.postgres.server import OwnServer

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def anyio_backend() -> str:
    """The hosts run on both event loops, in turns; the test itself needs only one."""
    return "asyncio"


# A quick run proves it on one store: the others share all but the statements, and the whole takes minutes.
_PARAMS = [pytest.param(name, marks=() if name == "postgres" else pytest.mark.slow) for name in sorted(STORES)]


@pytest.fixture(params=_PARAMS)
def store(request: pytest.FixtureRequest) -> str:
    """The name of a store that hosts can share."""
    return str(request.param)


@pytest.fixture(scope="session")
def own_server() -> Iterator[OwnServer]:
    """A server that these tests may stop and start again."""
    if sys.platform == "win32":
        pytest.skip("the Postgres server of the tests runs on Linux and macOS")
    from tests.postgres import server

    running = server.start(fsync=True)
    yield running
    running.stop()


@pytest.fixture
def make_cluster(own_server: OwnServer, store: str, tmp_path: Path) -> Iterator[MakeCluster]:
    """Makes a cluster on an empty database, given settings of its hosts; in the end no process is left."""
    url = own_server.database()
    made: list[Cluster] = []

    def make(**settings: Any) -> Cluster:
        cluster = Cluster(url, store, tmp_path, **settings)
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        cluster.end()
    own_server.drop(url)


@pytest.fixture
def cluster(make_cluster: MakeCluster) -> Cluster:
    """A cluster with the usual settings, without hosts yet."""
    return make_cluster()
