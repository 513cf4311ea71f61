"""Rows that cannot be decoded: moved out of the way, kept with what belonged to them, counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs

from parking_lot_drivers.ports import SetAside
from parking_lot_drivers.stores.sql.columns import Columns, Row
from parking_lot_drivers.stores.sql.dialects import Cursor
from parking_lot_drivers.stores.sql.statements import Statements

_T = TypeVar("_T")


@attrs.frozen
class BadRow:
    """A row of ``source`` (a table) that could not be decoded, and why."""

    source: str
    columns: Columns
    row: Row
    reason: str

    def value(self, column: str) -> Any:
        """What the row has in ``column``."""
        return self.row[self.columns.names.index(column)]

    def report(self) -> SetAside:
        """The row as the port reports it."""
        return SetAside(_readable(self.value("task_id")), f"{self.source}: {self.reason}")


def keep(cursor: Cursor, statements: Statements, pool: str, bad: BadRow, payload: bytes | None) -> None:
    """Write ``bad`` to the table of rows set aside. The caller drops it where it was, in the same transaction."""
    values = {
        name: found
        for name, found in zip(bad.columns.names, bad.row, strict=True)
        if not (isinstance(found, bytes) and found is payload)
    }
    body = json.dumps(values, default=_readable)
    report = bad.report()
    row = (pool, bad.source, report.task_id, report.reason, body, payload)
    cursor.execute(statements.insert_set_aside, row)


def _readable(found: object) -> str:
    if isinstance(found, bytes):
        return found.decode("utf-8", "backslashreplace")
    return str(found)


def reports(bad_rows: Sequence[BadRow]) -> list[SetAside]:
    """What the port reports of them."""
    return [bad.report() for bad in bad_rows]
