"""Other embedded queues, on the same terms: WAL, ``synchronous=FULL``, 300-byte payloads, a commit before each answer.

A *life* is submitted, started, finished and its result stored. Each function returns operations per second.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

PAYLOAD = {"text": "x" * 285}
ENCODED = json.dumps(PAYLOAD)


def rate(count: int, work: Callable[[], None]) -> float:
    """Operations per second of one call that does ``count`` of them."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def in_threads(threads: int, count: int, one: Callable[[], None]) -> float:
    """Operations per second of ``count`` calls spread over threads."""

    def share() -> None:
        for _ in range(count // threads):
            one()

    def work() -> None:
        workers = [threading.Thread(target=share) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return rate(count // threads * threads, work)


def floor_rows(folder: Path, count: int) -> float:
    """What the disk and SQLite allow a program that commits each row by itself."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)")

    def work() -> None:
        for _ in range(count):
            connection.execute("INSERT INTO rows (payload) VALUES (?)", (ENCODED,))

    try:
        return rate(count, work)
    finally:
        connection.close()


def huey_rates(folder: Path, count: int) -> dict[str, float]:
    """SqliteHuey: enqueue from 1 and 64 threads; then dequeue and execute, which stores the result."""
    from huey import SqliteHuey

    queue = SqliteHuey("bench", filename=str(folder / "huey.db"), fsync=True, timeout=60)

    @queue.task()  # type: ignore[untyped-decorator]
    def echo(text: str) -> str:
        return text

    def submit() -> None:
        echo(PAYLOAD["text"])

    rates = {"submits_per_s_1": in_threads(1, count, submit), "submits_per_s_64": in_threads(64, count, submit)}
    queue.flush()

    def lives() -> None:
        for _ in range(count):
            submit()
        while (task := queue.dequeue()) is not None:
            queue.execute(task)

    rates["lives_per_s"] = rate(count, lives)
    queue.storage.close()
    return rates


def litequeue_rates(folder: Path, count: int) -> dict[str, float]:
    """litequeue, forced to ``synchronous=FULL``: put from 1 and 64 threads; then put, pop and done, with no result."""
    from litequeue import LiteQueue

    queue = LiteQueue(folder / "litequeue.db")
    queue.conn.execute("PRAGMA journal_mode=WAL")
    queue.conn.execute("PRAGMA synchronous=FULL")
    lock = threading.Lock()

    def submit() -> None:
        with lock:  # its connection is not safe to share otherwise
            queue.put(ENCODED)

    rates = {"submits_per_s_1": in_threads(1, count, submit), "submits_per_s_64": in_threads(64, count, submit)}
    while (left := queue.pop()) is not None:
        queue.done(left.message_id)

    def lives() -> None:
        for _ in range(count):
            queue.put(ENCODED)
        while (message := queue.pop()) is not None:
            queue.done(message.message_id)

    rates["lives_per_s"] = rate(count, lives)
    queue.close()
    return rates
