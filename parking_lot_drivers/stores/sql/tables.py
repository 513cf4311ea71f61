"""The tables of a lot. Several pools may share them; every row names its pool.

Every database has the same tables under names of its own; where several hosts share a lot, ``tasks`` has the column
``host`` more, and ``shared_tables.py`` has what they need beside it.

``tasks`` is narrow and hot: it is what the scheduler reads at recovery, and its rows change with every start. Payloads
lie apart, in the order in which they came, and are read only when a task starts. Where rows are written, keys are
chosen so that one saved task touches three pages: a task, a payload, the checkpoint. That holds best where task ids
grow with time.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

# SQLite numbers rows by itself only where the type reads INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")

# Fair-share tags may pass 64 bits. SQLite leaves a value in a BLOB column as it was given: an integer, or
# digits as text past 64 bits (see ``rows.wide``), and it sorts all integers before all text.
_Wide = Numeric(asdecimal=False).with_variant(LargeBinary(), "sqlite")


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _required(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _optional(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    return Column(name, kind, nullable=True)


def _number(name: str) -> Column[int]:
    return Column(name, _Number, primary_key=True, autoincrement=True)


def _box() -> tuple[Column[str], ...]:
    return _text("box_tenant"), _text("box_user"), _text("box_session")


@attrs.frozen
class Names:
    """What the tables of a lot are called. A name may have a schema in front, as in ``jobs.tasks``.

    ``prefix`` is put before all tables that have no name of their own here.
    """

    tasks: str = "tasks"
    outcomes: str = "outcomes"
    prefix: str = ""
    shared: bool = False


@attrs.frozen(eq=False)
class Tables:
    """The tables of a lot."""

    names: Names
    metadata: MetaData
    tasks: Table
    payloads: Table
    outcomes: Table
    checkpoints: Table
    requests: Table
    leases: Table
    set_aside: Table


@cache
def tables(names: Names) -> Tables:
    """The tables of a lot, by name."""
    metadata = MetaData()
    return Tables(
        names=names,
        metadata=metadata,
        tasks=_tasks(names, metadata),
        payloads=_payloads(names, metadata),
        outcomes=_outcomes(names, metadata),
        checkpoints=_checkpoints(names, metadata),
        requests=_requests(names, metadata),
        leases=_leases(names, metadata),
        set_aside=_set_aside(names, metadata),
    )


def split(name: str) -> tuple[str | None, str]:
    """The schema of a name, if it has one, and the rest."""
    schema, _, plain = name.rpartition(".")
    return schema or None, plain


def _table(name: str, metadata: MetaData, *parts: Any, **options: Any) -> Table:
    schema, plain = split(name)
    return Table(plain, metadata, *parts, schema=schema, **options)


def _tasks(names: Names, metadata: MetaData) -> Table:
    return _table(
        names.tasks,
        metadata,
        _text("pool", key=True),
        _text("task_id", key=True),
        _text("state"),
        _required("priority", Integer()),
        _required("tag", _Wide),
        _required("sequence", BigInteger()),
        _required("units", BigInteger()),
        _text("tenant"),
        _required("epoch", BigInteger()),
        _required("attempts", BigInteger()),
        _required("admitted_at", Double()),
        _optional("ready_at", Double()),
        _optional("start_by", Double()),
        _optional("run_timeout", Double()),
        _optional("not_before", Double()),
        _required("max_attempts", BigInteger()),
        _optional("device", Text()),
        _optional("started_at", Double()),
        _optional("stop_reason", Text()),
        *_box(),
        _required("payload", BigInteger()),
        *([_optional("host", Text())] if names.shared else []),
        sqlite_with_rowid=False,
    )


def _payloads(names: Names, metadata: MetaData) -> Table:
    name = f"{names.tasks}_payloads" if names.shared else "payloads"
    # Where hosts share a lot, a payload has the number of its task, which the lot has given.
    number = Column("number", BigInteger, primary_key=True, autoincrement=False) if names.shared else _number("number")
    return _table(name, metadata, number, _required("body", LargeBinary()))


# ``cursor`` is the row number. Where that of the last row comes back once it is gone, pruning leaves a mark: see
# ``mailbox.py``.
def _outcomes(names: Names, metadata: MetaData) -> Table:
    _, plain = split(names.outcomes)
    table = _table(
        names.outcomes,
        metadata,
        _number("cursor"),
        _text("pool"),
        _text("task_id"),
        _required("epoch", BigInteger()),
        *_box(),
        _text("status"),
        _optional("error", Text()),
        _required("submitted_at", Double()),
        _optional("started_at", Double()),
        _required("finished_at", Double()),
        _optional("result", LargeBinary()),
        UniqueConstraint("pool", "task_id", name=f"{plain}_by_task"),
    )
    box = ("pool", "box_tenant", "box_user", "box_session", "cursor")
    Index(f"{plain}_by_box", *(table.c[name] for name in box))
    return table


def _checkpoints(names: Names, metadata: MetaData) -> Table:
    name = f"{names.prefix}checkpoints"
    return _table(name, metadata, _text("pool", key=True), _text("body"), sqlite_with_rowid=False)


# Numbers of requests must never come back: an answer that drops number 7 must not drop a later number 7.
def _requests(names: Names, metadata: MetaData) -> Table:
    table = _table(
        f"{names.prefix}requests",
        metadata,
        _number("number"),
        _text("pool"),
        _text("task_id"),
        _required("at", Double()),
        _optional("priority", Integer()),
        _optional("units", BigInteger()),
        _optional("tenant", Text()),
        _optional("start_by", Double()),
        _optional("run_timeout", Double()),
        _optional("not_before", Double()),
        _optional("max_attempts", BigInteger()),
        *_box(),
        _required("payload", LargeBinary()),
        sqlite_autoincrement=True,
    )
    Index(f"{names.prefix}requests_by_pool", table.c.pool, table.c.number)
    return table


def _leases(names: Names, metadata: MetaData) -> Table:
    return _table(
        f"{names.prefix}leases",
        metadata,
        _text("pool", key=True),
        _required("pid", BigInteger()),
        _text("hostname"),
        _required("renewed_at", Double()),
        sqlite_with_rowid=False,
    )


# Rows that could not be decoded, as JSON, with the payload (or result) that belonged to them.
def _set_aside(names: Names, metadata: MetaData) -> Table:
    return _table(
        f"{names.prefix}set_aside",
        metadata,
        _number("number"),
        _text("pool"),
        _text("source"),
        _text("task_id"),
        _text("reason"),
        _text("body"),
        _optional("payload", LargeBinary()),
    )


#: The tables of a lot file.
LOT_FILE = tables(Names())
METADATA = LOT_FILE.metadata
