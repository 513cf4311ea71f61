"""The tables of shared lots in Postgres: what they are, which version made them, and how an older one becomes current.

A database may hold several lots, whose queues and mailboxes have tables of their own beside those that all share. Each
such part is written down with its version in ``parking_lot_schema``. Whoever makes or upgrades tables holds a lock, so
that hosts that start at once do it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from sqlalchemy import Table
from sqlalchemy.schema import CreateIndex, CreateSequence, CreateTable, DDLElement

from parking_lot_drivers.errors import SchemaMissing, StoreTooNew
from parking_lot_drivers.stores.sql.dialects import POSTGRES, Cursor
from parking_lot_drivers.stores.sql.shared_tables import SharedTables

#: Raise it by one with every change of ``tables.py`` or ``shared_tables.py``, and add the step from the version before
#: to ``UPGRADES``.
VERSION = 1

#: By the version found: statements that make the part one version newer, given the part's tables.
UPGRADES: Mapping[int, Callable[[Sequence[Table]], Sequence[str]]] = {}

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('parking_lot_schema', 0))"
_VERSIONS = "CREATE TABLE IF NOT EXISTS parking_lot_schema (part text PRIMARY KEY, version integer NOT NULL)"
_KNOWN = "SELECT to_regclass('parking_lot_schema') IS NOT NULL"
_READ = "SELECT part, version FROM parking_lot_schema"
_WRITE = (
    "INSERT INTO parking_lot_schema (part, version) VALUES (%s, %s) "
    "ON CONFLICT (part) DO UPDATE SET version = excluded.version"
)


@attrs.frozen
class Part:
    """Tables that come and go together, and further statements that make what they need."""

    name: str
    tables: Sequence[Table]
    elements: Sequence[DDLElement] = ()
    statements: Sequence[str] = ()

    def create(self) -> Iterator[str]:
        """The statements that make the part in a database that lacks it."""
        for element in self.elements:
            yield _text(element)
        for table in self.tables:
            yield _text(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                yield _text(CreateIndex(index, if_not_exists=True))
        yield from self.statements


def _text(element: DDLElement) -> str:
    return str(element.compile(dialect=POSTGRES.dialect)).strip()


def parts(tables: SharedTables, *, queue: bool = True) -> list[Part]:
    """The parts of a lot: what all lots share, the mailbox, and with ``queue`` the tables of the queue."""
    lot = tables.lot
    found = [
        Part(
            "shared",
            [
                *(tables.hosts, tables.budgets, tables.holdings, tables.shares, tables.audit),
                *(lot.requests, lot.checkpoints, lot.leases, lot.set_aside),
            ],
        ),
        Part(f"results {lot.names.outcomes}", [lot.outcomes]),
    ]
    if queue:
        numbers = CreateSequence(tables.numbers, if_not_exists=True)
        found.append(Part(f"tasks {lot.names.tasks}", [lot.tasks, lot.payloads, tables.archive], [numbers]))
    return found


def script(wanted: Sequence[Part]) -> str:
    """All of it as SQL, for whoever makes tables by hand. Running it twice does no harm."""
    statements = [_VERSIONS]
    for part in wanted:
        statements += part.create()
        name = part.name.replace("'", "''")
        statements.append(_WRITE.replace("%s, %s", f"'{name}', {VERSION}"))
    return ";\n\n".join(statements) + ";\n"


def versions(cursor: Cursor) -> dict[str, int]:
    """The version of each part that the database has."""
    cursor.execute(_KNOWN)
    if not cursor.fetchone()[0]:
        return {}
    cursor.execute(_READ)
    return dict(cursor.fetchall())


def check(cursor: Cursor, wanted: Sequence[Part], where: str) -> None:
    """See that the tables are there, and that this version can use them.

    Raises ``StoreTooNew`` for tables of a newer version, ``SchemaMissing`` for such as are missing or older.
    """
    found = versions(cursor)
    for part in wanted:
        version = found.get(part.name, 0)
        if version > VERSION:
            raise StoreTooNew(
                f"{where}: the tables of {part.name!r} were made by a newer version of this library (schema version "
                f"{version}, this one uses up to {VERSION}): upgrade prometheus-parking-lot"
            )
        if version < VERSION:
            what = "lacks" if version == 0 else "has an older version of"
            raise SchemaMissing(f"{where}: the database {what} the tables of {part.name!r}: run 'parking-lot migrate'")


def lock(cursor: Cursor) -> None:
    """Until the transaction ends, be the only one who makes or upgrades tables."""
    cursor.execute(_LOCK)


def migrate(cursor: Cursor, wanted: Sequence[Part], where: str) -> list[str]:
    """Make what is missing and upgrade what is older, in the caller's transaction; the names of the parts changed.

    Raises ``StoreTooNew``, and then nothing was changed.
    """
    lock(cursor)
    found = versions(cursor)
    newer = [part for part in wanted if found.get(part.name, 0) > VERSION]
    if newer:
        check(cursor, newer, where)
    changed = [part for part in wanted if found.get(part.name, 0) < VERSION]
    if changed:
        cursor.execute(_VERSIONS)
    for part in changed:
        for statement in _steps(part, found.get(part.name, 0)):
            cursor.execute(statement)
        cursor.execute(_WRITE, (part.name, VERSION))
    return [part.name for part in changed]


def _steps(part: Part, version: int) -> Iterator[str]:
    if version == 0:
        yield from part.create()
    for older in range(max(version, 1), VERSION):
        if version:
            yield from UPGRADES[older](part.tables)
