"""PGMQ itself, a queue of it, and the indexes by which this library finds tasks in it.

PGMQ is installed as an extension where the server has it and this user may create it, and otherwise from the SQL that
the package ``pgmq`` carries, which needs no more than the right to create a schema. All statements may be run again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
from sqlalchemy.schema import CreateSequence

from parking_lot_drivers.errors import ConfigError, MissingExtra, StoreUnavailable
from parking_lot_drivers.stores.sql import postgres_schema
from parking_lot_drivers.stores.sql.dialects import Cursor
from parking_lot_drivers.stores.sql.pgmq_sql import HEADER
from parking_lot_drivers.stores.sql.postgres_schema import Part
from parking_lot_drivers.stores.sql.shared_tables import SharedTables, shared_tables

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,46}")
_TAG = "$parking_lot_pgmq$"

# PGMQ's script cannot be run twice. Whoever runs this holds the lock of ``postgres_schema.migrate``.
_INSTALL = """DO {tag}
BEGIN
  IF to_regclass('pgmq.meta') IS NOT NULL THEN
    RETURN;
  END IF;
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgmq') THEN
    BEGIN
      CREATE EXTENSION pgmq;
      RETURN;
    EXCEPTION WHEN insufficient_privilege THEN
      NULL;
    END;
  END IF;
  {script}
EXCEPTION WHEN insufficient_privilege THEN
  RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format(
    'PGMQ is missing in database %1$I, and user %2$I may not create it: %3$s; GRANT CREATE ON DATABASE %1$I TO %2$I, '
    'or let an administrator run parking-lot migrate', current_database(), current_user, SQLERRM);
END
{tag}"""
_LACKS = """
SELECT to_regclass('pgmq.meta') IS NULL AND NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgmq')
"""
_NO_SCRIPT = """RAISE EXCEPTION 'PGMQ is missing, and so is the Python package pgmq, which carries its SQL';"""

_INDEXES = {
    "task": ("UNIQUE ", "({lot}->>'pool'), ({lot}->>'task_id')", ""),
    "rank": ("", "({lot}->>'pool'), (({lot}->>'rank') COLLATE \"C\")", "{waits} AND {lot}->>'ready_at' IS NULL"),
    "ready": ("", "({lot}->>'pool'), ({lot}->'ready_at')", "{waits} AND {lot}->>'ready_at' IS NOT NULL"),
    "start": ("", "({lot}->>'pool'), ({lot}->'start_by')", "{waits} AND {lot}->>'start_by' IS NOT NULL"),
    "host": ("", "({lot}->>'host')", "{lot}->>'host' IS NOT NULL"),
    "plain": ("", "msg_id", "{lot}->>'pool' IS NULL"),
}


def checked(queue_name: str) -> str:
    """The name of a queue. Raises ``ConfigError`` unless it is an identifier of at most 47 characters."""
    if not isinstance(queue_name, str) or not _NAME.fullmatch(queue_name):
        raise ConfigError(
            "queue_name: expected at most 47 letters, digits and underscores, the first no digit, "
            f"got {queue_name!r:.80}"
        )
    return queue_name


def tables_of(queue_name: str, outcomes: str = "parking_lot_results") -> SharedTables:
    """The tables beside the queue. Those of ``lot.tasks`` and ``lot.payloads`` there are not: the queue has both."""
    return shared_tables(f"pgmq_{checked(queue_name).lower()}", outcomes)


def parts_of(queue_name: str, outcomes: str = "parking_lot_results") -> list[Part]:
    """The parts of the schema that a queue needs, with a mailbox in the table ``outcomes``."""
    tables = tables_of(queue_name, outcomes)
    numbers = CreateSequence(tables.numbers, if_not_exists=True)
    part = PgmqPart(f"pgmq {queue_name}", [], [numbers], _statements(queue_name))
    return [*postgres_schema.parts(tables, queue=False), part]


@attrs.frozen
class PgmqPart(Part):
    """A queue, and PGMQ itself where the database lacks it."""

    def create(self) -> Iterator[str]:
        """The statements that make the part in a database that lacks it."""
        yield _install()
        yield from super().create()


def _statements(queue_name: str) -> list[str]:
    table = f"q_{queue_name.lower()}"
    lot = f"(headers->'{HEADER}')"
    names = {"lot": lot, "waits": f"{lot}->>'host' IS NULL"}
    found = [f"SELECT pgmq.create('{queue_name}') WHERE to_regclass('pgmq.{table}') IS NULL"]
    for suffix, (unique, columns, where) in _INDEXES.items():
        condition = f" WHERE {where}" if where else ""
        text = f"CREATE {unique}INDEX IF NOT EXISTS {table}_lot_{suffix} ON pgmq.{table} ({columns}){condition}"
        found.append(text.format(**names))
    return found


def _install() -> str:
    try:
        script = script_of_package()
    except MissingExtra:
        return _INSTALL.format(tag=_TAG, script=_NO_SCRIPT)
    return _INSTALL.format(tag=_TAG, script=f"EXECUTE $pgmq_script${script}$pgmq_script$;")


def script_of_package() -> str:
    """PGMQ's SQL. Raises ``MissingExtra`` without the package."""
    try:
        from pgmq.install import get_embedded_install_sql
    except ImportError as error:
        raise MissingExtra("making PGMQ in a database that lacks it", "pgmq", "postgres") from error
    return get_embedded_install_sql()


def make_sure(cursor: Cursor, queue_name: str, where: str) -> None:
    """See that PGMQ and the queue are there, and make them again if somebody has dropped them since they were made.

    Raises ``MissingExtra``, or ``StoreUnavailable`` for a queue that cannot keep tasks.
    """
    table = f"pgmq.q_{queue_name.lower()}"
    cursor.execute("SELECT relkind, relpersistence FROM pg_class WHERE oid = to_regclass(%s)", (table,))
    found = cursor.fetchone()
    if found is None:
        check_package(cursor)
        part = parts_of(queue_name)[-1]
        postgres_schema.lock(cursor)
        for statement in part.create():
            cursor.execute(statement)
    elif found != ("r", "p"):
        kind = "partitioned" if found[0] == "p" else "unlogged: a crash of the server would lose its tasks"
        raise StoreUnavailable(f"{where}: the PGMQ queue {queue_name!r} is {kind}; make it with pgmq.create()")


def check_package(cursor: Cursor) -> None:
    """Raise ``MissingExtra`` where PGMQ is missing, and so is the package that carries it."""
    cursor.execute(_LACKS)
    if cursor.fetchone()[0]:
        script_of_package()
