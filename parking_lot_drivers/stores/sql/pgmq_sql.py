"""The statements by which hosts share a PGMQ queue. A task is a message of ``pgmq.q_<queue>``.

The message is the payload, and ``headers`` has an object ``parking_lot`` with all that schedules it: its keys are the
columns of a task, ``host``, ``rank`` (text that sorts as tasks rank) and ``reads`` (``read_ct`` as this library left
it). Keys without a value are left out. What clients put into ``headers`` beside it stays.

``vt`` is what other PGMQ clients go by. A task that waits has a ``vt`` that has passed or, if it is delayed, ``vt`` =
``ready_at``; any other ``vt`` in the future says that another client has it, or an operator postponed it. A task that
runs has ``vt`` = the end of its host's lease.

Conditions compare headers as ``jsonb`` or text, which never fails, whatever another client wrote there. They read as
the expressions of the indexes in ``pgmq_schema.py`` do. Where tasks are looked up by id, ``LATERAL`` and ``LIMIT`` keep
the planner, which knows nothing of a new queue, to the index.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs

from parking_lot_drivers.stores.sql.pgmq_reading import COMMON, PLAIN, READING
from parking_lot_drivers.stores.sql.postgres_sql import TRAIL, PostgresStatements, filled, names_of, postgres_statements
from parking_lot_drivers.stores.sql.shared_tables import SharedTables
from parking_lot_drivers.stores.sql.statements import Statements

#: The key in ``headers`` under which everything of ours lies.
HEADER = "parking_lot"

_LOT = f"(t.headers->'{HEADER}')"
_LEASE_END = "coalesce((SELECT to_timestamp(lease_until) FROM parking_lot_hosts WHERE id = %(host)s), now())"


def _moment(text: str) -> str:
    """A time in Unix seconds, given as an expression of type text, as a timestamp that Postgres can keep."""
    return f"to_timestamp(least(greatest(({text})::float8, 0), 9e12))"


_READY_AT = _moment(f"{_LOT}->>'ready_at'")
_FREE_AT = _moment("c.task->>'ready_at'")

_NAMES: dict[str, str] = {
    "trail": TRAIL,
    "lot": _LOT,
    "task": f"t.msg_id, {_LOT}",
    "of_pool": f"{_LOT}->>'pool' = %(pool)s",
    "plain": f"{_LOT}->>'pool' IS NULL",
    "id": f"{_LOT}->>'task_id'",
    "waits": f"{_LOT}->>'host' IS NULL",
    "ready": f"{_LOT}->>'host' IS NULL AND {_LOT}->>'ready_at' IS NULL AND t.vt <= clock_timestamp()",
    "visible": (
        f"(t.vt <= clock_timestamp() OR t.vt = CASE jsonb_typeof({_LOT}->'ready_at') WHEN 'number' "
        f"THEN {_READY_AT} END)"
    ),
    "rank": f"({_LOT}->>'rank') COLLATE \"C\"",
    "lease_end": _LEASE_END,
    "free_at": f"coalesce({_FREE_AT}, now())",
    "changes": (
        "c AS (SELECT task, task->>'task_id' AS task_id FROM jsonb_array_elements(%(rows)s::jsonb) AS r(task))"
    ),
    "message_columns": "msg_id, vt, read_ct, enqueued_at, last_read_at, message, headers",
}


@attrs.frozen(kw_only=True)
class PgmqStatements(PostgresStatements):
    """The same and, for messages that other clients have sent:"""

    plain: str  # msg_id, type of the message
    adopt_plain: str
    lock: str  # msg_id


@cache
def pgmq_statements(tables: SharedTables, queue: str, *, audit: bool, archive: bool) -> PgmqStatements:
    """The statements for the queue of this name, whose other tables these are."""
    base = attrs.asdict(postgres_statements(tables, audit=audit, archive=archive))
    names = names_of(tables) | _NAMES | _tables(queue)
    texts = {**_WRITING, **READING, **PLAIN}
    return PgmqStatements(**base | {key: filled(text, names, audit, archive) for key, text in texts.items()})


def queue_statements(common: Statements, queue: str) -> Statements:
    """What every store can do, for this queue. Rows of tasks are (msg_id, header); bodies are text."""
    names = _NAMES | _tables(queue)
    texts: dict[str, Any] = {key: filled(text, names, False, False) for key, text in COMMON.items()}
    return attrs.evolve(common, **texts)


def _tables(queue: str) -> dict[str, str]:
    plain = queue.lower()
    return {"queue": f'pgmq."q_{plain}"', "archive": f'pgmq."a_{plain}"'}


_WRITING = {
    "add": """
WITH new AS (
  SELECT * FROM rows from (jsonb_array_elements(%(rows)s::jsonb), unnest(%(bodies)s::text[])) AS n(task, body)
),
added AS (
  INSERT INTO {queue} AS t (vt, read_ct, last_read_at, message, headers)
  SELECT CASE WHEN r.held THEN {lease_end} ELSE {free_at} END, r.held::int, CASE WHEN r.held THEN clock_timestamp() END,
    c.body::jsonb, jsonb_build_object('parking_lot', jsonb_strip_nulls(c.task || jsonb_build_object(
      'host', CASE WHEN r.held THEN %(host)s::text END, 'reads', r.held::int)))
  FROM new c CROSS JOIN LATERAL (SELECT c.task->>'state' <> 'parked' AS held) r
  ON CONFLICT DO NOTHING RETURNING {lot} AS task
),
AUDITtrail AS (
AUDIT  {trail}
AUDIT  SELECT {now}, a.task->>'pool', a.task->>'task_id', a.task->>'tenant', m.move, %(host)s, m.epoch, m.device,
AUDIT    (a.task->>'units')::bigint, %(budget)s, NULL
AUDIT  FROM added a CROSS JOIN LATERAL (
AUDIT    SELECT 0 AS place, 'Enqueue' AS move, greatest((a.task->>'epoch')::bigint - 1, 0) AS epoch, NULL AS device
AUDIT    UNION ALL SELECT 1, 'Start', (a.task->>'epoch')::bigint, a.task->>'device' WHERE a.task->>'state' <> 'parked'
AUDIT  ) m ORDER BY (a.task->>'sequence')::bigint, m.place
AUDIT),
nothing AS (SELECT)
SELECT task->>'task_id' FROM added
""",
    "hold": """
INSERT INTO parking_lot_holdings (pool, task_id, budget, device, units, host, epoch)
SELECT {lot}->>'pool', {id}, %(budget)s, {lot}->>'device', ({lot}->>'units')::bigint, {lot}->>'host',
  ({lot}->>'epoch')::bigint
FROM {queue} t WHERE {of_pool} AND {id} = ANY(%(ids)s::text[]) AND {lot}->>'host' = %(host)s
ON CONFLICT (pool, task_id) DO UPDATE SET budget = excluded.budget, device = excluded.device,
  units = excluded.units, host = excluded.host, epoch = excluded.epoch
""",
    "claim": """
WITH {changes},
free AS MATERIALIZED (
  SELECT f.msg_id, c.task FROM c CROSS JOIN LATERAL (
    SELECT t.msg_id FROM {queue} t WHERE {of_pool} AND {id} = c.task_id AND {waits}
    AND {lot}->'epoch' = to_jsonb((c.task->>'epoch')::bigint - 1) AND {visible}
    LIMIT 1 FOR UPDATE SKIP LOCKED
  ) f
),
won AS (
  UPDATE {queue} t SET vt = {lease_end}, read_ct = t.read_ct + 1, last_read_at = clock_timestamp(),
    headers = t.headers || jsonb_build_object('parking_lot', jsonb_strip_nulls(
      {lot} || free.task || jsonb_build_object('host', %(host)s::text, 'reads', t.read_ct + 1)))
  FROM free WHERE t.msg_id = free.msg_id
  RETURNING {lot} AS task, {id} AS task_id, t.message
),
AUDITtrail AS (
AUDIT  {trail}
AUDIT  SELECT {now}, task->>'pool', task_id, task->>'tenant', 'Start', %(host)s, (task->>'epoch')::bigint,
AUDIT    task->>'device', (task->>'units')::bigint, %(budget)s, NULL FROM won ORDER BY (task->>'sequence')::bigint
AUDIT),
nothing AS (SELECT)
SELECT task_id, CASE WHEN task_id = ANY(%(wanted)s::text[]) THEN message::text END FROM won
""",
    "change": """
WITH {changes},
held AS MATERIALIZED (
  SELECT f.msg_id, c.task FROM c CROSS JOIN LATERAL (
    SELECT t.msg_id FROM {queue} t WHERE {of_pool} AND {id} = c.task_id AND {lot}->>'host' = %(host)s
    AND {lot}->'epoch' IN (to_jsonb((c.task->>'epoch')::bigint - 1), c.task->'epoch')
    LIMIT 1 FOR UPDATE
  ) f
),
changed AS (
  UPDATE {queue} t SET vt = CASE WHEN c.task->>'state' = 'parked' THEN {free_at} ELSE t.vt END,
    headers = t.headers || jsonb_build_object('parking_lot', jsonb_strip_nulls({lot} || c.task || jsonb_build_object(
      'host', CASE WHEN c.task->>'state' <> 'parked' THEN %(host)s::text END)))
  FROM held c WHERE t.msg_id = c.msg_id
  RETURNING {lot} AS task, {id} AS task_id
),
AUDITtrail AS (
AUDIT  {trail}
AUDIT  SELECT {now}, task->>'pool', task_id, task->>'tenant',
AUDIT    CASE task->>'state' WHEN 'parked' THEN 'Enqueue' WHEN 'stopping' THEN 'Interrupt' ELSE 'Start' END,
AUDIT    %(host)s, (task->>'epoch')::bigint, task->>'device', (task->>'units')::bigint, %(budget)s, task->>'stop_reason'
AUDIT  FROM changed ORDER BY (task->>'sequence')::bigint
AUDIT),
released AS (
  DELETE FROM parking_lot_holdings h USING changed c
  WHERE h.pool = c.task->>'pool' AND h.task_id = c.task_id AND c.task->>'host' IS NULL
)
SELECT task_id FROM changed
""",
    "change_waiting": """
WITH {changes},
free AS MATERIALIZED (
  SELECT f.msg_id, c.task FROM c CROSS JOIN LATERAL (
    SELECT t.msg_id FROM {queue} t WHERE {of_pool} AND {id} = c.task_id AND {waits} AND {visible}
    AND {lot}->'epoch' IN (to_jsonb((c.task->>'epoch')::bigint - 1), c.task->'epoch')
    LIMIT 1 FOR UPDATE
  ) f
)
UPDATE {queue} t SET vt = {free_at},
  headers = t.headers || jsonb_build_object('parking_lot', jsonb_strip_nulls({lot} || c.task))
FROM free c WHERE t.msg_id = c.msg_id
RETURNING {id}
""",
    "remove": """
WITH free AS MATERIALIZED (
  SELECT t.msg_id FROM {queue} t WHERE {of_pool} AND {id} = ANY(%(ids)s::text[]) AND {waits} AND {visible}
  ORDER BY t.msg_id FOR UPDATE SKIP LOCKED
),
gone AS (
  DELETE FROM {queue} t WHERE {of_pool} AND {id} = ANY(%(ids)s::text[])
  AND ({lot}->>'host' = %(host)s OR t.msg_id IN (SELECT msg_id FROM free))
  RETURNING t.*, {lot} AS task, {id} AS task_id
),
d AS MATERIALIZED (SELECT * FROM {outcomes} WITH ORDINALITY AS d({outcome_columns}, result, place)),
kept AS (
  INSERT INTO {results} (pool, {outcome_columns}, result)
  SELECT %(pool)s, {d_columns}, d.result FROM d JOIN gone USING (task_id)
  WHERE %(together)s ORDER BY d.place
  ON CONFLICT DO NOTHING
),
AUDITtrail AS (
AUDIT  {trail}
AUDIT  SELECT {now}, %(pool)s, task_id, g.task->>'tenant',
AUDIT    CASE d.status WHEN 'expired' THEN 'Expire' ELSE 'Deliver' END, g.task->>'host', (g.task->>'epoch')::bigint,
AUDIT    g.task->>'device', (g.task->>'units')::bigint, %(budget)s, d.status
AUDIT  FROM gone g LEFT JOIN d USING (task_id)
AUDIT),
ARCHIVEfiled AS (
ARCHIVE  INSERT INTO {archive} ({message_columns}) SELECT {message_columns} FROM gone
ARCHIVE),
released AS (DELETE FROM parking_lot_holdings h USING gone WHERE h.pool = %(pool)s AND h.task_id = gone.task_id)
SELECT task_id FROM gone
""",
    "exist": "SELECT {id} FROM {queue} t WHERE {of_pool} AND {id} = ANY(%(ids)s::text[])",
    "delete_requests": """
DELETE FROM parking_lot_requests r WHERE number = ANY(%(numbers)s::bigint[]) AND pool = %(pool)s
AND (%(all)s OR units IS NOT NULL OR NOT EXISTS (
  SELECT FROM {queue} t WHERE {of_pool} AND {id} = r.task_id AND {lot}->>'host' IS DISTINCT FROM %(host)s
))
""",
    # Rows that a commit of this host has locked are left out: it ends them or sets ``vt`` itself, and waiting for one
    # another could end in a deadlock.
    "renew": """
WITH lease AS (
  UPDATE parking_lot_hosts SET renewed_at = n.now, lease_until = n.now + %(lease)s
  FROM (SELECT {now} AS now) n WHERE id = %(host)s RETURNING id, to_timestamp(lease_until) AS lease_end
),
held AS MATERIALIZED (SELECT t.msg_id FROM {queue} t WHERE {lot}->>'host' = %(host)s FOR UPDATE SKIP LOCKED),
kept AS (UPDATE {queue} t SET vt = lease.lease_end FROM lease, held WHERE t.msg_id = held.msg_id)
SELECT id FROM lease
""",
    "adopt": """
WITH orphans AS MATERIALIZED (
  SELECT t.msg_id, {lot}->>'host' AS host FROM {queue} t
  WHERE {of_pool} AND {lot}->>'host' IS NOT NULL
  AND NOT EXISTS (SELECT FROM parking_lot_hosts h WHERE h.id = {lot}->>'host')
  AND (t.vt <= clock_timestamp() OR {lot}->'reads' = to_jsonb(t.read_ct))
  ORDER BY {lot}->>'host' LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
),
adopted AS (
  UPDATE {queue} t SET vt = {lease_end}, headers = t.headers || jsonb_build_object(
    'parking_lot', {lot} || jsonb_build_object('host', %(host)s::text, 'reads', t.read_ct))
  FROM orphans o WHERE t.msg_id = o.msg_id
  RETURNING t.msg_id, {lot} AS task, o.host AS host_before
),
AUDITtrail AS (
AUDIT  {trail}
AUDIT  SELECT {now}, task->>'pool', task->>'task_id', task->>'tenant', 'Lapse', host_before, (task->>'epoch')::bigint,
AUDIT    task->>'device', (task->>'units')::bigint, %(budget)s, NULL FROM adopted ORDER BY msg_id
AUDIT),
released AS (
  DELETE FROM parking_lot_holdings h USING adopted a WHERE h.pool = a.task->>'pool' AND h.task_id = a.task->>'task_id'
)
SELECT msg_id, task FROM adopted
""",
    "prune_archive": """
DELETE FROM {archive} t WHERE {of_pool} AND t.archived_at < to_timestamp(%(before)s)
""",
}
