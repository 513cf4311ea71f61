"""``parking-lot migrate``: make or upgrade the tables of queues and mailboxes in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, OnlyPool, chosen_pools
from parking_lot_drivers.cli.output import note, print_json

if TYPE_CHECKING:
    from parking_lot_drivers._databases import Address
    from parking_lot_drivers.config import Settings
    from parking_lot_drivers.stores.sql.postgres_schema import Part

_UNKNOWN = "the database that PARKING_LOT_DATABASE_URL names"


def migrate(
    config: Config,
    pool: OnlyPool = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL that makes them, and touch no database.")] = False,
    as_json: AsJson = False,
) -> int:
    """Make or upgrade the tables of queues and mailboxes in Postgres.

    Run it again at any time, also from several machines at once: what is there and current stays as it is. Tables that
    a newer version of this library has made are refused.

    \b
    Examples:
      parking-lot migrate lot.json
      parking-lot migrate lot.json --sql | psql "$PARKING_LOT_DATABASE_URL"
    """
    import anyio

    settings, names = chosen_pools(config, pool)
    databases = _databases(settings, names)
    if not databases:
        note("no pool keeps anything in Postgres: there is nothing to migrate")
    if sql:
        _print_sql(databases, as_json=as_json)
        return ExitCode.OK
    done = []
    for database in databases:
        where, changed = anyio.run(_migrate, database)
        done.append({"database": where, "changed": changed, "parts": list(database.parts)})
        if not as_json:
            print(f"{where}: " + (f"made or upgraded {', '.join(changed)}" if changed else "all tables are current"))
    if as_json:
        print_json({"databases": done})
    return ExitCode.OK


@attrs.define
class _Database:
    """One database, and by their names the parts that it must have. ``patience``: how long to wait for its server."""

    address: Address
    parts: dict[str, Part] = attrs.field(factory=dict)
    patience: float = 0.0

    def words(self) -> str:
        return _UNKNOWN if self.address.url is None else self.address.words()


def _databases(settings: Settings, names: list[str]) -> list[_Database]:
    from parking_lot_drivers._databases import schema_parts

    found: dict[str | None, _Database] = {}
    for name in names:
        section = settings.pools[name]
        for address, parts in schema_parts(section, name):
            database = found.setdefault(address.url, _Database(address))
            database.parts |= {part.name: part for part in parts}
            waits = [getattr(store, "wait_for_server", 0.0) for store in (section.queue, section.mailbox)]
            database.patience = max(database.patience, *waits)
    return list(found.values())


async def _migrate(database: _Database) -> tuple[str, list[str]]:
    """Where it is, and the names of the parts that were made or upgraded."""
    from sqlalchemy import Connection

    from parking_lot_drivers._databases import problems_at
    from parking_lot_drivers.stores.sql import postgres_schema
    from parking_lot_drivers.stores.sql.postgres_database import PostgresDatabase

    url = database.address.known()
    with problems_at(database.address.place):
        connection = PostgresDatabase(url, wait_for_server=database.patience, application_name="parking-lot migrate")

    def change(connected: Connection) -> list[str]:
        parts = list(database.parts.values())
        return postgres_schema.migrate(connected.connection.cursor(), parts, connection.where)

    await connection.open()
    try:
        return connection.where, await connection.write(change)
    finally:
        await connection.aclose()


def _print_sql(databases: list[_Database], *, as_json: bool) -> None:
    from parking_lot_drivers.stores.sql import postgres_schema

    scripts = [(database.words(), postgres_schema.script(list(database.parts.values()))) for database in databases]
    if as_json:
        print_json({"databases": [{"database": where, "sql": script} for where, script in scripts]})
        return
    for where, script in scripts:
        print(f"-- For {where}\nBEGIN;\n\n{script}\nCOMMIT;")
