"""What hosts that share a lot need beside its tables: who they are, what they share, and what happened.

``hosts`` is the one place that says who may hold tasks: a host whose row is gone holds nothing. Rows of ``tasks`` that
wait lie in partial indexes of their own, so that a start takes its task out of the way of the next search.
"""

from __future__ import annotations

import re
from functools import cache

import attrs
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    Sequence,
    Table,
    Text,
    text,
)

from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.stores.sql.tables import Names, Tables, split, tables

#: How many numbers a host draws at a time; see ``SharedQueue.reserve``.
NUMBERS_PER_DRAW = 1000

# An index of a table adds up to 16 characters to its name, and Postgres cuts names after 63.
_PART = "[A-Za-z_][A-Za-z0-9_]{0,46}"
_TABLE = re.compile(rf"({_PART}\.)?{_PART}")

_WAITS = text("host IS NULL AND ready_at IS NULL")
_DELAYED = text("ready_at IS NOT NULL")
_EXPIRES = text("host IS NULL AND start_by IS NOT NULL")
_HELD = text("host IS NOT NULL")


@attrs.frozen(eq=False)
class SharedTables:
    """The tables of a lot that hosts share. ``lot`` are those that every lot has."""

    lot: Tables
    numbers: Sequence
    archive: Table
    hosts: Table
    budgets: Table
    holdings: Table
    shares: Table
    audit: Table

    @property
    def metadata(self) -> MetaData:
        """All of them."""
        return self.lot.metadata


def checked(table: str) -> str:
    """The name of a table. Raises ``ConfigError`` unless it is an identifier, with or without a schema in front."""
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise ConfigError(
            'table: expected at most 47 letters, digits and underscores, the first no digit, with or without "schema." '
            f"in front, got {table!r:.80}"
        )
    return table


def shared_tables(tasks: str = "parking_lot_tasks", outcomes: str = "parking_lot_results") -> SharedTables:
    """The tables of lots in a database that hosts share: tasks and outcomes under these names."""
    return _shared_tables(Names(tasks=tasks, outcomes=outcomes, prefix="parking_lot_", shared=True))


@cache
def _shared_tables(names: Names) -> SharedTables:
    lot = tables(names)
    metadata = lot.metadata
    _index_tasks(lot.tasks)
    schema, plain = split(names.tasks)
    return SharedTables(
        lot=lot,
        numbers=Sequence(f"{plain}_numbers", schema=schema, metadata=metadata, increment=NUMBERS_PER_DRAW),
        archive=_archive(metadata, schema, plain),
        hosts=_hosts(metadata),
        budgets=_budgets(metadata),
        holdings=_holdings(metadata),
        shares=_shares(metadata),
        audit=_audit(metadata),
    )


def _index_tasks(table: Table) -> None:
    column, name = table.c, table.name
    rank = (column.pool, column.priority.desc(), column.tag, column.sequence)
    for suffix, columns, where in (
        ("by_rank", rank, _WAITS),
        ("by_ready_at", (column.pool, column.ready_at), _DELAYED),
        ("by_start_by", (column.pool, column.start_by), _EXPIRES),
        ("by_host", (column.host,), _HELD),
    ):
        Index(f"{name}_{suffix}", *columns, postgresql_where=where, sqlite_where=where)


def _text(name: str, *, key: bool = False, null: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=null)


def _number(name: str = "number") -> Column[int]:
    return Column(name, BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _moment(name: str) -> Column[float]:
    return Column(name, Double, nullable=False)


# Tasks that have ended, where the queue keeps them. Their outcomes are in the mailbox.
def _archive(metadata: MetaData, schema: str | None, tasks: str) -> Table:
    table = Table(
        f"{tasks}_archive",
        metadata,
        _number(),
        _text("pool"),
        _text("task_id"),
        _text("tenant"),
        _whole("units"),
        Column("priority", Integer, nullable=False),
        _moment("admitted_at"),
        _moment("archived_at"),
        Column("payload", LargeBinary, nullable=True),
        schema=schema,
    )
    Index(f"{tasks}_archive_by_task", table.c.pool, table.c.task_id)
    Index(f"{tasks}_archive_by_time", table.c.archived_at, postgresql_using="brin")
    return table


def _hosts(metadata: MetaData) -> Table:
    table = Table(
        "parking_lot_hosts",
        metadata,
        _text("id", key=True),
        _text("pool"),
        _whole("pid"),
        _text("hostname"),
        _moment("started_at"),
        _moment("renewed_at"),
        _moment("lease_until"),
    )
    Index("parking_lot_hosts_by_lease", table.c.lease_until)
    return table


def _budgets(metadata: MetaData) -> Table:
    return Table("parking_lot_budgets", metadata, _text("name", key=True), _text("device", key=True), _whole("units"))


# What running tasks hold of shared budgets.
def _holdings(metadata: MetaData) -> Table:
    table = Table(
        "parking_lot_holdings",
        metadata,
        _text("pool", key=True),
        _text("task_id", key=True),
        _text("budget"),
        _text("device"),
        _whole("units"),
        _text("host"),
        _whole("epoch"),
    )
    Index("parking_lot_holdings_by_budget", table.c.budget)
    return table


# Fair share over all hosts: each tenant's finish tag; the tenant with ``is_clock`` is the pool's virtual time.
def _shares(metadata: MetaData) -> Table:
    return Table(
        "parking_lot_shares",
        metadata,
        _text("pool", key=True),
        Column("is_clock", Boolean, primary_key=True),
        _text("tenant", key=True),
        # As in ``tables.py``: past 64 bits, and in SQLite as it was given.
        Column("tag", Numeric(asdecimal=False).with_variant(LargeBinary(), "sqlite"), nullable=False),
    )


# Every move of every task. Searched by task, and otherwise by time, in the order of which the rows lie.
def _audit(metadata: MetaData) -> Table:
    table = Table(
        "parking_lot_audit",
        metadata,
        _number(),
        _moment("at"),
        _text("pool"),
        _text("task_id"),
        _text("tenant"),
        _text("move"),
        _text("host", null=True),
        _whole("epoch"),
        _text("device", null=True),
        _whole("units"),
        _text("budget", null=True),
        _text("detail", null=True),
    )
    Index("parking_lot_audit_by_task", table.c.pool, table.c.task_id)
    Index("parking_lot_audit_by_time", table.c.at, postgresql_using="brin")
    return table
