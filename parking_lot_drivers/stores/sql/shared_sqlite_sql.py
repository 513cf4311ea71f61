"""The statements by which processes share a lot in one SQLite file. What every database can do is in ``statements.py``.

A transaction that writes has the file to itself, so rows are looked at and changed one by one, without locks. Nothing
here needs a version of SQLite after 3.24.
"""

from __future__ import annotations

import re

import attrs

from parking_lot_drivers.stores.sql import columns
from parking_lot_drivers.stores.sql.shared_reading import READING, ReadingStatements
from parking_lot_drivers.stores.sql.shared_sqlite_schema import TABLES

_tasks, _payloads = TABLES.lot.tasks.name, TABLES.lot.payloads.name
_results, _archive = TABLES.lot.outcomes.name, TABLES.archive.name
_set = ", ".join(f"{name} = ?" for name in columns.CHANGING)
_task_columns = (*columns.TASK.names, "host")
_selected = ", ".join(columns.TASK.names)


@attrs.frozen(kw_only=True)
class SqliteSharing:
    """SQL text with positional parameters, which are named before each where they are many."""

    lease: str = "SELECT 1 FROM parking_lot_hosts WHERE id = ?"
    add: str = (
        f"INSERT INTO {_tasks} ({', '.join(_task_columns)}) VALUES ({', '.join('?' * len(_task_columns))}) "
        "ON CONFLICT DO NOTHING"
    )
    add_payload: str = f"INSERT INTO {_payloads} (number, body) VALUES (?, ?)"
    # CHANGING, host, pool, task_id, epoch before
    claim: str = f"UPDATE {_tasks} SET {_set}, host = ? WHERE pool = ? AND task_id = ? AND host IS NULL AND epoch = ?"
    # CHANGING, state, pool, task_id, host, epoch before, epoch
    change: str = (
        f"UPDATE {_tasks} SET {_set}, host = CASE WHEN ? = 'parked' THEN NULL ELSE host END "
        "WHERE pool = ? AND task_id = ? AND host = ? AND epoch IN (?, ?)"
    )
    # CHANGING, pool, task_id, epoch before, epoch
    change_waiting: str = (
        f"UPDATE {_tasks} SET {_set} WHERE pool = ? AND task_id = ? AND host IS NULL AND epoch IN (?, ?)"
    )
    # pool, task_id
    ending: str = f"SELECT tenant, payload, host, epoch, device, units FROM {_tasks} WHERE pool = ? AND task_id = ?"
    # at, pool, task_id
    file_away: str = (
        f"INSERT INTO {_archive} (pool, task_id, tenant, units, priority, admitted_at, archived_at, payload) "
        f"SELECT t.pool, t.task_id, t.tenant, t.units, t.priority, t.admitted_at, ?, p.body FROM {_tasks} t "
        f"LEFT JOIN {_payloads} p ON p.number = t.payload WHERE t.pool = ? AND t.task_id = ?"
    )
    budget: str = "SELECT device, units FROM parking_lot_budgets WHERE name = ?"
    holdings: str = "SELECT pool, task_id, device, units, host, epoch FROM parking_lot_holdings WHERE budget = ?"
    # budget, pool, task_id, host
    hold: str = (
        "INSERT INTO parking_lot_holdings (pool, task_id, budget, device, units, host, epoch) "
        f"SELECT pool, task_id, ?, device, units, host, epoch FROM {_tasks} "
        "WHERE pool = ? AND task_id = ? AND host = ? "
        "ON CONFLICT (pool, task_id) DO UPDATE SET budget = excluded.budget, "
        "device = excluded.device, units = excluded.units, host = excluded.host, epoch = excluded.epoch"
    )
    release: str = "DELETE FROM parking_lot_holdings WHERE pool = ? AND task_id = ?"
    # number, pool, all, host
    delete_request: str = (
        "DELETE FROM parking_lot_requests WHERE number = ? AND pool = ? AND (? OR units IS NOT NULL OR NOT EXISTS ("
        f"SELECT 1 FROM {_tasks} t WHERE t.pool = parking_lot_requests.pool "
        "AND t.task_id = parking_lot_requests.task_id AND t.host IS NOT ?))"
    )
    keep_checkpoint: str = (
        "INSERT INTO parking_lot_checkpoints (pool, body) VALUES (?, ?) "
        "ON CONFLICT (pool) DO UPDATE SET body = excluded.body"
    )
    # at, pool, task_id, tenant, move, host, epoch, device, units, budget, detail
    record: str = (
        "INSERT INTO parking_lot_audit (at, pool, task_id, tenant, move, host, epoch, device, units, budget, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )

    first_number: str = (
        "INSERT INTO parking_lot_tasks_numbers (next) "
        "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM parking_lot_tasks_numbers)"
    )
    draw: str = "UPDATE parking_lot_tasks_numbers SET next = next + ?"
    drawn: str = "SELECT next FROM parking_lot_tasks_numbers"
    shares: str = "SELECT is_clock, tenant, tag FROM parking_lot_shares WHERE pool = ?"
    # pool, is_clock, tenant, tag
    keep_shares: str = (
        "INSERT INTO parking_lot_shares (pool, is_clock, tenant, tag) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (pool, is_clock, tenant) DO UPDATE SET tag = excluded.tag WHERE excluded.tag > tag"
    )

    # id, pool, pid, hostname, started_at, renewed_at, lease_until
    register: str = "INSERT INTO parking_lot_hosts VALUES (?, ?, ?, ?, ?, ?, ?)"
    renew: str = "UPDATE parking_lot_hosts SET renewed_at = ?, lease_until = ? WHERE id = ?"
    deregister: str = "DELETE FROM parking_lot_hosts WHERE id = ?"
    end_leases: str = "DELETE FROM parking_lot_hosts WHERE lease_until < ?"
    # name, device, units
    keep_budget: str = (
        "INSERT INTO parking_lot_budgets (name, device, units) VALUES (?, ?, ?) "
        "ON CONFLICT (name, device) DO UPDATE SET units = excluded.units"
    )
    # now, pool, budget
    lapsed: str = (
        "SELECT EXISTS (SELECT 1 FROM parking_lot_hosts WHERE lease_until < ?) OR EXISTS (SELECT 1 FROM "
        f"{_tasks} WHERE pool = ? AND host IS NOT NULL AND host NOT IN (SELECT id FROM parking_lot_hosts)) "
        "OR EXISTS (SELECT 1 FROM parking_lot_holdings "
        "WHERE budget = ? AND host NOT IN (SELECT id FROM parking_lot_hosts))"
    )
    # budget, pool -> pool, task_id, tenant, host, epoch, device, units
    left_behind: str = (
        "SELECT h.pool, h.task_id, coalesce(t.tenant, ''), h.host, h.epoch, h.device, h.units "
        f"FROM parking_lot_holdings h LEFT JOIN {_tasks} t ON t.pool = h.pool AND t.task_id = h.task_id "
        "WHERE h.budget = ? AND h.pool <> ? AND h.host NOT IN (SELECT id FROM parking_lot_hosts)"
    )
    # pool, limit -> columns.TASK, host
    orphans: str = (
        f"SELECT {_selected}, host FROM {_tasks} WHERE pool = ? AND host IS NOT NULL "
        "AND host NOT IN (SELECT id FROM parking_lot_hosts) ORDER BY sequence LIMIT ?"
    )
    adopt: str = f"UPDATE {_tasks} SET host = ? WHERE pool = ? AND task_id = ?"

    # pool, source, budget, work, outcomes, requests; and the last three again
    tell: str = (
        "INSERT INTO parking_lot_news (pool, source, budget, work, outcomes, requests) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (pool, source) DO UPDATE SET work = work + ?, outcomes = outcomes + ?, requests = requests + ?"
    )
    forget_news: str = (
        "DELETE FROM parking_lot_news WHERE source <> '' AND source NOT IN (SELECT id FROM parking_lot_hosts)"
    )
    # pool, budget
    news: str = "SELECT pool, source, work, outcomes, requests FROM parking_lot_news WHERE pool = ? OR budget = ?"

    prune_archive: str = f"DELETE FROM {_archive} WHERE pool = ? AND archived_at < ?"
    # Whoever reads on from a number must not find it given again, and SQLite gives one past the largest.
    prune_audit: str = (
        "DELETE FROM parking_lot_audit WHERE pool = ? AND at < ? "
        "AND number < (SELECT max(number) FROM parking_lot_audit)"
    )


def _reading(text: str) -> str:
    """A statement of ``READING`` as SQLite takes it."""
    text = text.strip().format(tasks=_tasks, selected=_selected, now=":now")
    return re.sub(r"%\((\w+)\)s", r":\1", text).replace("%%", "%")


#: Parameters are named here.
SQLITE_READING = ReadingStatements(**{name: _reading(text) for name, text in READING.items()})
