"""One connection to a lot file, the thread it lives on, and what its errors mean."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from parking_lot_drivers.clock import pause, steady_time
from parking_lot_drivers.errors import NotALot, StoreError, StoreInUse, StoreUnavailable
from parking_lot_drivers.stores._lease import FileLease
from parking_lot_drivers.stores._worker import worker
from parking_lot_drivers.stores.sql import sqlite_schema
from parking_lot_drivers.stores.sql.dialects import fetch_one
from parking_lot_drivers.stores.sql.sqlite_schema import LOT, FileKind

_T = TypeVar("_T")

# fullfsync matters on macOS only, where a plain fsync leaves the data in the drive's cache.
_SETTINGS = (
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -16000",
)

_RIGHTS = "give this user the right to write the file and its directory"
_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_READONLY: f"it is read-only; {_RIGHTS}",
    sqlite3.SQLITE_CANTOPEN: f"it cannot be opened; {_RIGHTS}",
    sqlite3.SQLITE_PERM: f"it may not be opened; {_RIGHTS}",
    sqlite3.SQLITE_BUSY: "another process has kept it locked for too long; try again",
    sqlite3.SQLITE_LOCKED: "another connection has kept it locked for too long; try again",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write",
    sqlite3.SQLITE_TOOBIG: "a payload or a result is larger than SQLite can keep (1 GB)",
}
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)

# After these the connection is as good as before.
_HARMLESS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG)

_RETRY_S = 0.01
_TURN_S = (0.0003, 0.0015)
_PAGE_BYTES_MIN = 512


class SqliteDatabase:
    """A connection to ``file``, used in a thread of its own; calls follow one another.

    After any failure the transaction is rolled back; after one that may have harmed the connection, the next call opens
    another. Every method raises ``StoreUnavailable`` for what may pass, ``NotALot`` for a file that is something else
    or damaged, ``StoreTooNew`` for a file of a newer version.
    """

    def __init__(self, file: Path, *, busy_timeout: float, kind: FileKind = LOT, durable: bool = True) -> None:
        """Opens nothing yet.

        Args:
            file: the file.
            busy_timeout: how long to wait while another process writes, in seconds.
            kind: what the file must be.
            durable: False acknowledges commits before they are flushed to disk. They are in the log all the same, so
                that no later commit can be durable without them.
        """
        self.file = file
        self.where = str(file)
        self._kind = kind
        self._synchronous = "FULL" if durable else "NORMAL"
        self._busy_timeout = busy_timeout
        self._thread = worker("parking-lot-store")
        self._connection: Connection | None = None
        self._lenient = False
        self._opened = False

    async def open(self) -> None:
        """Connect, create or upgrade the tables, and see that the file can be written. Makes a missing directory.

        Raises ``StoreInUse`` too: if the file is of an older version, and a process schedules it.
        """
        await self._thread.run(self._open)
        self._opened = True

    async def read(self, function: Callable[[Connection], _T], *, snapshot: bool = True) -> _T:  # noqa: ARG002
        """Run ``function`` on one snapshot of the file, whatever ``snapshot`` says."""
        return await self._run(lambda: self._transaction("BEGIN", function))

    async def write(self, function: Callable[[Connection], _T], *, pipeline: bool = False) -> _T:  # noqa: ARG002
        """Run ``function`` and commit. If it or the commit fails, nothing is kept. ``pipeline`` means nothing here."""
        return await self._run(lambda: self._transaction("BEGIN IMMEDIATE", function))

    async def data_version(self) -> int:
        """A number that changes when another connection has committed something."""
        return await self._run(lambda: self._bare("PRAGMA data_version"))

    async def call(self, function: Callable[[], _T]) -> _T:
        """Run something about the file that needs no connection."""
        return await self._run(function)

    async def aclose(self) -> None:
        """Close the connection and end the thread; ``open`` starts again. Safe to call twice, and without ``open``."""
        self._opened = False
        if self._connection is not None:
            await self._thread.run(self._disconnect)
        self._thread.stop()

    async def _run(self, function: Callable[[], _T]) -> _T:
        if not self._opened:
            raise StoreUnavailable(f"{self.file} is not open: await open() first")
        return await self._thread.run(lambda: self._told(function))

    # In the thread; or in one that the caller has, who then uses nothing but these

    def write_here(self, function: Callable[[Connection], _T]) -> _T:
        """Run ``function`` and commit, in the calling thread. Connects first, if that is needed."""
        return self._told(lambda: self._transaction("BEGIN IMMEDIATE", function))

    def read_here(self, function: Callable[[Connection], _T]) -> _T:
        """Run ``function`` outside of transactions, in the calling thread."""
        return self._told(lambda: function(self._connected()))

    def close_here(self) -> None:
        """Close the connection; the next call opens another."""
        self._disconnect()

    def _open(self) -> None:
        self._told(lambda: self.file.parent.mkdir(parents=True, exist_ok=True))
        self._told(lambda: self._transaction("BEGIN IMMEDIATE", self._write_nothing))

    def _write_nothing(self, connection: Connection) -> None:
        """Fails where writing would: on a file that is read-only, BEGIN IMMEDIATE alone does not."""
        connection.connection.cursor().execute(f"DELETE FROM {self._kind.written.name} WHERE 0")

    def _bare(self, statement: str) -> int:
        return int(fetch_one(self._connected().connection.cursor(), statement)[0])

    def _transaction(self, begin: str, function: Callable[[Connection], _T]) -> _T:
        try:
            return self._attempt(begin, function)
        except sqlite3.OperationalError as error:
            if self._lenient or "UTF-8" not in str(error):
                raise
        self._lenient = True  # Damaged text: from now on it comes as bytes, and its row is set aside.
        self._disconnect()
        return self._attempt(begin, function)

    def _attempt(self, begin: str, function: Callable[[Connection], _T]) -> _T:
        connection = self._connected()
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        try:
            self._begin(driver, begin)
            value = function(connection)
            driver.execute("COMMIT")
        except BaseException as error:
            self._undo(driver, error)
            raise
        return value

    def _begin(self, driver: sqlite3.Connection, begin: str) -> None:
        if self._kind.exclusive or begin != "BEGIN IMMEDIATE":
            driver.execute(begin)
            return
        # SQLite waits longer with each attempt, up to 0.1 s. Where several processes write all the time, whoever has
        # waited longest would come last.
        driver.execute("PRAGMA busy_timeout = 0")
        deadline = steady_time() + self._busy_timeout
        try:
            while not driver.in_transaction:
                try:
                    driver.execute(begin)
                except sqlite3.OperationalError as error:
                    if _code(error) != sqlite3.SQLITE_BUSY or steady_time() >= deadline:
                        raise
                    pause(random.uniform(*_TURN_S))
        finally:
            driver.execute(f"PRAGMA busy_timeout = {round(1000 * self._busy_timeout)}")

    def _undo(self, driver: sqlite3.Connection, error: BaseException) -> None:
        harmed = isinstance(error, sqlite3.Error) and _code(error) not in _HARMLESS
        try:
            if driver.in_transaction:
                driver.execute("ROLLBACK")
        except sqlite3.Error:
            harmed = True
        if harmed:
            self._disconnect()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._refuse_scrap()
            driver = sqlite3.connect(
                self.file, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(driver)
            except BaseException:
                driver.close()
                raise
            self._connection = create_engine("sqlite://", creator=lambda: driver, poolclass=NullPool).connect()
        return self._connection

    def _refuse_scrap(self) -> None:
        # SQLite takes a file that is shorter than its smallest page for an empty one, and would write over it.
        if self.file.is_file() and 0 < self.file.stat().st_size < _PAGE_BYTES_MIN:
            raise NotALot(f"{self.file} is not an SQLite database, or is damaged; name another file")

    def _prepare(self, driver: sqlite3.Connection) -> None:
        if self._lenient:
            driver.text_factory = _text_or_bytes
        cursor = driver.cursor()
        # Before anything that would change a file that is not ours.
        version = sqlite_schema.version_of(cursor, self.file, self._kind)
        cursor.execute(f"PRAGMA synchronous = {self._synchronous}")
        for setting in _SETTINGS:
            cursor.execute(setting)
        self._use_wal(cursor)
        if version == 0:
            self._make_current(cursor)
        elif version < self._kind.version:
            self._upgrade(cursor)

    def _make_current(self, cursor: sqlite3.Cursor) -> None:
        cursor.execute("BEGIN IMMEDIATE")
        sqlite_schema.make_current(cursor, self.file, self._kind)
        cursor.execute("COMMIT")

    def _upgrade(self, cursor: sqlite3.Cursor) -> None:
        if not self._kind.exclusive:
            self._make_current(cursor)
            return
        lease = FileLease(self.file)
        if not lease.take():
            raise StoreInUse(
                f"{self.file} was written by an older version of this library, and a process still schedules it: "
                "stop that process, then try again"
            )
        try:
            self._make_current(cursor)
        finally:
            lease.give_back()

    def _use_wal(self, cursor: sqlite3.Cursor) -> None:
        # Of two connections that turn a new file to WAL at once, one is refused without being made to wait.
        deadline = steady_time() + self._busy_timeout
        while True:
            try:
                (mode,) = fetch_one(cursor, "PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or steady_time() >= deadline:
                    raise
                pause(_RETRY_S)
        if mode != "wal":
            raise StoreUnavailable(f"{self.file}: SQLite cannot keep a write-ahead log here; use a local disk")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error, SQLAlchemyError):
                connection.close()

    def _told(self, function: Callable[[], _T]) -> _T:
        """Turn what the driver and the operating system raise into errors of ours."""
        try:
            return function()
        except sqlite3.Error as error:
            raise self._meaning(error) from error
        except OSError as error:
            raise StoreUnavailable(f"{error.filename or self.file}: {error.strerror or error}") from error
        except (OverflowError, UnicodeEncodeError) as error:
            raise StoreUnavailable(f"{self.file}: a value cannot be kept: {error}") from error

    def _meaning(self, error: sqlite3.Error) -> StoreError:
        code = _code(error)
        if code in _DAMAGED:
            return NotALot(f"{self.file} is not an SQLite database, or is damaged ({error}); name another file")
        if self.file.is_dir():
            return StoreUnavailable(f"{self.file} is a directory; name a file")
        return StoreUnavailable(f"{self.file}: {_WORDS.get(code, 'SQLite failed')} ({error})")


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for errors of the Python module itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _text_or_bytes(text: bytes) -> str | bytes:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text
