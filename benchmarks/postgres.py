"""Queues on Postgres beside others, on one server, in one run, each commit flushed before it is acknowledged.

``ours`` is a queue in tables, ``ours_pgmq`` one in PGMQ. What is measured, and what each peer does not do, is in
``_postgres_peers.py`` and the modules of the peers. The last figures are lives with one host beside what a busy
database has: a million finished tasks in the mailbox, 200,000 parked ones, a transaction that is open all the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from benchmarks._postgres_peers import PEERS, lives_of, rates_of
from benchmarks._postgres_server import server

OURS = ("ours", "ours_pgmq")
GOALS = {
    "best_peer_ratio_submits": (">=", 1.5),
    "best_peer_ratio_lives": (">=", 1.5),
    "best_peer_ratio_pickup": ("<=", 1.0),
    "lives_beside_a_million_results": (">=", 0.8),
    "lives_beside_200000_parked": (">=", 0.8),
    "lives_beside_an_open_transaction": (">=", 0.8),
}
_RUNS = 3

_RESULTS = """
INSERT INTO parking_lot_results (pool, task_id, epoch, box_tenant, box_user, box_session, status,
  submitted_at, started_at, finished_at, result)
SELECT 'bench', 'old-' || n, 1, '', '', '', 'succeeded', n, n, n, convert_to(repeat('x', 300), 'UTF8')
FROM generate_series(1, 1000000) n
"""
# Of the lowest class, and larger than any device, so that they stay where they are.
_PARKED = """
WITH new AS (SELECT n, nextval('parking_lot_tasks_numbers') AS number FROM generate_series(1, 200000) n),
bodies AS (INSERT INTO parking_lot_tasks_payloads SELECT number, convert_to(repeat('x', 300), 'UTF8') FROM new)
INSERT INTO parking_lot_tasks (pool, task_id, state, priority, tag, sequence, units, tenant, epoch, attempts,
  admitted_at, max_attempts, box_tenant, box_user, box_session, payload)
SELECT 'bench', 'parked-' || n, 'parked', 0, 0, number, 2000000, '', 0, 0, n, 0, '', '', '', number FROM new
"""
_ANALYZE = "VACUUM ANALYZE"


def run() -> dict[str, float]:
    """Figures of all, and the ratios that have goals."""
    found: dict[str, float] = {}
    with server() as url:
        for name in (*OURS, *PEERS):
            found |= {_key(name, key): figure for key, figure in rates_of(name, url).items()}
        found |= _burdens(url)
    return found | _ratios(found)


def _key(name: str, key: str) -> str:
    return key if name == "ours" else f"{name.removeprefix('ours_')}_{key}"


def _ratios(found: Mapping[str, float]) -> dict[str, float]:
    """Our queue in tables beside the best peer in each: the worst of the ratios of a kind."""

    def best(key: str) -> float:
        return max(found.get(f"{peer}_{key}", 0.0) for peer in PEERS)

    submits = [found[key] / best(key) for key in ("submits_per_s_1", "submits_per_s_64", "submit_many_per_s")]
    lives = [found[key] / best(key) for key in ("lives_per_s_1", "lives_per_s_4")]
    quickest = min(found[f"{peer}_pickup_p50_ms"] for peer in PEERS)
    return {
        "best_peer_ratio_submits": min(submits),
        "best_peer_ratio_submits_1": submits[0],
        "best_peer_ratio_submits_64": submits[1],
        "best_peer_ratio_submit_many": submits[2],
        "best_peer_ratio_lives": min(lives),
        "best_peer_ratio_pickup": found["pickup_p50_ms"] / quickest,
    }


def _burdens(url: str) -> dict[str, float]:
    """Lives with one host in a database that carries something, as a share of those without."""
    plain, results, parked, held = [], [], [], []
    for _ in range(_RUNS):  # in turns, so that a slow minute slows all
        plain.append(lives_of("ours", url))
        results.append(lives_of("ours", url, prepare=lambda own: _execute(own, _RESULTS, _ANALYZE)))
        parked.append(lives_of("ours", url, prepare=lambda own: _execute(own, _PARKED, _ANALYZE)))
        held.append(lives_of("ours", url, beside=_open_transaction))
    base = max(plain)
    return {
        "lives_per_s_plain": base,
        "lives_beside_a_million_results": max(results) / base,
        "lives_beside_200000_parked": max(parked) / base,
        "lives_beside_an_open_transaction": max(held) / base,
    }


def _execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@contextmanager
def _open_transaction(url: str) -> Iterator[None]:
    """A transaction that has written something and sees the database as it was: nothing dead can be cleaned up."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT pg_current_xact_id()")
        yield
        connection.rollback()
