"""Where a pool keeps its tasks and its results: the settings of queues and mailboxes.

Several pools may name one ``path``: each has a file of its own there. A queue and a mailbox of one pool with the same
``path`` share one file, and then one transaction covers both.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, TypeAlias

import attrs

from parking_lot_core.config import Seconds, Whole
from parking_lot_drivers.config.amounts import Duration
from parking_lot_drivers.config.kinds import Integer, Switch, read_as
from parking_lot_drivers.config.texts import FOLDER, PGMQ_NAME, TABLE, URL

#: The environment variable with the URL of databases for which a configuration gives none.
DATABASE_URL = "PARKING_LOT_DATABASE_URL"

_TTL = Duration(Seconds(0, exclusive=True, optional=True))
_LEASE = Duration(Seconds(1))
_WAIT = Duration(Seconds(0))


@attrs.frozen(kw_only=True)
class _InPostgres:
    """What lies in a Postgres database.

    Attributes:
        url: database URL; without one, the environment variable PARKING_LOT_DATABASE_URL.
        wait_for_server: for how long to try to reach a server that is down when the pool starts.
    """

    url: str | None = attrs.field(default=None, repr=False, metadata=read_as(URL))
    wait_for_server: float = attrs.field(default=0.0, metadata=read_as(_WAIT))


@attrs.frozen(kw_only=True)
class _SharedQueue(_InPostgres):
    """A queue that many hosts may schedule.

    Attributes:
        audit: whether every move of every task is written to an audit trail; see "parking-lot audit".
        archive: whether tasks that have ended are kept, payload and all, until they are pruned.
        lease: for how long a host holds its tasks without a sign of life; then others run them again.
    """

    audit: bool = attrs.field(default=True, metadata=read_as(Switch()))
    archive: bool = attrs.field(default=False, metadata=read_as(Switch()))
    lease: float = attrs.field(default=15.0, metadata=read_as(_LEASE))

    def mailbox(self) -> MailboxSettings:
        """The mailbox of a pool that names none: a table of the same database."""
        return PostgresMailbox(url=self.url, wait_for_server=self.wait_for_server)


@attrs.frozen(kw_only=True)
class InMemoryMailbox:
    """Results in this process's memory: gone when it ends."""

    tags: ClassVar[tuple[str, ...]] = ("in_memory",)


@attrs.frozen(kw_only=True)
class YaqueMailbox:
    """Results in a lot file, PATH/POOL.lot.

    Attributes:
        path: directory of the lot file, relative to the directory of the configuration file.
        ttl: outcomes older than that are deleted; without it, none ever is.
    """

    tags: ClassVar[tuple[str, ...]] = ("yaque", "sqlite")
    path: Path = attrs.field(metadata=read_as(FOLDER))
    ttl: float | None = attrs.field(default=None, metadata=read_as(_TTL))


@attrs.frozen(kw_only=True)
class PostgresMailbox(_InPostgres):
    """Results in a table of a Postgres database.

    Attributes:
        table: name of the table.
        ttl: outcomes older than that are deleted; without it, none ever is.
    """

    tags: ClassVar[tuple[str, ...]] = ("postgres",)
    table: str = attrs.field(default="parking_lot_results", metadata=read_as(TABLE))
    ttl: float | None = attrs.field(default=None, metadata=read_as(_TTL))


MailboxSettings: TypeAlias = InMemoryMailbox | YaqueMailbox | PostgresMailbox


@attrs.frozen(kw_only=True)
class InMemoryQueue:
    """Parked tasks in this process's memory: gone when it ends."""

    tags: ClassVar[tuple[str, ...]] = ("in_memory",)

    def mailbox(self) -> MailboxSettings:
        """The mailbox of a pool that names none."""
        return InMemoryMailbox()


@attrs.frozen(kw_only=True)
class YaqueQueue:
    """Parked tasks in a lot file, PATH/POOL.lot: the embedded durable queue.

    Attributes:
        path: directory of the lot file, relative to the directory of the configuration file; made if it is missing.
    """

    tags: ClassVar[tuple[str, ...]] = ("yaque", "sqlite")
    path: Path = attrs.field(metadata=read_as(FOLDER))

    def mailbox(self) -> MailboxSettings:
        """The mailbox of a pool that names none: the same file."""
        return YaqueMailbox(path=self.path)


@attrs.frozen(kw_only=True)
class PostgresQueue(_SharedQueue):
    """Parked tasks in a table of a Postgres database, which many hosts may share.

    Attributes:
        table: name of the table.
    """

    tags: ClassVar[tuple[str, ...]] = ("postgres",)
    table: str = attrs.field(default="parking_lot_tasks", metadata=read_as(TABLE))


@attrs.frozen(kw_only=True)
class PgmqQueue(_SharedQueue):
    """Parked tasks in a PGMQ queue of a Postgres database, which many hosts may share.

    Attributes:
        queue_name: name of the PGMQ queue.
        default_units: what a message costs that another PGMQ client has sent.
    """

    tags: ClassVar[tuple[str, ...]] = ("postgres_pgmq",)
    queue_name: str = attrs.field(metadata=read_as(PGMQ_NAME))
    default_units: int = attrs.field(default=1, metadata=read_as(Integer(Whole(1))))


QueueSettings: TypeAlias = InMemoryQueue | YaqueQueue | PostgresQueue | PgmqQueue
