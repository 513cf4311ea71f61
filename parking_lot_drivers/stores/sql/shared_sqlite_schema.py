"""The file of a lot that several processes share: the tables of all shared lots, and two of its own.

``numbers`` does what a database's sequence would. ``news`` does what notifications would: each host counts there what
it has news of, so that the others see at a glance whether, and at what, they have to look.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, Table, Text

from parking_lot_drivers.stores.sql.shared_tables import shared_tables
from parking_lot_drivers.stores.sql.sqlite_schema import FileKind

TABLES = shared_tables()

_own = MetaData()

#: One row: the next sequence number.
NUMBERS = Table("parking_lot_tasks_numbers", _own, Column("next", Integer, nullable=False))

#: ``source`` is a host, or empty for clients; ``budget`` is the shared budget that the host takes units of.
NEWS = Table(
    "parking_lot_news",
    _own,
    Column("pool", Text, primary_key=True, nullable=False),
    Column("source", Text, primary_key=True, nullable=False),
    Column("budget", Text, nullable=True),
    Column("work", Integer, nullable=False),
    Column("outcomes", Integer, nullable=False),
    Column("requests", Integer, nullable=False),
    sqlite_with_rowid=False,
)

SHARED_FILE = FileKind(
    words="lot file that processes share",
    application_id=0x504C5348,  # "PLSH" in ASCII
    version=1,
    tables=[*TABLES.metadata.sorted_tables, NUMBERS, NEWS],
    written=NEWS,
    exclusive=False,
)
