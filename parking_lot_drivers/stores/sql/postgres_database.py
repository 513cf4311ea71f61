"""One connection to a Postgres server, and the thread it lives on."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import anyio
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.stores._worker import worker
from parking_lot_drivers.stores.sql import postgres_connection
from parking_lot_drivers.stores.sql.postgres_connection import (
    PostgresConnection,
    connect,
    may_pass,
    original,
    psycopg,
    told,
)

__all__ = ["PostgresDatabase", "connect", "told"]

_T = TypeVar("_T")

_PAUSE_FIRST = 0.1
_PAUSE_MOST = 2.0

#: How often a transaction that lost against others is run again.
_RETRIES = 3

#: The longest that it lets the others pass before the first retry, in seconds; before each further one, twice that.
_GIVE_WAY = 0.05

_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_SNAPSHOT = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

# A server whose default is off would acknowledge what it may forget; one that waits for a standby is left alone.
_FLUSH = b"SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
_NO_FLUSH = b"SET synchronous_commit = off"

_STANDSTILL = "SELECT set_config('idle_in_transaction_session_timeout', %s, false)"

# After these another connection may do better: statements that it has prepared no longer fit the tables or are unknown
# to the server (behind some proxies); or the server has become a standby, and the URL names others.
_SPOILS = (
    psycopg.InterfaceError,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.ReadOnlySqlTransaction,
)
_LOST_A_RACE = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class PostgresDatabase:
    """A connection to the database at ``url``, used in a thread of its own; calls follow one another.

    ``where`` names the database in messages, without secrets. After any failure the transaction is rolled back; a
    connection that broke is dropped, and the next call opens another. Every method raises ``StoreUnavailable``; its
    ``__cause__`` is psycopg's error. If a commit was under way when the connection broke, it may have been kept.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_for_server: float = 0.0,
        application_name: str = "parking-lot",
        synchronous_commit: bool = True,
        standstill: float | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            url: ``postgresql://user:password@host:port/database``; ``postgres://`` and ``postgresql+driver://`` too.
            wait_for_server: for how long ``open`` tries to reach a server that is down or starting, in seconds.
            application_name: the name in ``pg_stat_activity``, unless the URL gives one.
            synchronous_commit: False acknowledges commits before they are flushed to disk.
            standstill: for how many seconds this process may stand still in the midst of a transaction, and keep others
                waiting for what it has locked; then the server ends the connection. ``None`` is for ever.

        Raises:
            ConfigError: the URL cannot be read.
        """
        self.where = postgres_connection.where(url)
        self._url = url
        self._wait_for_server = wait_for_server
        self._application_name = application_name
        self._durability = _FLUSH if synchronous_commit else _NO_FLUSH
        self._standstill = standstill
        self._thread = worker("parking-lot-postgres")
        self._connection: tuple[Connection, PostgresConnection] | None = None
        self._opened = False

    async def open(self) -> None:
        """Connect. A server that is down or starting is waited for, up to ``wait_for_server`` seconds.

        What does not pass (a refused user or password, a missing database or right) raises at once.
        """
        deadline = anyio.current_time() + self._wait_for_server
        pause = _PAUSE_FIRST
        try:
            while True:
                last = anyio.current_time() >= deadline
                if await self._thread.run(partial(self._reach, last=last)):
                    break
                await anyio.sleep(min(pause, max(0.0, deadline - anyio.current_time())))
                pause = min(2 * pause, _PAUSE_MOST)
        except BaseException:
            await self.aclose()
            raise
        self._opened = True

    async def read(self, function: Callable[[Connection], _T], *, snapshot: bool = False) -> _T:
        """Run ``function`` outside of transactions: each statement sees what is committed when it starts.

        With ``snapshot`` all its statements see the same, and none may write.
        """
        if snapshot:
            return await self._run(lambda: self._transaction(_BEGIN_SNAPSHOT, function, pipeline=False))
        return await self._run(lambda: self._bare(function))

    async def write(self, function: Callable[[Connection], _T], *, pipeline: bool = False) -> _T:
        """Run ``function`` in a transaction and commit. If it or the commit fails, nothing is kept.

        A transaction that loses against others (deadlock, serialization) is run again, so ``function`` must bear
        being called again. With ``pipeline`` no statement waits for the one before it, and if ``function`` reads no
        result, all of it is one round trip; a result that it reads costs one. Results can also be read from the
        cursors when ``write`` has returned. A statement that fails may be told only when a result is read, or at the
        end.
        """
        return await self._run(lambda: self._persistently(function, pipeline))

    async def aclose(self) -> None:
        """Close the connection and end the thread; ``open`` starts again. Safe to call twice, and without ``open``."""
        self._opened = False
        if self._connection is not None:
            await self._thread.run(self._disconnect)
        self._thread.stop()

    async def _run(self, function: Callable[[], _T]) -> _T:
        if not self._opened:
            raise StoreUnavailable(f"{self.where} is not open: await open() first")
        return await self._thread.run(lambda: self._told(function))

    # In the thread

    def _told(self, function: Callable[[], _T]) -> _T:
        with told(self.where):
            return function()

    def _reach(self, *, last: bool) -> bool:
        """Connect; False if it failed and another attempt may succeed."""
        try:
            self._told(self._connected)
        except StoreUnavailable as error:
            cause = error.__cause__
            if last or not isinstance(cause, psycopg.Error) or not may_pass(cause):
                raise
            return False
        return True

    def _persistently(self, function: Callable[[Connection], _T], pipeline: bool) -> _T:
        for retry in range(_RETRIES):
            try:
                return self._transaction(_BEGIN, function, pipeline=pipeline)
            except (psycopg.Error, DBAPIError) as error:
                if not isinstance(original(error), _LOST_A_RACE):
                    raise
            # At once, this one would often take the same lock again before the winner wakes, and lose again.
            time.sleep(_GIVE_WAY * 2**retry * random.uniform(0.5, 1.0))
        return self._transaction(_BEGIN, function, pipeline=pipeline)

    def _bare(self, function: Callable[[Connection], _T]) -> _T:
        connection, driver = self._connected()
        try:
            value = function(connection)
        except BaseException as error:
            self._undo(connection, driver, error)
            raise
        _tidy(connection)
        return value

    def _transaction(self, begin: bytes, function: Callable[[Connection], _T], *, pipeline: bool) -> _T:
        connection, driver = self._connected()
        try:
            with driver.pipeline() if pipeline else contextlib.nullcontext():
                driver.execute(begin)
                value = function(connection)
                committed = driver.execute(b"COMMIT")
            if committed.statusmessage != "COMMIT":
                # A failed statement has ended the transaction, and the function has swallowed its error.
                raise psycopg.errors.InFailedSqlTransaction("a statement failed, so the transaction was rolled back")
        except BaseException as error:
            self._undo(connection, driver, error)
            raise
        _tidy(connection)
        return value

    def _undo(self, connection: Connection, driver: PostgresConnection, error: BaseException) -> None:
        """Roll back; drop the connection where that does not help, or it is no longer what it was."""
        usable = not driver.closed and not isinstance(original(error), _SPOILS)
        try:
            if usable:
                driver.rollback()
                usable = _is_idle(driver)
            _tidy(connection)
        except (psycopg.Error, SQLAlchemyError):
            usable = False
        if not usable:
            self._disconnect()

    def _connected(self) -> tuple[Connection, PostgresConnection]:
        if self._connection is None:
            driver = connect(self._url, application_name=self._application_name)
            try:
                driver.execute(self._durability)
                if self._standstill is not None:
                    driver.execute(_STANDSTILL, (str(max(1, round(1000 * self._standstill))),))
                # SQLAlchemy asks a few things about the server once; in autocommit mode it begins no transactions.
                engine = create_engine(
                    "postgresql+psycopg://",
                    creator=lambda: driver,
                    poolclass=NullPool,
                    pool_reset_on_return=None,
                    use_native_hstore=False,
                )
                self._connection = engine.connect(), driver
            except BaseException:
                driver.close()
                raise
        return self._connection

    def _disconnect(self) -> None:
        both, self._connection = self._connection, None
        if both is not None:
            connection, driver = both
            with contextlib.suppress(psycopg.Error, SQLAlchemyError):
                connection.close()
            driver.close()


def _tidy(connection: Connection) -> None:
    """SQLAlchemy notes that a transaction began as soon as it runs a statement; it must note the end, too."""
    if connection.in_transaction():
        connection.rollback()


def _is_idle(driver: PostgresConnection) -> bool:
    info = driver.info
    return (
        info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        and info.pipeline_status == psycopg.pq.PipelineStatus.OFF
    )
