"""Reading the audit trail, in any database that keeps one."""

from __future__ import annotations

from sqlalchemy import Connection, select

from parking_lot_drivers.shared_ports import AuditFilter, AuditRecord
from parking_lot_drivers.stores.sql.dialects import POSTGRES, SQLITE
from parking_lot_drivers.stores.sql.shared_tables import shared_tables

_RULES = {"postgresql": POSTGRES, "sqlite": SQLITE}


def records(connection: Connection, wanted: AuditFilter, limit: int) -> list[AuditRecord]:
    """The last ``limit`` records that pass the filter, oldest first."""
    trail = shared_tables().audit.c
    statement = select(
        trail.number,
        trail.at,
        trail.pool,
        trail.task_id,
        trail.tenant,
        trail.move,
        trail.host,
        trail.epoch,
        trail.device,
        trail.units,
        trail.budget,
        trail.detail,
    )
    for column, value in (
        (trail.pool, wanted.pool),
        (trail.task_id, wanted.task_id),
        (trail.tenant, wanted.tenant),
        (trail.host, wanted.host),
        (trail.epoch, wanted.epoch),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if wanted.since is not None:
        statement = statement.where(trail.at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(trail.at < wanted.until)
    newest = statement.order_by(trail.number.desc()).limit(limit)
    text = newest.compile(dialect=_RULES[connection.dialect.name].dialect)
    cursor = connection.connection.cursor()
    cursor.execute(str(text), [text.params[name] for name in text.positiontup or ()])
    return [AuditRecord(*row) for row in reversed(cursor.fetchall())]
