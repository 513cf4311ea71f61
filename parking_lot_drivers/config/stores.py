"""Where a pool keeps its tasks and its results: the settings of queues and mailboxes.

Several pools may name one ``path``: each has a file of its own there. A queue and a mailbox of one pool with the same
``path`` share one file, and then one transaction covers both.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, TypeAlias

import attrs

from parking_lot_drivers.config.kinds import read_as
from parking_lot_drivers.config.texts import FOLDER, PGMQ_NAME, TABLE, URL


@attrs.frozen(kw_only=True)
class InMemoryMailbox:
    """Results in this process's memory: gone when it ends."""

    tags: ClassVar[tuple[str, ...]] = ("in_memory",)


@attrs.frozen(kw_only=True)
class YaqueMailbox:
    """Results in a lot file, PATH/POOL.lot.

    Attributes:
        path: directory of the lot file, relative to the directory of the configuration file.
    """

    tags: ClassVar[tuple[str, ...]] = ("yaque", "sqlite")
    path: Path = attrs.field(metadata=read_as(FOLDER))


@attrs.frozen(kw_only=True)
class PostgresMailbox:
    """Results in a table of a Postgres database.

    Attributes:
        url: database URL; without one, the environment variable PARKING_LOT_DATABASE_URL.
        table: name of the table.
    """

    tags: ClassVar[tuple[str, ...]] = ("postgres",)
    url: str | None = attrs.field(default=None, repr=False, metadata=read_as(URL))
    table: str = attrs.field(default="parking_lot_results", metadata=read_as(TABLE))


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
class PostgresQueue:
    """Parked tasks in a table of a Postgres database, which many hosts may share.

    Attributes:
        url: database URL; without one, the environment variable PARKING_LOT_DATABASE_URL.
        table: name of the table.
    """

    tags: ClassVar[tuple[str, ...]] = ("postgres",)
    url: str | None = attrs.field(default=None, repr=False, metadata=read_as(URL))
    table: str = attrs.field(default="parking_lot_tasks", metadata=read_as(TABLE))

    def mailbox(self) -> MailboxSettings:
        """The mailbox of a pool that names none: a table of the same database."""
        return PostgresMailbox(url=self.url)


@attrs.frozen(kw_only=True)
class PgmqQueue:
    """Parked tasks in a PGMQ queue of a Postgres database, which many hosts may share.

    Attributes:
        url: database URL; without one, the environment variable PARKING_LOT_DATABASE_URL.
        queue_name: name of the PGMQ queue.
    """

    tags: ClassVar[tuple[str, ...]] = ("postgres_pgmq",)
    url: str | None = attrs.field(default=None, repr=False, metadata=read_as(URL))
    queue_name: str = attrs.field(metadata=read_as(PGMQ_NAME))

    def mailbox(self) -> MailboxSettings:
        """The mailbox of a pool that names none: a table of the same database."""
        return PostgresMailbox(url=self.url)


QueueSettings: TypeAlias = InMemoryQueue | YaqueQueue | PostgresQueue | PgmqQueue
