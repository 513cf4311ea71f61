"""What every SQL store shares: tables, statements, rows, and the operations as synchronous functions of a connection.

The one place that imports SQLAlchemy for the first time, so that its absence is told in one way.
"""

from parking_lot_drivers.errors import MissingExtra

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401
except ImportError as _error:  # pragma: no cover - the tests run it in an interpreter of its own
    raise MissingExtra("a durable queue or mailbox", "SQLAlchemy", "local") from _error
