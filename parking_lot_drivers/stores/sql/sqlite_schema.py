"""What a lot file is: whose it is, which version wrote it, and how an older one becomes a current one.

SQLite keeps two numbers in the first page of a file for this: ``application_id`` and ``user_version``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
from sqlalchemy import Table
from sqlalchemy.schema import CreateIndex, CreateTable

from parking_lot_drivers.errors import NotALot, StoreTooNew
from parking_lot_drivers.stores.sql.dialects import SQLITE, Cursor, fetch_all, fetch_one
from parking_lot_drivers.stores.sql.tables import LOT_FILE, METADATA


@attrs.define(kw_only=True, eq=False)
class FileKind:
    """A kind of file.

    Attributes:
        words: what messages call it.
        application_id: marks files of this kind.
        version: raise it by one with every change of the tables, and add the step from the version before.
        tables: what it has, in an order in which they can be made.
        written: one of the tables, by which one sees whether the file can be written.
        exclusive: whether one process schedules it, which holds a lock (see ``_lease.py``).
        upgrades: by the version found: what makes it one version newer, inside a transaction. New files get the newest
            tables at once.
    """

    words: str
    application_id: int
    version: int
    tables: Sequence[Table]
    written: Table
    exclusive: bool = True
    upgrades: Mapping[int, Callable[[Cursor], None]] = attrs.field(factory=dict)


#: "PLOT" in ASCII.
APPLICATION_ID = 0x504C4F54

LOT = FileKind(
    words="lot file",
    application_id=APPLICATION_ID,
    version=1,
    tables=METADATA.sorted_tables,
    written=LOT_FILE.leases,
)


def version_of(cursor: Cursor, file: Path, kind: FileKind) -> int:
    """The version that wrote ``file``; 0 for an empty one. Changes nothing.

    Raises ``NotALot`` for a database of something else and for a lot that lacks tables, ``StoreTooNew`` for one
    written by a newer version of this library.
    """
    (application_id,) = fetch_one(cursor, "PRAGMA application_id")
    (version,) = fetch_one(cursor, "PRAGMA user_version")
    tables = {name for (name,) in fetch_all(cursor, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    if application_id == 0 and version == 0 and not tables:
        return 0
    if application_id != kind.application_id:
        raise NotALot(
            f"{file} is an SQLite database of another application (application_id {application_id}, with "
            f"{len(tables)} tables): name a file that does not exist yet, or a {kind.words}"
        )
    if version > kind.version:
        raise StoreTooNew(
            f"{file} was written by a newer version of this library (file version {version}, this one reads up to "
            f"{kind.version}): upgrade prometheus-parking-lot"
        )
    missing = {table.name for table in kind.tables} - tables
    if version == kind.version and missing:
        raise NotALot(f"{file} is a damaged {kind.words}: it lacks the tables {', '.join(sorted(missing))}")
    return int(version)


def make_current(cursor: Cursor, file: Path, kind: FileKind) -> None:
    """Create or upgrade the tables, inside the caller's transaction. Raises like ``version_of``."""
    version = version_of(cursor, file, kind)
    if version == 0:
        _create(cursor, kind)
    for older in range(max(version, 1), kind.version):
        if version != 0:
            kind.upgrades[older](cursor)
    cursor.execute(f"PRAGMA user_version = {kind.version}")


def _create(cursor: Cursor, kind: FileKind) -> None:
    for table in kind.tables:
        cursor.execute(str(CreateTable(table).compile(dialect=SQLITE.dialect)))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            cursor.execute(str(CreateIndex(index).compile(dialect=SQLITE.dialect)))
    cursor.execute(f"PRAGMA application_id = {kind.application_id}")
