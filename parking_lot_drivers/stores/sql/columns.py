"""The columns of rows in the order in which they are read and written, and a check of what a database gives."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import NoneType
from typing import Any, TypeAlias

Row: TypeAlias = tuple[Any, ...]
Types: TypeAlias = tuple[type, ...]

TEXT: Types = (str,)
WHOLE: Types = (int,)
WIDE: Types = (int, str, Decimal)
REAL: Types = (float,)
BYTES: Types = (bytes,)


def optional(types: Types) -> Types:
    """The same types, or NULL."""
    return (*types, NoneType)


class Undecodable(ValueError):
    """A row that this version would not have written. The message names the column and the value."""


class Columns:
    """Names and types of the columns of a row, in order."""

    def __init__(self, **types: Types) -> None:
        self.types: Mapping[str, Types] = types
        self.names = tuple(types)
        self._seen: set[Types] = set()

    def check(self, row: Row) -> None:
        """Raise ``Undecodable`` unless every value of ``row`` has a type of its column.

        Rows come in few combinations of types; a combination is looked at once (a third of a microsecond per row
        instead of three).
        """
        found = tuple(map(type, row))
        if found in self._seen:
            return
        for (name, allowed), value in zip(self.types.items(), row, strict=True):
            if type(value) not in allowed:
                words = " or ".join("NULL" if kind is NoneType else kind.__name__ for kind in allowed)
                raise Undecodable(f"{name}: expected {words}, got {value!r:.80}")
        self._seen.add(found)


#: The parts of a task that change after it was admitted, in the order of ``encode_change``.
CHANGING = ("state", "epoch", "attempts", "ready_at", "device", "started_at", "stop_reason")

TASK = Columns(
    pool=TEXT,
    task_id=TEXT,
    state=TEXT,
    priority=WHOLE,
    tag=WIDE,
    sequence=WHOLE,
    units=WHOLE,
    tenant=TEXT,
    epoch=WHOLE,
    attempts=WHOLE,
    admitted_at=REAL,
    ready_at=optional(REAL),
    start_by=optional(REAL),
    run_timeout=optional(REAL),
    not_before=optional(REAL),
    max_attempts=WHOLE,
    device=optional(TEXT),
    started_at=optional(REAL),
    stop_reason=optional(TEXT),
    box_tenant=TEXT,
    box_user=TEXT,
    box_session=TEXT,
    payload=WHOLE,
)

OUTCOME = Columns(
    cursor=WHOLE,
    pool=TEXT,
    task_id=TEXT,
    epoch=WHOLE,
    box_tenant=TEXT,
    box_user=TEXT,
    box_session=TEXT,
    status=TEXT,
    error=optional(TEXT),
    submitted_at=REAL,
    started_at=optional(REAL),
    finished_at=REAL,
    result=optional(BYTES),
)

REQUEST = Columns(
    number=WHOLE,
    pool=TEXT,
    task_id=TEXT,
    at=REAL,
    priority=optional(WHOLE),
    units=optional(WHOLE),
    tenant=optional(TEXT),
    start_by=optional(REAL),
    run_timeout=optional(REAL),
    not_before=optional(REAL),
    max_attempts=optional(WHOLE),
    box_tenant=TEXT,
    box_user=TEXT,
    box_session=TEXT,
    payload=BYTES,
)
