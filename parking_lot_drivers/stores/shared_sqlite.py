"""Queue and mailbox in one SQLite file that any number of processes of one machine schedule at the same time.

For processes that share a budget of units, such as the workers of one web server that share a GPU. Where one process
schedules, ``stores/sqlite.py`` is faster.

SQLite lets one process write at a time. One that is stopped (SIGSTOP, a debugger) just while it writes holds up all
others until it goes on or dies; one that is killed then holds up nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.clock import steady_time
from parking_lot_drivers.ports import Mailbox
from parking_lot_drivers.shared_ports import News
from parking_lot_drivers.stores._heartbeat import Ear
from parking_lot_drivers.stores._shared_queue import LEASE, POLL, SharedSqlQueue
from parking_lot_drivers.stores.sql.dialects import SQLITE, fetch_one
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.shared_sql import HostRow, Policy
from parking_lot_drivers.stores.sql.shared_sqlite_queue import Counts, SharedSqliteSql
from parking_lot_drivers.stores.sql.shared_sqlite_schema import SHARED_FILE, TABLES
from parking_lot_drivers.stores.sql.sqlite_database import SqliteDatabase
from parking_lot_drivers.stores.sql.statements import compiled
from parking_lot_drivers.stores.sqlite import SqliteMailbox

if TYPE_CHECKING:  # who imports it first tells that it is missing: ``stores/sql``
    from sqlalchemy import Connection

#: How often a host looks whether the file has changed, in seconds. A look costs some microseconds.
NEWS_PERIOD = 0.02

_KINDS = (News.WORK, News.OUTCOMES, News.REQUESTS)


class SharedSqliteMailbox(SqliteMailbox):
    """Outcomes of one pool in ``file``, which a ``SharedSqliteQueue`` may use too.

    ``busy_timeout`` is how long to wait while another process writes, in seconds.
    """

    def __init__(self, file: Path, pool: str, *, busy_timeout: float = 5.0) -> None:
        super().__init__(file, pool, busy_timeout=busy_timeout)
        self.sql = MailboxSql(compiled(SQLITE, TABLES.lot), pool)
        self._database = SqliteDatabase(self.file, busy_timeout=busy_timeout, kind=SHARED_FILE)


class SharedSqliteQueue(SharedSqlQueue):
    """Tasks of one pool in ``file``. Every process that schedules it opens an object of its own.

    Args:
        file: made if it is missing. It must lie on a disk of this machine.
        pool: the pool's name.
        policy: the shared budget, the audit trail, the archive.
        lease: seconds that a host holds its tasks without a sign of life.
        poll: seconds between two looks without news.
        aging: whether the pool's tasks gain classes as they wait.
        busy_timeout: how long to wait while another process writes, in seconds.
    """

    def __init__(
        self,
        file: Path,
        pool: str,
        *,
        policy: Policy | None = None,
        lease: float = LEASE,
        poll: float = POLL,
        aging: bool = False,
        busy_timeout: float = 5.0,
    ) -> None:
        self.file = Path(file).resolve()

        def database(*, durable: bool = True) -> SqliteDatabase:
            return SqliteDatabase(self.file, busy_timeout=busy_timeout, kind=SHARED_FILE, durable=durable)

        self._file_sql = SharedSqliteSql(pool, policy or Policy())
        # A drawn number need not be flushed by itself: it lies in the log before everything that uses it, so the flush
        # of the commit that does keeps both, and a power cut before that forgets both.
        self._numbers = database(durable=False)
        super().__init__(
            self._file_sql,
            database(),
            database(),
            lambda row: SqliteEar(database(durable=False), self._file_sql, row),
            lease=lease,
            poll=poll,
            aging=aging,
            pipelined=False,
        )

    def adopt(self, mailbox: Mailbox) -> bool:
        """True for a ``SharedSqliteMailbox`` on the same file."""
        if not isinstance(mailbox, SharedSqliteMailbox) or mailbox.file != self.file:
            return False
        self._mailbox = mailbox.sql
        return True

    async def reserve(self, count: int) -> Checkpoint:
        """See ``SharedQueue.reserve``."""
        return await self._numbers.write(lambda connection: self._file_sql.reserve(connection, count))

    async def adopt_orphans(self, limit: int = 1000) -> Sequence[tuple[ScheduledTask, MailboxKey]]:
        """See ``SharedQueue.adopt_orphans``."""
        self._scheduling()
        if not await self._writer.read(self._file_sql.lapsed):
            return []  # the usual case, for which nobody else need wait
        return await super().adopt_orphans(limit)

    async def aclose(self) -> None:
        """Give the lease back and close the file."""
        await super().aclose()
        await self._numbers.aclose()

    async def _prepare(self) -> None:
        await self._numbers.open()
        await self._numbers.write(self._file_sql.prepare)

    def _tell(self, news: News) -> None:
        """Nothing to do: what is news is counted in the commit itself."""


class SqliteEar(Ear):
    """Sees what other hosts and clients have counted as news, and renews the lease of ``row()``, if there is a row.

    A renewal need not be flushed: after a power cut no host is left that it could speak for.
    """

    def __init__(self, database: SqliteDatabase, sql: SharedSqliteSql, row: Callable[[], HostRow | None]) -> None:
        self._database = database
        self._sql = sql
        self._row = row
        self._woken = threading.Event()
        self._version = -1
        self._counts: Counts = {}

    def open(self) -> None:
        """Connect, and take note of what has been counted."""
        self._version = -1
        self._look()

    def wait(self, timeout: float) -> News:
        """What others have counted since."""
        deadline = steady_time() + timeout
        while True:
            news = self._look()
            left = deadline - steady_time()
            if news or left <= 0 or self._woken.wait(min(NEWS_PERIOD, left)):
                self._woken.clear()
                return news

    def _look(self) -> News:
        version = self._database.read_here(_data_version)
        if version == self._version:
            return News(0)
        self._version = version
        before, self._counts = self._counts, self._database.read_here(self._sql.news)
        row = self._row()
        news = News(0)
        for (pool, source), counts in self._counts.items():
            if row is None or source != row.id:
                old = before.get((pool, source), (0, 0, 0))
                for kind, now, then in zip(_KINDS, counts, old, strict=True):
                    if now != then:
                        news |= kind
        return news

    def renew(self) -> bool:
        """Renew the lease."""
        row = self._row()
        return row is None or self._database.write_here(lambda connection: self._sql.renew(connection, row))

    def tell(self, news: News) -> None:
        """Nothing to do: what is news is counted in the commit itself."""

    def wake(self) -> None:
        """End a wait."""
        self._woken.set()

    def close(self) -> None:
        """Disconnect."""
        self._database.close_here()


def _data_version(connection: Connection) -> int:
    """A number that changes when another connection has committed something."""
    return int(fetch_one(connection.connection.cursor(), "PRAGMA data_version")[0])
