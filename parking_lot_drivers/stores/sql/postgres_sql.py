"""The statements by which hosts share a lot in Postgres tables. What every database can do is in ``statements.py``.

Each statement does its part of a batch for all rows at once, which arrive as one JSON array (half the time of one
array per column): it finds those that are this host's to change, changes them, writes the audit trail, and returns
which they were. Rows that somebody else has locked are skipped where they only wait, since whoever holds the lock is
about to take them.
"""

from __future__ import annotations

from functools import cache

import attrs
from sqlalchemy import Table

from parking_lot_drivers.stores.sql import columns
from parking_lot_drivers.stores.sql.dialects import POSTGRES
from parking_lot_drivers.stores.sql.shared_reading import READING, ReadingStatements
from parking_lot_drivers.stores.sql.shared_tables import SharedTables

_preparer = POSTGRES.dialect.identifier_preparer

#: The database's clock, which judges leases and dates the audit trail: seconds since the Unix epoch.
NOW = "extract(epoch from clock_timestamp())::float8"

_TASK_TYPES = (
    "task_id text, state text, priority int, tag numeric, sequence bigint, units bigint, tenant text, epoch bigint, "
    "attempts bigint, admitted_at float8, ready_at float8, start_by float8, run_timeout float8, not_before float8, "
    "max_attempts bigint, device text, started_at float8, stop_reason text, "
    "box_tenant text, box_user text, box_session text, payload bigint"
)
_CHANGE_TYPES = (
    "state text, epoch bigint, attempts bigint, ready_at float8, device text, started_at float8, stop_reason text, "
    "task_id text"
)
_OUTCOME_TYPES = (
    "task_id text, epoch bigint, box_tenant text, box_user text, box_session text, status text, error text, "
    "submitted_at float8, started_at float8, finished_at float8"
)


def keys(types: str) -> tuple[str, ...]:
    """The names in a list of names and types, in order: the keys of the JSON objects that are read as such rows."""
    return tuple(part.split()[0] for part in types.split(", "))


TASK_KEYS = keys(_TASK_TYPES)
CHANGE_KEYS = keys(_CHANGE_TYPES)
OUTCOME_KEYS = keys(_OUTCOME_TYPES)

_SET_CHANGES = ", ".join(f"{name} = c.{name}" for name in columns.CHANGING)
_SELECTED = ", ".join(columns.TASK.names)


def quoted(table: Table) -> str:
    """A table's name as SQL, with its schema."""
    return _preparer.format_table(table)


@attrs.frozen(kw_only=True)
class PostgresStatements(ReadingStatements):
    """SQL text with named parameters. What each returns stands behind it; parameters are in the text."""

    check_lease: str  # one row; divides by zero without a lease
    add: str  # task_id of each that is new
    lock_budget: str  # device, units
    held_epochs: str  # task_id, epoch
    held_units: str  # device, sum of units
    hold: str
    claim: str  # task_id, body where wanted, of each that was free
    change: str  # task_id of each that this host holds
    change_waiting: str  # task_id of each that nobody holds
    order_outcomes: str
    remove: str  # task_id of each that was there, and this host's to remove
    exist: str  # task_id
    deliver: str
    delete_requests: str  # cancellations only of tasks that are gone, or held by this host
    keep_checkpoint: str

    next_number: str  # number
    select_shares: str  # is_clock, tenant, tag
    keep_shares: str

    adopt: str  # TASK
    prune_archive: str
    prune_audit: str

    register: str
    renew: str  # id
    deregister: str
    end_leases: str
    free_units: str
    keep_budget: str


@cache
def postgres_statements(tables: SharedTables, *, audit: bool, archive: bool) -> PostgresStatements:
    """The statements for these tables, with or without an audit trail and an archive."""
    names = names_of(tables)
    texts = _WRITING | _SHARING | READING | _PRUNING | _HOSTS
    return PostgresStatements(**{key: filled(text, names, audit, archive) for key, text in texts.items()})


def names_of(tables: SharedTables) -> dict[str, str]:
    """What stands in braces in the statements."""
    return {
        "tasks": quoted(tables.lot.tasks),
        "payloads": quoted(tables.lot.payloads),
        "results": quoted(tables.lot.outcomes),
        "archive": quoted(tables.archive),
        "numbers": _preparer.format_sequence(tables.numbers),
        "selected": _SELECTED,
        "now": NOW,
        "changes": f"c AS (SELECT * FROM json_to_recordset(%(rows)s::json) AS c({_CHANGE_TYPES}))",
        "outcomes": (
            f"rows from (json_to_recordset(%(outcomes)s::json) AS ({_OUTCOME_TYPES}), unnest(%(results)b::bytea[]))"
        ),
        "outcome_columns": ", ".join(OUTCOME_KEYS),
        "d_columns": ", ".join(f"d.{name}" for name in OUTCOME_KEYS),
        "task_types": _TASK_TYPES,
        "set_changes": _SET_CHANGES,
    }


def filled(text: str, names: dict[str, str], audit: bool, archive: bool) -> str:
    """A statement with the names in braces put in, and the lines of an audit trail and an archive if there are any."""
    lines = [
        line.removeprefix("AUDIT").removeprefix("ARCHIVE")
        for line in text.strip().splitlines()
        if (audit or not line.startswith("AUDIT")) and (archive or not line.startswith("ARCHIVE"))
    ]
    return "\n".join(lines).format(**names)


# Lines that begin with AUDIT or ARCHIVE are left out where there is none.

TRAIL = "INSERT INTO parking_lot_audit (at, pool, task_id, tenant, move, host, epoch, device, units, budget, detail)"

_WRITING = {
    "check_lease": """
WITH lease AS MATERIALIZED (SELECT id FROM parking_lot_hosts WHERE id = %(host)s FOR KEY SHARE)
SELECT 1 / count(*) FROM lease
""",
    "add": f"""
WITH new AS (SELECT * FROM rows from
  (json_to_recordset(%(rows)s::json) AS ({{task_types}}), unnest(%(bodies)b::bytea[]))
  AS n({", ".join(TASK_KEYS)}, body)),
added AS (
  INSERT INTO {{tasks}} (pool, {", ".join(TASK_KEYS)}, host)
  SELECT %(pool)s, {", ".join(TASK_KEYS)}, CASE WHEN state <> 'parked' THEN %(host)s END FROM new
  ON CONFLICT DO NOTHING RETURNING task_id, pool
),
AUDITtrail AS (
AUDIT  {TRAIL}
AUDIT  SELECT {{now}}, added.pool, n.task_id, n.tenant, m.move, %(host)s, m.epoch, m.device, n.units, %(budget)s, NULL
AUDIT  FROM added JOIN new n USING (task_id) CROSS JOIN LATERAL (
AUDIT    SELECT 0 AS place, 'Enqueue' AS move, greatest(n.epoch - 1, 0) AS epoch, NULL AS device
AUDIT    UNION ALL SELECT 1, 'Start', n.epoch, n.device WHERE n.state <> 'parked'
AUDIT  ) m ORDER BY n.sequence, m.place
AUDIT),
bodies AS (
  INSERT INTO {{payloads}} (number, body) SELECT n.payload, n.body FROM added JOIN new n USING (task_id)
)
SELECT task_id FROM added
""",
    # Whoever holds this lock decides alone what starts under the budget, until its transaction ends. Of the tasks that
    # ask, only what this host itself holds already does not count: others may hold one that it is about to lose.
    "lock_budget": "SELECT device, units FROM parking_lot_budgets WHERE name = %(budget)s ORDER BY device FOR UPDATE",
    "held_epochs": """
SELECT task_id, epoch FROM parking_lot_holdings
WHERE budget = %(budget)s AND pool = %(pool)s AND host = %(host)s AND task_id = ANY(%(ids)s::text[])
""",
    "held_units": """
SELECT device, sum(units)::bigint FROM parking_lot_holdings
WHERE budget = %(budget)s AND NOT (pool = %(pool)s AND task_id = ANY(%(ids)s::text[]) AND host = %(host)s)
GROUP BY device
""",
    "hold": """
INSERT INTO parking_lot_holdings (pool, task_id, budget, device, units, host, epoch)
SELECT pool, task_id, %(budget)s, device, units, host, epoch FROM {tasks}
WHERE pool = %(pool)s AND task_id = ANY(%(ids)s::text[]) AND host = %(host)s
ON CONFLICT (pool, task_id) DO UPDATE
SET budget = excluded.budget, device = excluded.device, units = excluded.units, host = excluded.host,
  epoch = excluded.epoch
""",
    # LATERAL and LIMIT keep the planner to the primary key also before it has statistics of a table that was empty.
    "claim": f"""
WITH {{changes}},
free AS MATERIALIZED (
  SELECT f.pool, c.task_id FROM c CROSS JOIN LATERAL (
    SELECT t.pool FROM {{tasks}} t
    WHERE t.pool = %(pool)s AND t.task_id = c.task_id AND t.host IS NULL AND t.epoch = c.epoch - 1
    LIMIT 1 FOR UPDATE SKIP LOCKED
  ) f
),
won AS (
  UPDATE {{tasks}} t SET {{set_changes}}, host = %(host)s FROM free JOIN c USING (task_id)
  WHERE t.pool = free.pool AND t.task_id = free.task_id
  RETURNING t.task_id, t.payload, t.pool, t.tenant, t.host, t.epoch, t.device, t.units, t.sequence
),
AUDITtrail AS (
AUDIT  {TRAIL}
AUDIT  SELECT {{now}}, pool, task_id, tenant, 'Start', host, epoch, device, units, %(budget)s, NULL
AUDIT  FROM won ORDER BY sequence
AUDIT),
wanted AS (SELECT unnest(%(wanted)s::text[]) AS task_id)
SELECT won.task_id, p.body FROM won
LEFT JOIN wanted USING (task_id) LEFT JOIN {{payloads}} p ON p.number = won.payload AND wanted.task_id IS NOT NULL
""",
    "change": f"""
WITH {{changes}},
changed AS (
  UPDATE {{tasks}} t SET {{set_changes}}, host = CASE WHEN c.state = 'parked' THEN NULL ELSE t.host END FROM c
  WHERE t.pool = %(pool)s AND t.task_id = c.task_id AND t.host = %(host)s AND t.epoch IN (c.epoch - 1, c.epoch)
  RETURNING t.task_id, t.pool, t.tenant, t.state, t.epoch, t.device, t.units, t.stop_reason, t.sequence, t.host
),
AUDITtrail AS (
AUDIT  {TRAIL}
AUDIT  SELECT {{now}}, pool, task_id, tenant,
AUDIT    CASE state WHEN 'parked' THEN 'Enqueue' WHEN 'stopping' THEN 'Interrupt' ELSE 'Start' END,
AUDIT    %(host)s, epoch, device, units, %(budget)s, stop_reason FROM changed ORDER BY sequence
AUDIT),
released AS (
  DELETE FROM parking_lot_holdings h USING changed c WHERE h.pool = c.pool AND h.task_id = c.task_id AND c.host IS NULL
)
SELECT task_id FROM changed
""",
    "change_waiting": """
WITH {changes}
UPDATE {tasks} t SET {set_changes} FROM c
WHERE t.pool = %(pool)s AND t.task_id = c.task_id AND t.host IS NULL AND t.epoch IN (c.epoch - 1, c.epoch)
RETURNING t.task_id
""",
    "order_outcomes": "SELECT pg_advisory_xact_lock(hashtextextended('{results} ' || %(pool)s, 0))",
    "remove": f"""
WITH free AS MATERIALIZED (
  SELECT task_id FROM {{tasks}} WHERE pool = %(pool)s AND task_id = ANY(%(ids)s::text[]) AND host IS NULL
  ORDER BY task_id FOR UPDATE SKIP LOCKED
),
gone AS (
  DELETE FROM {{tasks}} t WHERE pool = %(pool)s AND task_id = ANY(%(ids)s::text[])
  AND (host = %(host)s OR task_id IN (SELECT task_id FROM free))
  RETURNING task_id, pool, tenant, payload, host, epoch, device, units, priority, admitted_at
),
bodies AS (DELETE FROM {{payloads}} p USING gone WHERE p.number = gone.payload RETURNING p.number, p.body),
d AS MATERIALIZED (SELECT * FROM {{outcomes}} WITH ORDINALITY AS d({{outcome_columns}}, result, place)),
kept AS (
  INSERT INTO {{results}} (pool, {{outcome_columns}}, result)
  SELECT gone.pool, {{d_columns}}, d.result FROM d JOIN gone USING (task_id)
  WHERE %(together)s ORDER BY d.place
  ON CONFLICT DO NOTHING
),
AUDITtrail AS (
AUDIT  {TRAIL}
AUDIT  SELECT {{now}}, g.pool, task_id, g.tenant, CASE d.status WHEN 'expired' THEN 'Expire' ELSE 'Deliver' END, g.host,
AUDIT    g.epoch, g.device, g.units, %(budget)s, d.status FROM gone g LEFT JOIN d USING (task_id)
AUDIT),
ARCHIVEfiled AS (
ARCHIVE  INSERT INTO {{archive}} (pool, task_id, tenant, units, priority, admitted_at, archived_at, payload)
ARCHIVE  SELECT pool, task_id, tenant, units, priority, admitted_at, {{now}}, bodies.body
ARCHIVE  FROM gone LEFT JOIN bodies ON bodies.number = gone.payload
ARCHIVE),
released AS (
  DELETE FROM parking_lot_holdings h USING gone WHERE h.pool = gone.pool AND h.task_id = gone.task_id
)
SELECT task_id FROM gone
""",
    "exist": "SELECT task_id FROM {tasks} WHERE pool = %(pool)s AND task_id = ANY(%(ids)s::text[])",
    "deliver": """
INSERT INTO {results} (pool, {outcome_columns}, result)
SELECT %(pool)s, {d_columns}, d.result FROM {outcomes} WITH ORDINALITY AS d({outcome_columns}, result, place)
ORDER BY d.place ON CONFLICT DO NOTHING
""",
    "delete_requests": """
DELETE FROM parking_lot_requests r WHERE number = ANY(%(numbers)s::bigint[]) AND pool = %(pool)s
AND (%(all)s OR units IS NOT NULL OR NOT EXISTS (
  SELECT FROM {tasks} t WHERE t.pool = r.pool AND t.task_id = r.task_id AND t.host IS DISTINCT FROM %(host)s
))
""",
    "keep_checkpoint": """
INSERT INTO parking_lot_checkpoints (pool, body) VALUES (%(pool)s, %(body)s)
ON CONFLICT (pool) DO UPDATE SET body = excluded.body
""",
}

_SHARING = {
    "next_number": "SELECT nextval('{numbers}')",
    "select_shares": "SELECT is_clock, tenant, tag::text FROM parking_lot_shares WHERE pool = %(pool)s",
    "keep_shares": """
INSERT INTO parking_lot_shares AS s (pool, is_clock, tenant, tag)
SELECT %(pool)s, n.is_clock, n.tenant, n.tag
FROM json_to_recordset(%(rows)s::json) AS n(is_clock boolean, tenant text, tag numeric) ORDER BY 2, 3
ON CONFLICT (pool, is_clock, tenant) DO UPDATE SET tag = excluded.tag WHERE excluded.tag > s.tag
""",
}

_PRUNING = {
    "prune_archive": "DELETE FROM {archive} WHERE pool = %(pool)s AND archived_at < %(before)s",
    "prune_audit": "DELETE FROM parking_lot_audit WHERE pool = %(pool)s AND at < %(before)s",
}

_HOSTS = {
    "register": """
INSERT INTO parking_lot_hosts (id, pool, pid, hostname, started_at, renewed_at, lease_until)
SELECT %(host)s, %(pool)s, %(pid)s, %(hostname)s, n.now, n.now, n.now + %(lease)s FROM (SELECT {now} AS now) n
""",
    "renew": """
UPDATE parking_lot_hosts SET renewed_at = n.now, lease_until = n.now + %(lease)s
FROM (SELECT {now} AS now) n WHERE id = %(host)s RETURNING id
""",
    "deregister": "DELETE FROM parking_lot_hosts WHERE id = %(host)s",
    # Nobody could renew a lease while the server was down, so every lease lasts for one term after it came up.
    "end_leases": """
DELETE FROM parking_lot_hosts WHERE lease_until < {now}
AND {now} > extract(epoch from pg_postmaster_start_time())::float8 + %(lease)s
""",
    # A host that is gone holds nothing, also of a budget that other pools share, whose hosts do not adopt its tasks.
    "free_units": f"""
WITH freed AS (
  DELETE FROM parking_lot_holdings h
  WHERE budget = %(budget)s AND pool <> %(pool)s AND NOT EXISTS (SELECT FROM parking_lot_hosts o WHERE o.id = h.host)
  RETURNING pool, task_id, host, epoch, device, units, budget
)
AUDIT,
AUDITtrail AS (
AUDIT  {TRAIL}
AUDIT  SELECT {{now}}, pool, task_id, '', 'Lapse', host, epoch, device, units, budget, NULL FROM freed
AUDIT)
SELECT count(*) FROM freed
""",
    "adopt": f"""
WITH orphans AS MATERIALIZED (
  SELECT t.pool, t.task_id, t.host FROM {{tasks}} t
  WHERE t.pool = %(pool)s AND t.host IS NOT NULL AND NOT EXISTS (SELECT FROM parking_lot_hosts h WHERE h.id = t.host)
  ORDER BY t.host LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
),
adopted AS (
  UPDATE {{tasks}} t SET host = %(host)s FROM orphans o WHERE t.pool = o.pool AND t.task_id = o.task_id
  RETURNING t.*, o.host AS host_before
),
AUDITtrail AS (
AUDIT  {TRAIL}
AUDIT  SELECT {{now}}, pool, task_id, tenant, 'Lapse', host_before, epoch, device, units, %(budget)s, NULL
AUDIT  FROM adopted ORDER BY sequence
AUDIT),
released AS (
  DELETE FROM parking_lot_holdings h USING adopted a WHERE h.pool = a.pool AND h.task_id = a.task_id
)
SELECT {{selected}} FROM adopted
""",
    "keep_budget": """
INSERT INTO parking_lot_budgets (name, device, units)
SELECT %(budget)s, key, value::bigint FROM json_each_text(%(rows)s::json) ORDER BY key
ON CONFLICT (name, device) DO UPDATE SET units = excluded.units
""",
}
