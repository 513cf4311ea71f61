"""A ``SharedQueue`` in any database that has a ``SharedSql``: two connections, a heartbeat, and the news."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.clock import steady_time, wall_time
from parking_lot_drivers.errors import StoreError, StoreInUse, StoreUnavailable
from parking_lot_drivers.ports import Admit, Batch, Host, Loaded, Need, Overview, Request, StoredTask
from parking_lot_drivers.shared_ports import AuditFilter, AuditRecord, Loss, News, Saved, SharedQueue, Window
from parking_lot_drivers.stores._heartbeat import Ear, Heartbeat, Pulse, heartbeat
from parking_lot_drivers.stores._worker import loop_entry
from parking_lot_drivers.stores.sql import audit
from parking_lot_drivers.stores.sql.callers import connection_of
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.set_aside import BadRow, reports
from parking_lot_drivers.stores.sql.shared_sql import Entry, HostRow, Look, SharedSql, news_of

if TYPE_CHECKING:  # who imports it first tells that it is missing: ``stores/sql``
    from sqlalchemy import Connection

_T = TypeVar("_T")

#: For how many seconds a host holds its tasks without a sign of life.
LEASE = 15.0

#: How often a host looks without having heard of anything, in seconds.
POLL = 1.0

_REQUESTS_POLL = 0.05


class Database(Protocol):
    """What is asked of a connection in a thread of its own."""

    where: str

    async def open(self) -> None: ...

    async def read(self, function: Callable[[Connection], _T], *, snapshot: bool = False) -> _T: ...

    async def write(self, function: Callable[[Connection], _T], *, pipeline: bool = False) -> _T: ...

    async def aclose(self) -> None: ...


class SharedSqlQueue(SharedQueue):
    """The queue of one pool in a database.

    Args:
        sql: what the database can do.
        writer: the connection of commits, and of reads that they depend on.
        reader: the connection of all other reads, so that a long look delays no commit.
        ear: makes the heartbeat's connection, given the host that it renews, if any.
        lease: seconds that a host holds its tasks without a sign of life.
        poll: seconds between two looks without news.
        pipelined: whether a commit's statements can be sent without waiting for each.
    """

    def __init__(
        self,
        sql: SharedSql,
        writer: Database,
        reader: Database,
        ear: Callable[[Callable[[], HostRow | None]], Ear],
        *,
        lease: float = LEASE,
        poll: float = POLL,
        aging: bool = False,
        pipelined: bool = True,
    ) -> None:
        self._sql = sql
        self._writer = writer
        self._reader = reader
        self._make_ear = ear
        self._lease = lease
        self._poll = poll
        self._aging = aging
        self._pipelined = pipelined
        self._row: HostRow | None = None
        self._heartbeat: Heartbeat | None = None
        self._news = News(0)
        self._heard: anyio.Event | None = None
        self._mailbox: MailboxSql | None = None
        self._opened = False
        self._last_request = 0
        self._counted = (1, 0)
        self._counted_at = -math.inf
        # When the database was last found out of reach.
        self._trouble_at = -math.inf

    @property
    def host(self) -> str:
        """See ``SharedQueue.host``."""
        return "" if self._row is None else self._row.id

    # -- opening and closing -------------------------------------------------------------------------------------

    async def open(self, *, schedule: bool = True) -> None:
        """Connect and, with ``schedule``, register this host.

        Raises ``SchemaMissing``, ``StoreTooNew``, ``StoreInUse`` or ``StoreUnavailable``.
        """
        if schedule and self._row is not None:
            raise StoreInUse("this queue object schedules already: give each pool a queue of its own")
        try:
            await self._writer.open()
            await self._prepare()
            await self._reader.open()
            self._opened = True
            if schedule:
                await self._register()
            self._listen()
        except BaseException:
            await self.aclose()
            raise

    async def _prepare(self) -> None:
        """See that the tables are there; for those who inherit."""

    async def _register(self) -> None:
        hostname, pid = socket.gethostname(), os.getpid()
        row = HostRow(id=self._new_name(hostname, pid), pid=pid, hostname=hostname, lease=self._lease)
        await self._writer.write(lambda connection: self._sql.register(connection, row))
        self._row = row

    def _new_name(self, hostname: str, pid: int) -> str:
        """An id that no host ever had."""
        # The audit trail names hosts that have gone: a person should see which process on which machine it was.
        return f"{hostname[:40]}-{pid}-{uuid.uuid4().hex[:8]}"

    def _listen(self) -> None:
        soon = loop_entry()
        ear = self._make_ear(lambda: self._row)
        period = None if self._row is None else self._lease / 3

        def hear(news: News) -> None:
            with contextlib.suppress(RuntimeError):  # the event loop has gone, and with it whoever would listen
                soon(lambda: self._announce(news))

        self._heartbeat = heartbeat(Pulse(ear, hear, period=period))
        self._heartbeat.start()

    async def aclose(self) -> None:
        """Give the lease back and disconnect."""
        with anyio.CancelScope(shield=True):
            beating, self._heartbeat = self._heartbeat, None
            if beating is not None:
                await beating.aclose()
            row, self._row = self._row, None
            if row is not None:
                with contextlib.suppress(StoreError):  # it lapses by itself
                    await self._writer.write(lambda connection: self._sql.deregister(connection, row.id))
            await self._reader.aclose()
            await self._writer.aclose()
            self._opened = False

    # -- scheduling ----------------------------------------------------------------------------------------------

    async def reserve(self, count: int) -> Checkpoint:
        """See ``SharedQueue.reserve``."""
        return await self._writer.read(lambda connection: self._sql.reserve(connection, count))

    async def commit(self, batch: Batch, *, fetch: Sequence[str] = ()) -> Saved:
        """See ``SharedQueue.commit``."""
        row, mailbox = self._scheduling(), self._mailbox
        finish = await self._writer.write(
            lambda connection: self._sql.commit(connection, batch, row.id, mailbox, fetch=fetch),
            pipeline=self._pipelined,
        )
        self._tell(news_of(batch))
        return finish()

    async def enqueue(
        self, tasks: Sequence[StoredTask], *, once: Sequence[str] = (), shares: Checkpoint | None = None
    ) -> Saved:
        """See ``SharedQueue.enqueue``."""
        mailbox, ended = self._mailbox, set[str]()

        def insert(connection: Connection) -> Callable[[], Saved]:
            new = [stored for stored in tasks if stored.task.id not in ended]
            finish = self._sql.enqueue(connection, new, shares=shares)
            left = [task_id for task_id in once if task_id not in ended]
            # After the insert: whoever had the id has ended by then, and its outcome can be seen.
            if left and mailbox is not None and (found := mailbox.ended(connection, left) - finish().lost.keys()):
                raise _AlreadyEnded(found)
            return finish

        while True:
            try:
                if not once and shares is None and self._sql.enqueues_in_one_statement:
                    saved = (await self._writer.read(insert))()  # which is a transaction by itself, and sooner over
                else:
                    saved = (await self._writer.write(insert, pipeline=self._pipelined))()
            except _AlreadyEnded as error:  # nothing was kept: once more without them
                ended |= error.task_ids
                continue
            self._tell(News.WORK)
            return Saved(lost={**saved.lost, **dict.fromkeys(ended, Loss.DUPLICATE)})

    async def depth(self, limit: int) -> int:
        """See ``SharedQueue.depth``."""
        return await self._reader.read(lambda connection: self._sql.depth(connection, limit))

    def _tell(self, news: News) -> None:
        if news and self._heartbeat is not None:
            self._heartbeat.tell(news)

    async def save(self, batch: Batch) -> None:
        """See ``TaskQueue.save``."""
        row, mailbox = self._scheduling(), self._mailbox
        await self._writer.write(lambda connection: self._sql.commit(connection, batch, row.id, mailbox, strict=True)())
        self._tell(news_of(batch))

    def _scheduling(self) -> HostRow:
        if self._row is None:
            raise StoreUnavailable(f"{self._writer.where} is not open to schedule it: await open() first")
        return self._row

    async def window(self, limit: int, *, free: int = 0) -> Window:
        """See ``SharedQueue.window``."""
        hosts, place = await self._place()
        look = Look(
            limit=limit,
            until=wall_time() + 2 * self._poll,
            free=free,
            aging=self._aging,
            hosts=hosts,
            place=place,
        )
        window, bad = await self._reader.read(lambda connection: self._sql.window(connection, look, self.host))
        if bad:
            await self._set_aside(bad)
        return window

    async def _place(self) -> tuple[int, int]:
        """How many hosts share the tasks, and this one's place among them, as they were at most a period ago."""
        if steady_time() >= self._counted_at + self._poll:
            hosts = await self._reader.read(self._sql.host_ids)
            self._counted_at = steady_time()
            self._counted = (len(hosts), hosts.index(self.host)) if self.host in hosts else (1, 0)
        return self._counted

    async def mine(self) -> Loaded:
        """See ``SharedQueue.mine``."""
        row = self._scheduling()
        with self._noting_trouble():
            renewed = await self._writer.write(lambda connection: self._sql.renew(connection, row))
        if not renewed:
            await self._register()
            row = self._scheduling()
        tasks, bad = await self._writer.read(lambda connection: self._sql.mine(connection, row.id))
        await self._set_aside(bad)
        return Loaded(tasks=tasks, set_aside=reports(bad))

    async def adopt_orphans(self, limit: int = 1000) -> Sequence[tuple[ScheduledTask, MailboxKey]]:
        """See ``SharedQueue.adopt_orphans``."""
        row = self._scheduling()
        with self._noting_trouble():
            # Who could not reach the database gives the others, who could not either, a term to renew their leases.
            if steady_time() >= self._trouble_at + row.lease:
                await self._writer.write(lambda connection: self._sql.end_leases(connection, row.lease))
            tasks, bad = await self._writer.write(lambda connection: self._sql.adopt(connection, row.id, limit))
        await self._set_aside(bad)
        return tasks

    @contextlib.contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable:
            self._trouble_at = steady_time()
            raise

    async def load(self) -> Loaded:
        """Everything saved, tasks in the order of their sequence. Adopts orphans first, if this object schedules."""
        self._last_request = 0
        if self._row is not None:
            await self.adopt_orphans()
        (tasks, bad), checkpoint = await self._writer.read(self._sql.load, snapshot=True)
        await self._set_aside(bad)
        return Loaded(tasks=tasks, checkpoint=checkpoint, set_aside=reports(bad))

    # -- in a transaction of the caller's ---------------------------------------------------------------------------

    def submit_in(self, connection: Any, request: Request, admit: Admit, need: Need) -> bool:
        """See ``TaskQueue.submit_in``."""
        entry = Entry(
            task_id=request.task_id,
            admit=admit,
            need=need,
            where=self._writer.where,
            database=self._database_name(),
            together=self._mailbox is not None,
        )
        return self._sql.insert_for(connection_of(connection), entry)

    def _database_name(self) -> str | None:
        """The database's name, where the server has several; for those who inherit."""
        return None

    # -- reading -------------------------------------------------------------------------------------------------

    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads by task id. Raises ``StoreUnavailable``."""
        return await self._reader.read(lambda connection: self._sql.payloads(connection, task_ids))

    async def get(self, task_id: str) -> ScheduledTask | None:
        """One task, if the queue has it. Raises ``StoreUnavailable``."""
        found = await self.find(task_id)
        return None if found is None else found[0]

    async def find(self, task_id: str) -> tuple[ScheduledTask, MailboxKey] | None:
        """See ``SharedQueue.find``."""
        return await self._reader.read(lambda connection: self._sql.find(connection, task_id))

    async def overview(self, *, limit: int = 20) -> Overview:
        """The lot at one moment. Raises ``StoreUnavailable``."""
        return await self._reader.read(lambda connection: self._sql.overview(connection, limit), snapshot=True)

    async def hosts(self) -> list[Host]:
        """The hosts that schedule this pool at present. Raises ``StoreUnavailable``."""
        return await self._reader.read(self._sql.hosts)

    async def prune(self, *, older_than: float) -> Mapping[str, int]:
        """See ``SharedQueue.prune``."""
        before = wall_time() - older_than
        return await self._writer.write(lambda connection: self._sql.prune(connection, before))

    async def audit(self, wanted: AuditFilter | None = None, *, limit: int = 1000) -> Sequence[AuditRecord]:
        """See ``SharedQueue.audit``."""
        if limit < 1:
            raise ValueError(f"limit: expected an integer ≥ 1, got {limit!r}")
        sought = wanted or AuditFilter()
        return await self._reader.read(lambda connection: audit.records(connection, sought, limit))

    # -- requests and news ---------------------------------------------------------------------------------------

    async def post(self, request: Request) -> int:
        """Keep a request for the hosts. Raises ``StoreUnavailable``."""
        number = await self._writer.write(lambda connection: self._sql.post(connection, request))
        self._tell(News.REQUESTS)
        return number

    async def requests(self, *, after: int = 0, limit: int = 1000) -> list[Request]:
        """Requests not yet answered past ``after``, oldest first. Raises ``StoreUnavailable``."""
        found, bad = await self._writer.read(lambda connection: self._sql.requests(connection, after, limit))
        if bad and self._row is not None:
            await self._set_aside(bad)
            return await self.requests(after=after, limit=limit)
        if found:
            self._last_request = found[-1].number
        return found

    async def wait_for_requests(self) -> None:
        """Return when there is a request later than those that ``requests`` has returned."""
        while True:
            await anyio.sleep(_REQUESTS_POLL)
            if await self._reader.read(self._has_request):
                return

    def _has_request(self, connection: Connection) -> bool:
        return bool(self._sql.requests(connection, self._last_request, 1)[0])

    async def wait_for_news(self) -> News:
        """See ``SharedQueue.wait_for_news``."""
        with anyio.move_on_after(self._poll):
            while not self._news:
                self._heard = anyio.Event()
                await self._heard.wait()
        news, self._news = self._news, News(0)
        return news or News.ROUTINE

    def _announce(self, news: News) -> None:
        self._news |= news
        if self._heard is not None:
            self._heard.set()

    async def _set_aside(self, bad: Sequence[BadRow]) -> None:
        if bad and self._row is not None:
            await self._writer.write(lambda connection: self._sql.set_aside(connection, bad))


class _AlreadyEnded(Exception):
    """Tasks that were to be inserted have outcomes: the transaction must not be kept."""

    def __init__(self, task_ids: set[str]) -> None:
        self.task_ids = task_ids
        super().__init__(task_ids)
