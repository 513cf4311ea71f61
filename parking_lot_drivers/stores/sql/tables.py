"""The tables of a lot. Several pools may share them; every row names its pool.

``tasks`` is narrow and hot: it is what the scheduler reads at recovery, and its rows change with every start. Payloads
lie apart, in the order in which they came, and are read only when a task starts. Where rows are written, keys are
chosen so that one saved task touches three pages: a task, a payload, the checkpoint. That holds best where task ids
grow with time.
"""

from __future__ import annotations

from typing import Any

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

METADATA = MetaData()

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


TASKS = Table(
    "tasks",
    METADATA,
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
    sqlite_with_rowid=False,
)

PAYLOADS = Table("payloads", METADATA, _number("number"), _required("body", LargeBinary()))

# ``cursor`` is the row number, so whoever drops old outcomes must leave the newest one: the next cursor is one more.
OUTCOMES = Table(
    "outcomes",
    METADATA,
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
    UniqueConstraint("pool", "task_id", name="outcomes_by_task"),
)
Index(
    "outcomes_by_box",
    *(OUTCOMES.c[name] for name in ("pool", "box_tenant", "box_user", "box_session", "cursor")),
)

CHECKPOINTS = Table("checkpoints", METADATA, _text("pool", key=True), _text("body"), sqlite_with_rowid=False)

# Numbers of requests must never come back: an answer that drops number 7 must not drop a later number 7.
REQUESTS = Table(
    "requests",
    METADATA,
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
Index("requests_by_pool", REQUESTS.c.pool, REQUESTS.c.number)

LEASES = Table(
    "leases",
    METADATA,
    _text("pool", key=True),
    _required("pid", BigInteger()),
    _text("hostname"),
    _required("renewed_at", Double()),
    sqlite_with_rowid=False,
)

# Rows that could not be decoded, as JSON, with the payload (or result) that belonged to them.
SET_ASIDE = Table(
    "set_aside",
    METADATA,
    _number("number"),
    _text("pool"),
    _text("source"),
    _text("task_id"),
    _text("reason"),
    _text("body"),
    _optional("payload", LargeBinary()),
)
