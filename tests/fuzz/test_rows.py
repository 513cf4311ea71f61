"""Lots whose rows were damaged: what can be read is run, what cannot is set aside and counted, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parking_lot_core import MailboxKey, PoolConfig
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.ports import Mailbox, StoredTask, TaskQueue
from parking_lot_drivers.shared_ports import SharedQueue
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sql.columns import OUTCOME, REQUEST, TASK
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import batch, cancellation, delivery, parked, running, stopping, submission
from tests.fuzz.damage import CELLS

SOON = 10.0
TASKS = ("t1", "t2", "t3", "t4")
BOX = MailboxKey("acme", "ada", "s1")
CONFIG = PoolConfig(devices={"gpu-0": 8}, aging=50.0, tenants={"acme": 2}, max_attempts=3, retry_backoff=0.0)


@attrs.frozen
class Kind:
    """A kind of file: how to open it, and what its tables are called."""

    queue: Callable[[Path], TaskQueue]
    mailbox: Callable[[Path], Mailbox]
    tasks: str
    prefix: str
    outcomes: str
    runs: bool  # whether rows of tasks may be written as running by nobody

    def table(self, name: str) -> str:
        return {"tasks": self.tasks, "outcomes": self.outcomes, "payloads": f"{self.prefix}payloads"}.get(
            name, f"{self.prefix.removesuffix('tasks_')}{name}"
        )


KINDS = {
    "embedded": Kind(
        lambda file: SqliteQueue(file, "pool"), lambda file: SqliteMailbox(file, "pool"), "tasks", "", "outcomes", True
    ),
    "shared": Kind(
        lambda file: SharedSqliteQueue(file, "pool", aging=True, poll=0.02),
        lambda file: SharedSqliteMailbox(file, "pool"),
        "parking_lot_tasks",
        "parking_lot_tasks_",
        "parking_lot_results",
        False,
    ),
}

# The columns that are damaged, by table; the first is the key by which its rows are told apart.
COLUMNS = {
    "tasks": TASK.names[1:],
    "payloads": ("number", "body"),
    "checkpoints": ("pool", "body"),
    "requests": tuple(name for name in REQUEST.names if name != "pool"),
    "outcomes": tuple(name for name in OUTCOME.names if name != "pool"),
}


@attrs.frozen
class Damage:
    """``sql`` put into a column of row number ``row`` of a table; ``column`` ``None``: the row is deleted."""

    table: str
    row: int
    column: str | None
    sql: str

    def statement(self, kind: Kind) -> str:
        key = COLUMNS[self.table][0]
        table = kind.table(self.table)
        where = f"{key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {self.row})"
        if self.column is None:
            return f"DELETE FROM {table} WHERE {where}"
        value = f"(SELECT {self.column} FROM {table} ORDER BY {key} LIMIT 1)" if self.sql == "THE FIRST" else self.sql
        return f"UPDATE {table} SET {self.column} = {value} WHERE {where}"


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    table = draw(st.sampled_from(["tasks", "tasks", "tasks", *COLUMNS]))
    row = draw(st.integers(0, 3))
    if table == "payloads" and draw(st.booleans()):
        return Damage(table, row, None, "")
    column = draw(st.sampled_from(COLUMNS[table][table in ("checkpoints", "requests", "outcomes") :]))
    body = table == "checkpoints" and draw(st.booleans())
    return Damage(table, row, column, draw(st.sampled_from(CHECKPOINTS if body else (*CELLS, "THE FIRST"))))


CHECKPOINTS: tuple[str, ...] = tuple(
    [
        f"""json_set(body, '$.{place}', json('{value}'))"""
        for place in ("now", "next_sequence", "virtual_time", "passed_over[0][1]", "finish_tags[0][1]")
        for value in ("-1", "0", "1e308", "null", '"x"', "[]", "9223372036854775807", "1.5", "true")
    ]
    + [
        f"""json_set(body, '$.devices[0][{place}]', json('{value}'))"""
        for place in (0, 1, 2, 3)
        for value in ("-1", "0", "null", '"x"', "9223372036854775807")
    ]
    + [
        """replace(body, '"now":', '"now":1e999,"was":')""",
        """replace(body, '"now":', '"now":NaN,"was":')""",
        """replace(body, '"now":', '"now":1' || replace(hex(zeroblob(200)), '00', '0') || ',"was":')""",
        """replace(hex(zeroblob(20000)), '00', '[')""",
        """json_remove(body, '$.devices')""",
        """json_set(body, '$.devices', json('[["gpu-0",8,3,8],["gpu-0",8,5,8]]'))""",
        """json_set(body, '$.passed_over', json('[["t1",1],["t1",2],["nobody",3]]'))""",
        """'null'""",
    ]
)


@contextmanager
def lot_file(kind: str) -> Iterator[Path]:
    """A lot with tasks, requests and outcomes, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "pool.lot"
        shutil.copyfile(_template(kind), file)
        yield file


_templates: dict[str, tuple[Any, Path]] = {}


def _template(name: str) -> Path:
    if name not in _templates:
        folder = tempfile.TemporaryDirectory()
        file = Path(folder.name) / "pool.lot"
        anyio.run(_fill, KINDS[name], file)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _templates[name] = (folder, file)
    return _templates[name][1]


async def _fill(kind: Kind, file: Path) -> None:
    queue, mailbox = kind.queue(file), kind.mailbox(file)
    queue.adopt(mailbox)
    await mailbox.open()
    await queue.open()
    if isinstance(queue, SharedQueue):
        await queue.reserve(100)  # its hosts draw their numbers: those below are taken
    more = {"start_by": 4e9, "tenant": "acme", "run_timeout": 500.0}
    waiting = [parked(name, number + 1, **(more if number % 2 else {})) for number, name in enumerate(TASKS)]
    held = [running(parked("t5", 5)), stopping(running(parked("t6", 6)))] if kind.runs else []
    added = [StoredTask(task, json.dumps(task.id).encode(), BOX) for task in (*waiting, *held)]
    await queue.save(batch(added=added, next_sequence=20))
    await queue.post(submission("r1", payload=b'"r1"', task=attrs.evolve(submission("r1").task, start_by=None)))
    await queue.post(submission("r2", payload=b'"r2"', task=attrs.evolve(submission("r2").task, start_by=None)))
    await queue.post(cancellation("nobody"))
    await mailbox.deliver([delivery("o1"), delivery("o2")])
    await queue.aclose()
    await mailbox.aclose()


async def echo(payload: object) -> object:
    return payload


def ids(connection: sqlite3.Connection, kind: Kind) -> dict[str, list[Any]]:
    """What is in the file, by where it is."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
    return {
        name: [
            task_id.decode("utf-8", "backslashreplace") if isinstance(task_id, bytes) else task_id
            for (task_id,) in connection.execute(
                f"SELECT task_id FROM {kind.table(name)} WHERE pool = 'pool'"
                + " AND length(payload) > 0" * (name == "requests")  # not of cancellations, which leave nothing
            )
        ]
        for name in ("tasks", "requests", "outcomes", "set_aside")
    }


def damage(file: Path, kind: Kind, wanted: list[Damage]) -> bool:
    """Do it. Whether anything was changed: what the tables themselves refuse cannot happen."""
    changed = 0
    with closing(sqlite3.connect(file)) as connection:
        for one in wanted:
            try:
                changed += connection.execute(one.statement(kind)).rowcount
            except (sqlite3.IntegrityError, sqlite3.OperationalError):
                connection.rollback()
            connection.commit()
    return changed > 0


def recover(name: str, wanted: list[Damage]) -> None:
    """Damage a lot and serve it: afterwards every task is somewhere, and those that are whole have run."""
    kind = KINDS[name]
    with lot_file(name) as file:
        with closing(sqlite3.connect(file)) as connection:
            before = ids(connection, kind)
        damage(file, kind, wanted)
        with closing(sqlite3.connect(file)) as connection:
            given_now = ids(connection, kind)
        whole = [*_whole(sorted(before["tasks"]), "tasks", wanted), *_whole(["r1", "r2", "nobody"], "requests", wanted)]
        anyio.run(serve, kind, file, whole)
        with closing(sqlite3.connect(file)) as connection:
            after = ids(connection, kind)
        rows = [*after["tasks"], *after["outcomes"], *after["set_aside"], *after["requests"]]
        for table in ("tasks", "requests", "outcomes"):
            for task_id in given_now[table]:
                assert task_id in rows or task_id == "nobody", f"{task_id} is gone; left are {after}"
        assert len([one for one in rows if one not in ("nobody", "(checkpoint)")]) >= len(
            [one for table in ("tasks", "requests", "outcomes") for one in given_now[table] if one != "nobody"]
        ) - _renamed_twins(given_now)


def _whole(every: list[Any], table: str, wanted: list[Damage]) -> list[Any]:
    """The tasks of a table, in the order of its key, that no damage could reach."""
    hurts = [one for one in wanted if one.table == table or (table == "tasks" and one.table == "payloads")]
    if len(hurts) > 1 and any(one.column in (None, COLUMNS[one.table][0]) for one in hurts):
        return []  # the first may have changed which rows the others found
    reached = {place for one in hurts for place in (one.row, *([0] if one.sql == "THE FIRST" else []))}
    return [task_id for place, task_id in enumerate(every) if place not in reached and task_id != "nobody"]


def _renamed_twins(given_now: dict[str, list[Any]]) -> int:
    """A task that damage gave the id of another in another table is one with it from then on."""
    every = [task_id for table in ("tasks", "requests", "outcomes") for task_id in given_now[table]]
    return len(every) - len(set(every))


async def serve(kind: Kind, file: Path, whole: list[str]) -> None:
    """Run a pool on the file until the tasks that are whole have ended, and a new one has."""
    mailbox = kind.mailbox(file)
    pool = ResourcePool(CONFIG, echo, queue=kind.queue(file), mailbox=mailbox, name="pool", grace=0.0)
    async with pool:
        with anyio.fail_after(SOON):
            assert await (await pool.submit("new", units=6)).result() == "new"
            while len(await mailbox.ended(whole)) < len(set(whole)):  # noqa: ASYNC110
                await anyio.sleep(0.005)
        await mailbox.fetch(BOX)


@pytest.mark.parametrize("sequence", [101, 201, 401])
def test_a_number_that_a_damaged_row_has_taken(sequence: int) -> None:
    """A host draws a number for a new task that a row already has: both run, one after the other if need be."""

    async def slow(payload: object) -> object:
        await anyio.sleep(0.3)
        return payload

    async def submit(file: Path) -> None:
        kind = KINDS["shared"]
        pool = ResourcePool(CONFIG, slow, queue=kind.queue(file), mailbox=kind.mailbox(file), name="pool", grace=0.0)
        async with pool:
            handles = [await pool.submit(number) for number in range(3)]
            with anyio.fail_after(SOON):
                assert [await handle.result() for handle in handles] == [0, 1, 2]

    with lot_file("shared") as file:
        damage(file, KINDS["shared"], [Damage("tasks", 1, "sequence", str(sequence))])
        anyio.run(submit, file)


FEW = settings(max_examples=25)

# Each of these once stopped the whole lot, or lost a task.
FOUND = (
    Damage("tasks", 1, "tag", "replace(hex(zeroblob(200)), '00', '9')"),
    Damage("tasks", 1, "tag", "'39614081257132168796771975168000'"),
    Damage("tasks", 1, "tag", "-1"),
    Damage("tasks", 1, "sequence", "9223372036854775807"),
    Damage("tasks", 1, "epoch", "9223372036854775807"),
    Damage("tasks", 1, "attempts", "9223372036854775807"),
    Damage("tasks", 1, "admitted_at", "9e999"),
    Damage("tasks", 1, "sequence", "THE FIRST"),
    Damage("payloads", 1, "number", "9223372036854775807"),
    Damage("payloads", 1, "body", "'x'"),
    Damage("payloads", 1, "body", "7"),
    Damage("requests", 0, "units", "NULL"),
    Damage("checkpoints", 0, "body", """replace(body, '"now":', '"now":NaN,"was":')"""),
    Damage("checkpoints", 0, "body", "replace(hex(zeroblob(20000)), '00', '[')"),
    Damage("checkpoints", 0, "body", "json_set(body, '$.next_sequence', json('9223372036854775807'))"),
    Damage("checkpoints", 0, "body", "json_set(body, '$.devices[0][2]', json('-1'))"),
)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("found", FOUND, ids=str)
def test_damage_that_was_found(name: str, found: Damage) -> None:
    recover(name, [found])


@FEW
@given(st.lists(damages(), min_size=1, max_size=3))
def test_an_embedded_lot_with_damaged_rows(wanted: list[Damage]) -> None:
    recover("embedded", wanted)


@FEW
@given(st.lists(damages(), min_size=1, max_size=3))
def test_a_shared_lot_with_damaged_rows(wanted: list[Damage]) -> None:
    recover("shared", wanted)


#: How many rows of a table are damaged at once where everything is tried; the first is left whole if there are others.
AT_ONCE = {"tasks": 3, "payloads": 3, "requests": 2, "outcomes": 2, "checkpoints": 1}


@pytest.mark.slow
@pytest.mark.parametrize("table", COLUMNS)
def test_every_column_with_every_damage(table: str) -> None:
    """All damages that there are to one column, each to a row of its own."""
    for column in COLUMNS[table][table in ("checkpoints", "requests", "outcomes") :]:
        cells = [*CELLS, "THE FIRST", *(CHECKPOINTS if table == "checkpoints" else ())]
        first, count = int(table in ("tasks", "payloads")), AT_ONCE[table]
        for some in (cells[at : at + count] for at in range(0, len(cells), count)):
            recover("embedded", [Damage(table, row, column, cell) for row, cell in enumerate(some, start=first)])
