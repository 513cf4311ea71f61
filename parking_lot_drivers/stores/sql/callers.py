"""What an application passes as its transaction."""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session, scoped_session

from parking_lot_drivers.errors import InvalidTask


def connection_of(given: object) -> Connection:
    """The connection of a SQLAlchemy ``Connection`` or ``Session``. Raises ``InvalidTask`` for anything else.

    Also for one in autocommit mode, which has no transactions.
    """
    if isinstance(given, Connection):
        found = given
    elif isinstance(given, (Session, scoped_session)):
        try:
            found = given.connection()
        except UnboundExecutionError:
            raise InvalidTask(
                "connection: this Session has several databases, or none; pass session.connection(bind_arguments=…) of "
                "the one where the queue is"
            ) from None
    else:
        raise InvalidTask(f"connection: expected a SQLAlchemy Connection or Session, got {type(given).__name__}")
    if found.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        raise InvalidTask("connection: it is in autocommit mode, which has no transactions; pass one that has")
    return found
