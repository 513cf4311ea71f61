"""Several host processes on one database: started, hurt and ended by their process ids."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.client import LotClient
from tests.hosts.stores import POOL, STORES, Store, policy_of

_ROOT = Path(__file__).parents[2]

#: How long anything may take before a test fails, in seconds. Nothing takes so long unless it hangs.
PATIENCE = 60.0

#: Seconds for which a host holds its tasks without a sign of life; short, so that the tests need not wait long.
LEASE = 2.0
POLL = 0.2
UNITS = 4


class HostProcess:
    """One host. ``pid`` is its process id."""

    def __init__(self, settings: Mapping[str, Any], errors: Path) -> None:
        self._errors = errors
        with errors.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.hosts.host", json.dumps(settings)],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_ready(self) -> None:
        """Return when it schedules. Raises ``AssertionError`` if it ends before that."""
        line = self._read()
        assert line == b"READY\n", f"host {self.pid} did not start:\n{self.errors}"

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    @property
    def errors(self) -> str:
        """What it has written to its standard error."""
        return self._errors.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def tell_to_leave(self) -> None:
        """SIGTERM: stop in order."""
        self._process.send_signal(signal.SIGTERM)

    def leave(self) -> dict[str, Any]:
        """Stop in order. Returns what it has counted."""
        self.tell_to_leave()
        return self.counters()

    def counters(self) -> dict[str, Any]:
        """What it has counted, once it has stopped in order."""
        line = self._read()
        code = self._process.wait(PATIENCE)
        assert (code, bool(line)) == (0, True), f"host {self.pid} ended with {code}:\n{self.errors}"
        return dict(json.loads(line))

    def end(self) -> None:
        """Leave nothing behind."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class Cluster:
    """Hosts on the database at ``url``, and what the test asks and knows of them.

    ``settings`` are those of each host that ``start`` does not change: ``units``, ``threads``, ``budget`` (``name`` and
    ``devices``), ``lease``, ``grace``, and more of ``PoolConfig`` in ``policy``.
    """

    def __init__(self, url: str, store: str, folder: Path, **settings: Any) -> None:
        self.url = url
        self.store: Store = STORES[store]
        self.folder = folder
        self.hosts: list[HostProcess] = []
        self._settings = {
            "url": url,
            "store": store,
            "log": str(folder / "log"),
            "threads": False,
            "budget": None,
            "lease": LEASE,
            "poll": POLL,
            "grace": 5.0,
            "wait_for_server": 0.0,
            "policy": {"max_units": UNITS, "max_attempts": 20, "retry_backoff": 0.05, "retry_backoff_max": 0.1},
        } | settings

    # -- hosts ---------------------------------------------------------------------------------------------------

    def start(self, count: int = 1, **settings: Any) -> list[HostProcess]:
        """Start hosts, in turns on asyncio and on trio, and wait until they schedule."""
        started = self.launch(count, **settings)
        for host in started:
            host.wait_ready()
        return started

    def launch(self, count: int = 1, **settings: Any) -> list[HostProcess]:
        """Start hosts and do not wait for them."""
        started = []
        for _ in range(count):
            number = len(self.hosts)
            given = {"backend": ("asyncio", "trio")[number % 2]} | self._settings | settings
            host = HostProcess(given, self.folder / f"errors-{number}")
            self.hosts.append(host)
            started.append(host)
        return started

    def leave(self) -> list[dict[str, Any]]:
        """Stop all hosts that are alive, in order, at the same time. Returns what they have counted."""
        alive = [host for host in self.hosts if host.alive]
        for host in alive:
            host.tell_to_leave()
        return [host.counters() for host in alive]

    def end(self) -> None:
        """Leave no process behind."""
        for host in self.hosts:
            host.end()

    # -- asking --------------------------------------------------------------------------------------------------

    def _stores(self) -> tuple[Any, Any]:
        settings = {name: self._settings[name] for name in ("lease", "poll")}
        queue = self.store.queue(self.url, policy=policy_of(self._settings["budget"]), **settings)
        return queue, self.store.mailbox(self.url)

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[ResourcePool]:
        """A host in this process that only takes submissions: it has no units of its own."""
        queue, mailbox = self._stores()
        async with ResourcePool(PoolConfig(**self._settings["policy"]), _never, queue=queue, mailbox=mailbox) as pool:
            pool.set_capacity("0", 0)
            yield pool

    @asynccontextmanager
    async def client(self) -> AsyncIterator[LotClient]:
        """A client in this process, which does not schedule."""
        queue, mailbox = self._stores()
        async with LotClient(queue, mailbox, POOL, PoolConfig(**self._settings["policy"])) as client:
            yield client

    # -- knowing -------------------------------------------------------------------------------------------------

    def log(self) -> list[dict[str, Any]]:
        """What the hosts have noted so far."""
        file = self.folder / "log"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def starts(self, pid: int | None = None) -> list[dict[str, Any]]:
        """Runs that have begun, on one host or on all."""
        return [line for line in self.log() if line["what"] == "start" and pid in (None, line["pid"])]

    def running(self, pid: int) -> set[tuple[str, int]]:
        """The runs (task and epoch) that have begun on this host and not ended."""
        lines = [line for line in self.log() if line["pid"] == pid and "task" in line]
        begun = {(line["task"], line["epoch"]) for line in lines if line["what"] == "start"}
        return begun - {(line["task"], line["epoch"]) for line in lines if line["what"] == "end"}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def ended(self) -> set[str]:
        """The ids of tasks that have an outcome; empty while the server is down."""
        with contextlib.suppress(psycopg.OperationalError):
            return {task_id for (task_id,) in self.rows("SELECT task_id FROM parking_lot_results")}
        return set()

    async def wait_for_end(self, task_ids: Iterable[str]) -> None:
        """Wait until all these tasks have outcomes."""
        wanted = set(task_ids)
        await self.until(lambda: wanted <= self.ended(), lambda: f"{len(wanted - self.ended())} tasks have no outcome")

    async def wait_for_log(self, condition: Callable[[list[dict[str, Any]]], object], what: str) -> None:
        """Wait until the log is as the condition wants it."""
        await self.until(lambda: condition(self.log()), lambda: what)

    async def until(self, condition: Callable[[], object], what: Callable[[], str]) -> None:
        """Wait until ``condition`` holds; fail with ``what`` if it does not, and show what the hosts have said."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                errors = "\n".join(f"host {host.pid}: {host.errors[-1500:]}" for host in self.hosts)
                pytest.fail(f"after {PATIENCE} s: {what()}\n{errors}\n{self._standing()}")
            await anyio.sleep(0.02)

    def _standing(self) -> str:
        tables = ("parking_lot_hosts", self.store.table)
        with contextlib.suppress(psycopg.Error):
            return "\n".join(f"{table}: {self.rows(f'SELECT * FROM {table} LIMIT 20')}" for table in tables)
        return "the server is down"

    def cut_connections(self) -> int:
        """End the connections of all hosts and clients to this database; returns how many there were."""
        return len(
            self.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND application_name LIKE 'parking-lot%'"
            )
        )


async def _never(payload: object) -> None:
    raise AssertionError(f"a task ran in process {os.getpid()}, which has no units for it")
