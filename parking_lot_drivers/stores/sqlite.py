"""The embedded durable queue and mailbox: one SQLite file, one scheduling process, any number that look and post.

Commits are flushed to disk before they are acknowledged (write-ahead log, ``synchronous=FULL``). A queue and a mailbox
on the same file share its transactions (see ``SqliteQueue.adopt``).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import attrs

from parking_lot_core import ScheduledTask
from parking_lot_drivers.clock import steady_time, wall_time
from parking_lot_drivers.errors import StoreError, StoreInUse, StoreUnavailable
from parking_lot_drivers.ports import (
    Admit,
    Batch,
    Host,
    Loaded,
    Mailbox,
    Need,
    Overview,
    Request,
    TaskQueue,
)
from parking_lot_drivers.stores._lease import FileLease
from parking_lot_drivers.stores._mailbox import SqlMailbox
from parking_lot_drivers.stores.sql.callers import connection_of
from parking_lot_drivers.stores.sql.dialects import SQLITE
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.queue import QueueSql
from parking_lot_drivers.stores.sql.set_aside import BadRow, reports
from parking_lot_drivers.stores.sql.sqlite_database import SqliteDatabase
from parking_lot_drivers.stores.sql.sqlite_insert import insert_request
from parking_lot_drivers.stores.sql.statements import compiled

if TYPE_CHECKING:  # who imports it first tells that it is missing: ``stores/sql``
    from sqlalchemy import Connection

#: How often the scheduling process looks for requests of others, in seconds. A look costs some microseconds.
POLL_PERIOD = 0.05

#: How often the lease is renewed, in seconds. Nobody waits for it to lapse: the lock is what counts.
RENEWAL_PERIOD = 30.0


class SqliteMailbox(SqlMailbox):
    """Outcomes of one pool in ``file``. Other processes may read it, and deliver to it, at the same time.

    ``busy_timeout`` is how long to wait while another process writes, in seconds. ``open`` makes the file if it is
    missing, and raises ``NotALot``, ``StoreTooNew`` or ``StoreUnavailable``.
    """

    def __init__(self, file: Path, pool: str, *, busy_timeout: float = 5.0) -> None:
        self.file = Path(file).resolve()
        super().__init__(SqliteDatabase(self.file, busy_timeout=busy_timeout), MailboxSql(compiled(SQLITE), pool))


class SqliteQueue(TaskQueue):
    """Tasks of one pool in ``file``. One object at a time, in one process, may be open to schedule it.

    Saves and loads go through one connection, what only looks through another, so that a long look delays no save.
    ``busy_timeout`` is how long to wait while another process writes, in seconds.
    """

    def __init__(self, file: Path, pool: str, *, busy_timeout: float = 5.0) -> None:
        self.file = Path(file).resolve()
        self._pool = pool
        self._sql = QueueSql(compiled(SQLITE), pool)
        self._writer = SqliteDatabase(self.file, busy_timeout=busy_timeout)
        self._reader = SqliteDatabase(self.file, busy_timeout=busy_timeout)
        self._lease = FileLease(self.file)
        self._renewed_at = 0.0
        self._mailbox: SqliteMailbox | None = None
        self._last_request = 0
        self._version_seen: int | None = None

    async def open(self, *, schedule: bool = True) -> None:
        """Make the file if it is missing and, with ``schedule``, take the lease.

        Raises ``StoreInUse``, ``StoreTooNew``, ``NotALot`` or ``StoreUnavailable``.
        """
        if schedule and self._lease.taken:
            raise StoreInUse(f"{self.file} is scheduled already, with this queue: give each pool a queue of its own")
        try:
            await self._writer.open()
            await self._reader.open()
            if schedule:
                await self._take_lease()
        except BaseException:
            await self.aclose()
            raise

    def adopt(self, mailbox: Mailbox) -> bool:
        """True for a ``SqliteMailbox`` on the same file."""
        if not isinstance(mailbox, SqliteMailbox) or mailbox.file != self.file:
            return False
        self._mailbox = mailbox
        return True

    async def load(self) -> Loaded:
        """Everything saved, tasks in the order of their sequence. Raises ``StoreUnavailable``."""
        self._last_request = 0
        self._version_seen = None
        (tasks, bad), checkpoint = await self._writer.read(self._sql.load)
        await self._set_aside(bad)
        return Loaded(tasks=tasks, checkpoint=checkpoint, set_aside=reports(bad))

    async def save(self, batch: Batch) -> None:
        """Commit the batch and flush it to disk. Raises ``StoreUnavailable``, also without the lease."""
        if not self._lease.taken:
            raise StoreUnavailable(f"{self.file} is not open to schedule it: await open() first")
        mailbox = self._mailbox.sql if self._mailbox is not None else None
        await self._writer.write(lambda connection: self._sql.save(connection, batch, mailbox))

    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads by task id. Raises ``StoreUnavailable``."""
        return await self._reader.read(lambda connection: self._sql.payloads(connection, task_ids))

    async def get(self, task_id: str) -> ScheduledTask | None:
        """One task, if the queue has it. Raises ``StoreUnavailable``."""
        return await self._reader.read(lambda connection: self._sql.get(connection, task_id))

    async def post(self, request: Request) -> int:
        """Keep a request for the scheduling process. Raises ``StoreUnavailable``."""
        number = await self._writer.write(lambda connection: self._sql.post(connection, request))
        self._version_seen = None  # A connection's own commits do not change its data_version.
        return number

    async def post_all(self, requests: Sequence[Request]) -> None:
        """Keep several requests in one transaction. Raises ``StoreUnavailable``."""

        def post(connection: Connection) -> None:
            for request in requests:
                self._sql.post(connection, request)

        await self._writer.write(post)
        self._version_seen = None

    def submit_in(self, connection: Any, request: Request, admit: Admit, need: Need) -> bool:  # noqa: ARG002
        """See ``TaskQueue.submit_in``. What is kept is a request: the scheduling process admits the task."""
        return insert_request(connection_of(connection), self.file, self._pool, request, new=need.once)

    async def requests(self, *, after: int = 0, limit: int = 1000) -> list[Request]:
        """Requests not yet answered past ``after``, oldest first. Raises ``StoreUnavailable``."""
        found, bad = await self._writer.read(lambda connection: self._sql.requests(connection, after, limit))
        if bad and self._lease.taken:
            await self._set_aside(bad)
            return await self.requests(after=after, limit=limit)
        if found:
            self._last_request = found[-1].number
        self._version_seen = None  # There may be more than ``limit``.
        return found

    async def wait_for_requests(self) -> None:
        """Return when there is a request later than those that ``requests`` has returned.

        Renews the lease from time to time. Raises ``StoreUnavailable``.
        """
        while True:
            await anyio.sleep(POLL_PERIOD)  # First, so that a caller who leaves requests lying does not spin.
            await self._renew_lease()
            if await self._has_news():
                return

    async def overview(self, *, limit: int = 20) -> Overview:
        """The lot at one moment; ``host`` only while it lives. Raises ``StoreUnavailable``."""
        seen = await self._reader.read(lambda connection: self._sql.overview(connection, limit))
        alive = await self._reader.call(self._lease.held)
        return seen if alive else attrs.evolve(seen, host=None)

    async def aclose(self) -> None:
        """Give the lease back and close the file."""
        with anyio.CancelScope(shield=True):
            if self._lease.taken:
                with contextlib.suppress(StoreError):  # The row only informs; the lock is what counts.
                    await self._writer.write(self._sql.drop_lease)
            await self._reader.aclose()
            await self._writer.aclose()
            self._lease.give_back()

    async def _take_lease(self) -> None:
        if not await self._writer.call(self._lease.take):
            holder = await self._reader.read(self._sql.host)
            raise StoreInUse(f"{self.file} is scheduled by {_words(holder)}; {_INSTEAD}")
        host = Host(pid=os.getpid(), hostname=socket.gethostname(), renewed_at=wall_time())
        await self._writer.write(lambda connection: self._sql.take_lease(connection, host))
        self._renewed_at = steady_time()

    async def _renew_lease(self) -> None:
        if self._lease.taken and steady_time() >= self._renewed_at + RENEWAL_PERIOD:
            await self._writer.write(lambda connection: self._sql.renew_lease(connection, wall_time()))
            self._renewed_at = steady_time()

    async def _has_news(self) -> bool:
        version = await self._writer.data_version()
        if version == self._version_seen:
            return False
        self._version_seen = version
        return await self._writer.read(lambda connection: self._sql.has_request_after(connection, self._last_request))

    async def _set_aside(self, bad: Sequence[BadRow]) -> None:
        if bad and self._lease.taken:
            await self._writer.write(lambda connection: self._sql.set_aside(connection, bad))


_INSTEAD = "stop it, or leave the scheduling to it: other processes may submit, cancel and fetch"


def _words(holder: Host | None) -> str:
    if holder is None:
        return "another process"
    renewed = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.renewed_at))
    return f"process {holder.pid} on {holder.hostname} (lease renewed {renewed})"
