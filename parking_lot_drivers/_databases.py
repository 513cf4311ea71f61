"""The databases that a configuration names: their URLs, and which tables they must have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from parking_lot_drivers.config import (
    DATABASE_URL,
    PgmqQueue,
    PoolSettings,
    PostgresMailbox,
    PostgresQueue,
)
from parking_lot_drivers.config.problems import Fault
from parking_lot_drivers.config.texts import URL
from parking_lot_drivers.errors import ConfigError

if TYPE_CHECKING:
    from parking_lot_drivers.stores.sql.postgres_schema import Part


@attrs.frozen
class Address:
    """Where a configuration says that a database is: its URL, which may hold a password, and who gave it."""

    place: str
    url: str | None = attrs.field(repr=False)

    def words(self) -> str:
        """The database in words, without secrets. Raises ``ConfigError``, ``MissingExtra``."""
        from parking_lot_drivers.stores.sql.postgres_connection import where

        with problems_at(self.place):
            return where(self.known())

    def known(self) -> str:
        """The URL. Raises ``ConfigError`` if nobody gave one."""
        if self.url is not None:
            return self.url
        problem = f"expected {URL.expected}, or the environment variable {DATABASE_URL}, got neither"
        raise ConfigError(f"{self.place}: {problem}")


def queue_address(section: PoolSettings, name: str) -> Address | None:
    """Where the queue of the pool ``name`` is, if it is in a database."""
    if not isinstance(section.queue, PostgresQueue | PgmqQueue):
        return None
    return _address(section.queue.url, f"pools.{name}.queue.url")


def mailbox_address(section: PoolSettings, name: str) -> Address | None:
    """Where the mailbox of the pool ``name`` is, if it is in a database."""
    if not isinstance(section.mailbox, PostgresMailbox):
        return None
    if section.mailbox == section.queue.mailbox():  # as if nobody had named one
        return queue_address(section, name)
    return _address(section.mailbox.url, f"pools.{name}.mailbox.url")


def _address(url: str | None, place: str) -> Address:
    if url is not None:
        return Address(place, url)
    found = os.environ.get(DATABASE_URL)
    if not found:
        return Address(place, None)
    place = f"environment variable {DATABASE_URL}"
    try:
        return Address(place, URL.structure(found))
    except Fault as fault:
        raise ConfigError(f"{place}: {fault}") from None


def schema_parts(section: PoolSettings, name: str) -> list[tuple[Address, list[Part]]]:
    """What the databases of the pool ``name`` must have: of its queue, and of its mailbox.

    Raises ``ConfigError``, ``MissingExtra``.
    """
    queue, mailbox = section.queue, section.mailbox
    of_queue, of_mailbox = queue_address(section, name), mailbox_address(section, name)
    if of_queue is None and of_mailbox is None:
        return []
    from parking_lot_drivers.stores import pgmq
    from parking_lot_drivers.stores.sql import postgres_schema
    from parking_lot_drivers.stores.sql.shared_tables import shared_tables

    names: dict[str, str] = {}
    found: list[tuple[Address, list[Part]]] = []
    if of_mailbox is not None and isinstance(mailbox, PostgresMailbox):
        names = {"outcomes": mailbox.table}
        found.append((of_mailbox, postgres_schema.parts(shared_tables(**names), queue=False)))
    if of_queue is not None:
        if of_mailbox is None or of_mailbox.url != of_queue.url:
            names = {}  # a queue by itself has the usual table of outcomes
        if isinstance(queue, PostgresQueue):
            found.append((of_queue, postgres_schema.parts(shared_tables(queue.table, **names))))
        elif isinstance(queue, PgmqQueue):
            found.append((of_queue, pgmq.parts_of(queue.queue_name, **names)))
    return found


@contextlib.contextmanager
def problems_at(path: str) -> Iterator[None]:
    """Say where in the configuration a ``ConfigError`` belongs that was raised by a part that does not know."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(f"{path}: {problem}" for problem in error.problems)) from error.__cause__
