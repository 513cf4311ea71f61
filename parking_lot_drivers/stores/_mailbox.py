"""A ``Mailbox`` in any database that ``MailboxSql`` can use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from parking_lot_core import MailboxKey
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.ports import Delivery, Mailbox, Message

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from parking_lot_drivers.stores.sql.mailbox import MailboxSql
    from parking_lot_drivers.stores.sql.set_aside import BadRow

_T = TypeVar("_T")


class _Database(Protocol):
    async def open(self) -> None: ...

    async def read(self, function: Callable[[Connection], _T]) -> _T: ...

    async def write(self, function: Callable[[Connection], _T]) -> _T: ...

    async def aclose(self) -> None: ...


class SqlMailbox(Mailbox):
    """Outcomes of one pool. Other processes may read them, and deliver, at the same time."""

    def __init__(self, database: _Database, sql: MailboxSql) -> None:
        self._database = database
        self.sql = sql

    async def open(self) -> None:
        """Connect, and create what is missing. Raises ``StoreError``."""
        await self._database.open()

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Keep the outcomes of tasks that have none. Raises ``StoreUnavailable``."""
        await self._database.write(lambda connection: self.sql.deliver(connection, deliveries))

    async def get(self, task_id: str) -> Message | None:
        """The outcome of one task. Raises ``StoreUnavailable``."""
        messages, bad = await self._database.read(lambda connection: self.sql.get(connection, task_id))
        await self._set_aside(bad)
        return messages[0] if messages else None

    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks that have an outcome. Raises ``StoreUnavailable``."""
        return await self._database.read(lambda connection: self.sql.ended(connection, task_ids))

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages of one box, oldest first. Raises ``ValueError`` for a limit < 1, and ``StoreUnavailable``."""
        if limit < 1:
            raise ValueError(f"limit: expected an integer ≥ 1, got {limit!r}")
        messages, bad = await self._database.read(lambda connection: self.sql.fetch(connection, key, after, limit))
        if not bad:
            return messages
        await self._set_aside(bad)
        return await self.fetch(key, after=after, limit=limit)

    async def prune(self, *, older_than: float) -> int:
        """Delete the outcomes of tasks that ended more than so many seconds ago; how many there were.

        A part at a time, and each part is looked for before the transaction that deletes it, so that nobody who
        delivers outcomes waits long. Raises ``StoreUnavailable``; then some may be gone.
        """
        before = wall_time() - older_than
        count = 0
        while old := await self._database.read(partial(self.sql.older, before=before)):
            count += await self._database.write(partial(self.sql.drop, cursors=old))
        return count

    async def aclose(self) -> None:
        """Disconnect."""
        await self._database.aclose()

    async def _set_aside(self, bad: Sequence[BadRow]) -> None:
        if bad:
            await self._database.write(lambda connection: self.sql.set_aside(connection, bad))
