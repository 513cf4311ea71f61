"""The statements of ``pgmq_sql.py`` that look for tasks, and those that take in what other clients have sent.

Tasks are found as (msg_id, header), bodies as text.
"""

from __future__ import annotations

from collections.abc import Mapping

from parking_lot_drivers.stores.sql.statements import IDS_PER_SELECT

READING: Mapping[str, str] = {
    "window": """
SELECT {task} FROM {queue} t WHERE {of_pool} AND {ready} AND (%(hosts)s = 1 OR t.msg_id %% %(hosts)s = %(place)s)
ORDER BY {rank} LIMIT %(limit)s
""",
    "others": """
SELECT {task} FROM {queue} t WHERE {of_pool} AND {ready} AND t.msg_id %% %(hosts)s <> %(place)s
ORDER BY {rank} LIMIT %(limit)s
""",
    "oldest": """
SELECT {task} FROM {queue} t WHERE {of_pool} AND {ready} AND (%(hosts)s = 1 OR t.msg_id %% %(hosts)s = %(place)s)
AND {rank} >= (3 - %(priority)s)::text AND {rank} < (4 - %(priority)s)::text
ORDER BY {rank} LIMIT %(limit)s
""",
    "due": """
SELECT {task} FROM {queue} t WHERE {of_pool} AND {waits} AND {lot}->>'ready_at' IS NOT NULL
AND {lot}->'ready_at' <= to_jsonb(%(until)s::float8) AND {visible}
ORDER BY {lot}->'ready_at' LIMIT %(limit)s
""",
    "expiring": """
SELECT {task} FROM {queue} t WHERE {of_pool} AND {waits} AND {lot}->>'start_by' IS NOT NULL
AND {lot}->'start_by' <= to_jsonb(%(until)s::float8) AND {visible}
ORDER BY {lot}->'start_by' LIMIT %(limit)s
""",
    "small": """
SELECT msg_id, lot FROM (
  SELECT t.msg_id, {lot} AS lot, {rank} AS rank FROM {queue} t WHERE {of_pool} AND {ready}
  ORDER BY {rank} LIMIT %(behind)s
) ahead WHERE lot->'units' <= to_jsonb(%(units)s::bigint) ORDER BY rank LIMIT %(limit)s
""",
    "depth": "SELECT count(*) FROM (SELECT 1 FROM {queue} t WHERE {of_pool} LIMIT %(limit)s) counted",
    "mine": "SELECT {task} FROM {queue} t WHERE {of_pool} AND {lot}->>'host' = %(host)s ORDER BY {lot}->'sequence'",
}

#: For messages that other clients have sent.
PLAIN: Mapping[str, str] = {
    "plain": """
SELECT t.msg_id, jsonb_typeof(t.message) FROM {queue} t WHERE {plain} ORDER BY t.msg_id LIMIT %(limit)s
""",
    "adopt_plain": """
WITH fit AS MATERIALIZED (
  SELECT t.msg_id FROM {queue} t WHERE t.msg_id = ANY(%(ids)s::bigint[]) AND {plain}
  AND NOT EXISTS (
    SELECT FROM {queue} o WHERE (o.headers->'parking_lot')->>'pool' = %(pool)s
    AND (o.headers->'parking_lot')->>'task_id' = 'pgmq-' || t.msg_id
  )
  ORDER BY t.msg_id FOR UPDATE OF t SKIP LOCKED
),
numbered AS (SELECT msg_id, %(number)s::bigint + row_number() OVER (ORDER BY msg_id) - 1 AS sequence FROM fit),
adopted AS (
  UPDATE {queue} t SET headers = CASE jsonb_typeof(t.headers) WHEN 'object' THEN t.headers
    ELSE jsonb_strip_nulls(jsonb_build_object('headers', t.headers)) END || jsonb_build_object(
    'parking_lot', jsonb_strip_nulls(%(task)s::jsonb || jsonb_build_object(
      'task_id', 'pgmq-' || t.msg_id, 'sequence', n.sequence, 'rank', %(rank)s || lpad(n.sequence::text, 19, '0'),
      'admitted_at', extract(epoch from t.enqueued_at)::float8, 'reads', t.read_ct,
      'ready_at', CASE WHEN t.vt > clock_timestamp() THEN least(extract(epoch from t.vt)::float8, 9e12) END)))
  FROM numbered n WHERE t.msg_id = n.msg_id
  RETURNING {lot} AS task
),
AUDITtrail AS (
AUDIT  {trail}
AUDIT  SELECT {now}, task->>'pool', task->>'task_id', task->>'tenant', 'Enqueue', %(host)s, 0, NULL,
AUDIT    (task->>'units')::bigint, %(budget)s, 'sent by another client' FROM adopted
AUDIT  ORDER BY (task->>'sequence')::bigint
AUDIT),
nothing AS (SELECT)
SELECT count(*) FROM adopted
""",
    "lock": "SELECT msg_id FROM {queue} WHERE msg_id = ANY(%(ids)s::bigint[]) ORDER BY msg_id FOR UPDATE",
}

_BY_KEY = "{lot}->>'pool' = %s AND {id} = %s::text"
_BY_KEYS = "{lot}->>'pool' = %s AND {id} IN (" + ", ".join(["%s"] * IDS_PER_SELECT) + ")"

#: What every store can do; parameters by position.
COMMON: Mapping[str, str] = {
    "select_tasks": "SELECT {task} FROM {queue} t WHERE {lot}->>'pool' = %s",
    "select_task": f"SELECT {{task}} FROM {{queue}} t WHERE {_BY_KEY}",
    "select_payload": f"SELECT {{id}}, t.message::text FROM {{queue}} t WHERE {_BY_KEY}",
    "select_payloads": f"SELECT {{id}}, t.message::text FROM {{queue}} t WHERE {_BY_KEYS}",
    "count_parked": "SELECT count(*) FROM {queue} t WHERE {lot}->>'pool' = %s AND {lot}->>'state' = 'parked'",
    "select_running": """
SELECT {task} FROM {queue} t WHERE {lot}->>'pool' = %s AND {lot}->>'state' <> 'parked' ORDER BY {lot}->'sequence'
""",
    "select_waiting": """
SELECT {task} FROM {queue} t WHERE {lot}->>'pool' = %s AND {lot}->>'state' = 'parked' ORDER BY {rank} LIMIT %s
""",
    "select_body": "SELECT convert_to(message::text, 'UTF8') FROM {queue} WHERE msg_id = %s",
    "delete_body": """
WITH gone AS (DELETE FROM {queue} WHERE msg_id = %s RETURNING {message_columns})
INSERT INTO {archive} ({message_columns}) SELECT {message_columns} FROM gone
""",
    "delete_task": f"DELETE FROM {{queue}} t WHERE {_BY_KEY}",
}
