"""What a database must be able to do for hosts to share a lot in it: synchronous functions of a SQLAlchemy connection.

``stores/_shared_queue.py`` makes a ``SharedQueue`` of them. The caller begins and commits.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import attrs
from sqlalchemy import Connection

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask, TaskState
from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.ports import Admit, Batch, Host, Need, Overview, Request, StoredTask
from parking_lot_drivers.shared_ports import News, Saved, SharedBudget, Window
from parking_lot_drivers.stores.sql.dialects import Cursor
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.set_aside import BadRow

#: Tasks with the mailboxes their outcomes go to, and rows that could not be decoded.
Found = tuple[list[tuple[ScheduledTask, MailboxKey]], list[BadRow]]


@attrs.frozen(kw_only=True)
class HostRow:
    """A host as it registers: its id, its process, and for how many seconds a lease lasts."""

    id: str
    pid: int
    hostname: str
    lease: float


@attrs.frozen(kw_only=True)
class Look:
    """What a window shall hold: how many ready tasks, and delayed or expiring ones up to which time (Unix seconds).

    ``free`` is as in ``SharedQueue.window``; ``depth_max`` is how many tasks are counted at the most. Of ``hosts``
    hosts that share the tasks, a task is that one's to start first whose ``place`` (from 0) is its sequence modulo
    ``hosts``.
    """

    limit: int
    until: float
    free: int = 0
    aging: bool = False
    hosts: int = 1
    place: int = 0
    depth_max: int = 1_000_000


@attrs.frozen(kw_only=True)
class Entry:
    """A task that is to be inserted in a transaction of an application.

    Attributes:
        task_id: its id.
        admit: see ``ports.Admit``.
        need: see ``ports.Need``.
        where: the queue's database in words.
        database: its name, if that is known.
        together: whether the mailbox is in the same database.
    """

    task_id: str
    admit: Admit
    need: Need
    where: str
    database: str | None
    together: bool


class SharedSql(abc.ABC):
    """The queue of one pool, in a database that several hosts share."""

    #: Whether ``enqueue`` without shares is a single statement.
    enqueues_in_one_statement: ClassVar[bool] = False
    #: The names under which hosts and clients tell each other news. The first one is the queue's own.
    channels: Sequence[str]

    @abc.abstractmethod
    def commit(
        self,
        connection: Connection,
        batch: Batch,
        host: str,
        mailbox: MailboxSql | None,
        *,
        fetch: Sequence[str] = (),
        strict: bool = False,
    ) -> Callable[[], Saved]:
        """See ``SharedQueue.commit``. What is returned says what was kept, once the transaction is committed.

        ``strict``: raise ``StoreUnavailable`` rather than lose a part.
        """

    @abc.abstractmethod
    def enqueue(
        self, connection: Connection, tasks: Sequence[StoredTask], *, shares: Checkpoint | None = None
    ) -> Callable[[], Saved]:
        """Insert new tasks that wait, for whoever asks, without a lease; those whose id is taken are lost.

        ``shares`` has the finish tags of tenants after these tasks. What is returned says what was kept.
        """

    def insert_for(self, connection: Connection, entry: Entry) -> bool:  # noqa: ARG002
        """Insert one new task in the transaction of an application, through its SQLAlchemy connection.

        Returns whether it is new. Raises ``ConfigError`` where the store cannot do that, ``InvalidTask`` for a
        connection to another database, ``QueueFull``, and what SQLAlchemy raises.
        """
        raise ConfigError(f"tasks cannot be submitted in a transaction of yours to this kind of queue ({entry.where})")

    def depth(self, connection: Connection, limit: int) -> int:
        """How many tasks the lot holds; ``limit``, if they are more."""
        return self.window(connection, Look(limit=1, until=0.0, depth_max=limit), "")[0].depth

    @abc.abstractmethod
    def reserve(self, connection: Connection, count: int) -> Checkpoint:
        """See ``SharedQueue.reserve``."""

    @abc.abstractmethod
    def window(self, connection: Connection, look: Look, host: str) -> tuple[Window, list[BadRow]]:
        """The window, and rows to be set aside."""

    @abc.abstractmethod
    def host_ids(self, connection: Connection) -> list[str]:
        """The ids of the hosts of this pool that live, in an order that is the same for all."""

    @abc.abstractmethod
    def mine(self, connection: Connection, host: str) -> Found:
        """The tasks that the host holds."""

    @abc.abstractmethod
    def end_leases(self, connection: Connection, lease: float) -> None:
        """Forget the hosts whose lease has lapsed."""

    @abc.abstractmethod
    def adopt(self, connection: Connection, host: str, limit: int) -> Found:
        """Hold the tasks of hosts that are not registered any more."""

    @abc.abstractmethod
    def register(self, connection: Connection, row: HostRow) -> None:
        """Take a lease, and write down the shared budget if there is one."""

    def renew(self, connection: Connection, row: HostRow) -> bool:
        """Renew a lease; False if it has lapsed and was ended."""
        return self.renew_with(connection.connection.cursor(), row)

    @abc.abstractmethod
    def renew_with(self, cursor: Cursor, row: HostRow) -> bool:
        """The same, for a thread that has a connection of the driver's."""

    @abc.abstractmethod
    def deregister(self, connection: Connection, host: str) -> None:
        """Give a lease back."""

    @abc.abstractmethod
    def load(self, connection: Connection) -> tuple[Found, Checkpoint | None]:
        """All tasks in the order of their sequence, rows to be set aside, and the checkpoint."""

    @abc.abstractmethod
    def payloads(self, connection: Connection, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads of those of the tasks that there are."""

    @abc.abstractmethod
    def find(self, connection: Connection, task_id: str) -> tuple[ScheduledTask, MailboxKey] | None:
        """One task, with its mailbox. A row that cannot be decoded is none."""

    @abc.abstractmethod
    def post(self, connection: Connection, request: Request) -> int:
        """Insert a request; returns its number."""

    @abc.abstractmethod
    def requests(self, connection: Connection, after: int, limit: int) -> tuple[list[Request], list[BadRow]]:
        """The oldest requests past ``after``; and rows to be set aside."""

    @abc.abstractmethod
    def overview(self, connection: Connection, limit: int) -> Overview:
        """The lot at one moment; ``host`` is the longest-serving one that lives."""

    @abc.abstractmethod
    def hosts(self, connection: Connection) -> list[Host]:
        """The hosts that live."""

    @abc.abstractmethod
    def set_aside(self, connection: Connection, bad_rows: Sequence[BadRow]) -> None:
        """Move rows out of the way, with their payloads."""

    @abc.abstractmethod
    def prune(self, connection: Connection, before: float) -> Mapping[str, int]:
        """Delete what ended before this time (Unix seconds); how many rows of what."""


@attrs.frozen(kw_only=True)
class Policy:
    """How a shared lot is kept: the shared budget, whether moves are recorded, whether ended tasks are archived."""

    budget: SharedBudget | None = None
    audit: bool = True
    archive: bool = False


def news_of(batch: Batch) -> News:
    """What others may want to know of a batch."""
    waits = any(stored.task.state is TaskState.PARKED for stored in batch.added)
    waits = waits or any(task.state is TaskState.PARKED for task in batch.changed)
    return (News.WORK if waits else News(0)) | (News.OUTCOMES if batch.delivered else News(0))
