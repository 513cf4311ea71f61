"""Pruning outcomes, in any database."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from parking_lot_drivers.stores.sql.mailbox import MailboxSql

_T = TypeVar("_T")


class _Database(Protocol):
    async def read(self, function: Callable[[Connection], _T]) -> _T: ...

    async def write(self, function: Callable[[Connection], _T]) -> _T: ...


async def prune_outcomes(database: _Database, sql: MailboxSql, older_than: float) -> int:
    """Delete outcomes older than so many seconds; how many there were.

    A part at a time, and each part is looked for before the transaction that deletes it, so that nobody who delivers
    outcomes waits long. Raises ``StoreUnavailable``.
    """
    before = time.time() - older_than
    count = 0
    while old := await database.read(partial(sql.older, before=before)):
        count += await database.write(partial(sql.drop, cursors=old))
    return count
