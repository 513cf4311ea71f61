"""What a lot file is: whose it is, which version wrote it, and how an older one becomes a current one.

SQLite keeps two numbers in the first page of a file for this: ``application_id`` and ``user_version``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy.schema import CreateIndex, CreateTable

from parking_lot_drivers.errors import NotALot, StoreTooNew
from parking_lot_drivers.stores.sql.dialects import SQLITE, Cursor, fetch_all, fetch_one
from parking_lot_drivers.stores.sql.tables import METADATA

#: "PLOT" in ASCII.
APPLICATION_ID = 0x504C4F54

#: Raise it by one with every change of ``sql/tables.py``, and add the step from the version before to ``UPGRADES``.
VERSION = 1

#: By the version found: what makes it one version newer, inside a transaction. New files get the newest tables at once.
UPGRADES: Mapping[int, Callable[[Cursor], None]] = {}


def version_of(cursor: Cursor, file: Path) -> int:
    """The version that wrote ``file``; 0 for an empty one. Changes nothing.

    Raises ``NotALot`` for a database of something else and for a lot that lacks tables, ``StoreTooNew`` for one
    written by a newer version of this library.
    """
    (application_id,) = fetch_one(cursor, "PRAGMA application_id")
    (version,) = fetch_one(cursor, "PRAGMA user_version")
    tables = {name for (name,) in fetch_all(cursor, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    if application_id == 0 and version == 0 and not tables:
        return 0
    if application_id != APPLICATION_ID:
        raise NotALot(
            f"{file} is an SQLite database of another application (application_id {application_id}, with "
            f"{len(tables)} tables): name a file that does not exist yet, or a lot file"
        )
    if version > VERSION:
        raise StoreTooNew(
            f"{file} was written by a newer version of this library (file version {version}, this one reads up to "
            f"{VERSION}): upgrade prometheus-parking-lot"
        )
    missing = METADATA.tables.keys() - tables
    if version == VERSION and missing:
        raise NotALot(f"{file} is a damaged lot file: it lacks the tables {', '.join(sorted(missing))}")
    return int(version)


def make_current(cursor: Cursor, file: Path) -> None:
    """Create or upgrade the tables, inside the caller's transaction. Raises like ``version_of``."""
    version = version_of(cursor, file)
    if version == 0:
        _create(cursor)
    for older in range(max(version, 1), VERSION):
        if version != 0:
            UPGRADES[older](cursor)
    cursor.execute(f"PRAGMA user_version = {VERSION}")


def _create(cursor: Cursor) -> None:
    for table in METADATA.sorted_tables:
        cursor.execute(str(CreateTable(table).compile(dialect=SQLITE.dialect)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            cursor.execute(str(CreateIndex(index).compile(dialect=SQLITE.dialect)))
    cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
