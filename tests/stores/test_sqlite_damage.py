"""Rows that this version would not have written are set aside, kept and counted; all others are there."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from parking_lot_drivers.ports import StoredTask
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import (
    BOX,
    batch,
    cancellation,
    checkpoint,
    delivery,
    parked,
    running,
    submission,
)

pytestmark = pytest.mark.anyio

BROKEN_TEXT = "CAST(x'626164ff' AS TEXT)"  # "bad" and a byte that is not UTF-8
TASK_DAMAGE = {
    "priority = 9": "priority: expected one of 0, 1, 2, 3, got 9",
    "priority = 'high'": "priority: expected int, got 'high'",
    "state = 'delivered'": "state: expected one of parked, running, stopping, got 'delivered'",
    "state = 'running'": "state: running does not go with device None",
    "device = 'gpu-0'": "state: parked does not go with device 'gpu-0'",
    "stop_reason = 'cancelled'": "state: parked does not go with stop_reason 'cancelled'",
    "stop_reason = 'bored'": "stop_reason: expected one of",
    "units = 0": "units: expected an integer ≥ 1 (and at most 2^53), got 0",
    "units = 1.5": "units: expected int, got 1.5",
    "tag = 'many'": "tag: expected a whole number, got 'many'",
    "tag = x'00'": "tag: expected int or str or Decimal, got b'\\x00'",
    "sequence = -3": "sequence: expected an integer ≥ 1, got -3",
    "epoch = -1": "epoch: expected an integer ≥ 0, got -1",
    "attempts = 'two'": "attempts: expected int, got 'two'",
    "max_attempts = -1": "max_attempts: expected an integer ≥ 0, got -1",
    "admitted_at = 'soon'": "admitted_at: expected float, got 'soon'",
    "run_timeout = -1": "run_timeout: expected seconds > 0, got -1.0",
    "start_by = 9e999": "start_by: expected seconds since the Unix epoch, got inf",
    "task_id = ''": "id: expected a non-empty string, got ''",
    f"tenant = {BROKEN_TEXT}": "tenant: expected str, got b'bad\\xff'",
    f"task_id = {BROKEN_TEXT}": "task_id: expected str, got b'bad\\xff'",
    "task_id = x'00ff'": "task_id: expected str, got b'\\x00\\xff'",
}


def sql(file: Path, *statements: str) -> list[Any]:
    """What the last of the statements gives."""
    with closing(sqlite3.connect(file)) as connection:
        for statement in statements:
            found = connection.execute(statement).fetchall()
        connection.commit()
        return found


async def a_lot(folder: Path) -> Path:
    file = folder / "pool.sqlite"
    queue = SqliteQueue(file, "pool")
    await queue.open()
    added = [StoredTask(parked(name, n + 1), name.encode(), BOX) for n, name in enumerate(["first", "hurt", "last"])]
    await queue.save(batch(added=[*added, running(parked("runs", 9))], next_sequence=10))
    await queue.aclose()
    return file


@pytest.mark.parametrize("damage", TASK_DAMAGE)
async def test_a_damaged_task(tmp_path: Path, damage: str) -> None:
    file = await a_lot(tmp_path)
    sql(file, f"UPDATE tasks SET {damage} WHERE task_id = 'hurt'")
    queue = SqliteQueue(file, "pool")
    await queue.open()

    assert (await queue.overview()).set_aside == 0
    loaded = await queue.load()
    assert [task.id for task, _ in loaded.tasks] == ["first", "last", "runs"]
    assert loaded.checkpoint == checkpoint(10)
    assert len(loaded.set_aside) == 1
    assert loaded.set_aside[0].reason.startswith(f"tasks: {TASK_DAMAGE[damage]}")

    again = await queue.load()
    assert (len(again.tasks), list(again.set_aside)) == (3, [])
    seen = await queue.overview()
    assert (seen.set_aside, seen.parked, len(seen.running)) == (1, 2, 1)
    await queue.aclose()

    ((body, payload),) = sql(file, "SELECT body, payload FROM set_aside")
    assert payload == b"hurt"
    kept = json.loads(body)
    assert kept["box_tenant"] == "acme"
    assert kept["admitted_at"] in (1002.0, "soon")
    assert sql(file, "SELECT count(*) FROM payloads") == [(3,)]


async def test_a_damaged_task_is_passed_over_by_those_who_look(tmp_path: Path) -> None:
    file = await a_lot(tmp_path)
    sql(file, "UPDATE tasks SET priority = 9 WHERE task_id = 'hurt'")
    queue = SqliteQueue(file, "pool")
    await queue.open(schedule=False)
    assert [task.id for task in (await queue.overview()).waiting] == ["first", "last"]
    assert await queue.get("hurt") is None
    loaded = await queue.load()  # Reported, but left to the scheduling process.
    assert (len(loaded.tasks), len(loaded.set_aside), (await queue.overview()).set_aside) == (3, 1, 0)
    await queue.aclose()


@pytest.mark.parametrize("body", ["'{'", "'[]'", '\'{"now": "late"}\'', "x'00'", BROKEN_TEXT])
async def test_a_damaged_checkpoint(tmp_path: Path, body: str) -> None:
    file = await a_lot(tmp_path)
    sql(file, f"UPDATE checkpoints SET body = {body}")
    queue = SqliteQueue(file, "pool")
    await queue.open()
    loaded = await queue.load()
    assert [report.task_id for report in loaded.set_aside] == ["(checkpoint)"]
    assert loaded.set_aside[0].reason.startswith("checkpoints: checkpoint: ")
    assert len(loaded.tasks) == 4
    assert loaded.checkpoint is not None
    assert loaded.checkpoint.next_sequence == 10
    assert loaded.checkpoint.now == 2000.25
    await queue.save(batch(next_sequence=11))
    assert (await queue.load()).checkpoint == checkpoint(11)
    await queue.aclose()


@pytest.mark.parametrize(
    "damage", ["priority = 9", "units = 'two'", "units = 0", f"tenant = {BROKEN_TEXT}", "at = 'x'"]
)
async def test_a_damaged_request(tmp_path: Path, damage: str) -> None:
    file = await a_lot(tmp_path)
    queue = SqliteQueue(file, "pool")
    await queue.open()
    for request in (submission("hurt", payload=b"kept"), cancellation("fine")):
        await queue.post(request)
    sql(file, f"UPDATE requests SET {damage} WHERE task_id = 'hurt'")
    assert [request.task_id for request in await queue.requests(limit=1)] == ["fine"]
    assert (await queue.overview()).set_aside == 1
    await queue.aclose()
    assert sql(file, "SELECT source, task_id, payload FROM set_aside") == [("requests", "hurt", b"kept")]


@pytest.mark.parametrize("damage", ["status = 'odd'", "finished_at = 'x'", f"error = {BROKEN_TEXT}", "epoch = -1"])
async def test_a_damaged_outcome(tmp_path: Path, damage: str) -> None:
    file = await a_lot(tmp_path)
    mailbox = SqliteMailbox(file, "pool")
    await mailbox.open()
    await mailbox.deliver([delivery(name, result=b"result of " + name.encode()) for name in ("a", "hurt", "b", "also")])
    sql(file, f"UPDATE outcomes SET {damage} WHERE task_id IN ('hurt', 'also')")
    assert await mailbox.get("also") is None
    assert [message.delivery.task_id for message in await mailbox.fetch(BOX, limit=2)] == ["a", "b"]
    assert await mailbox.get("hurt") is None
    await mailbox.aclose()
    kept = sql(file, "SELECT source, task_id, payload FROM set_aside ORDER BY number")
    assert kept == [("outcomes", "also", b"result of also"), ("outcomes", "hurt", b"result of hurt")]


async def test_a_task_that_lost_its_payload(tmp_path: Path) -> None:
    file = await a_lot(tmp_path)
    sql(file, "DELETE FROM payloads WHERE body = CAST('hurt' AS BLOB)")
    queue = SqliteQueue(file, "pool")
    await queue.open()
    assert len((await queue.load()).tasks) == 4
    assert set(await queue.payloads(["first", "hurt"])) == {"first"}
    await queue.aclose()
