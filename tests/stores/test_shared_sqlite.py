"""Several pools and processes on one file with one budget of units, also when processes die or stand still."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from parking_lot_drivers import ResourcePool
from tests.stores import sharer

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0
_RELEASES = ("Enqueue", "Deliver", "Expire", "Lapse")

Condition = Callable[[], object]


@attrs.define
class Sharers:
    """The processes on one file, and what is known of them."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    def start(self, count: int) -> None:
        """Start so many, in turns on asyncio and trio, and wait until they schedule."""
        for number in range(count):
            arguments = [sys.executable, "-m", "tests.stores.sharer", str(self.folder), ("asyncio", "trio")[number % 2]]
            self.processes.append(subprocess.Popen(arguments, cwd=_ROOT))
        self.until(lambda: len(self.noted("ready")) == count)

    def noted(self, what: str) -> list[dict[str, Any]]:
        return [line for line in sharer.read_log(self.folder) if line["what"] == what]

    def until(self, condition: Condition) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"not so after {_PATIENCE_S} s; {len(self.outcomes())} have ended"
            time.sleep(0.02)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(sharer.file_of(self.folder), timeout=10)) as connection:
            return connection.execute(statement).fetchall()

    def outcomes(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT task_id, status, epoch, result FROM parking_lot_results")

    def runs_of(self, process: subprocess.Popen[bytes]) -> set[tuple[str, int]]:
        """Tasks, with their epochs, that have begun there and not ended."""
        lines = [line for line in sharer.read_log(self.folder) if line["pid"] == process.pid and "task" in line]
        runs = {what: {(x["task"], x["epoch"]) for x in lines if x["what"] == what} for what in ("start", "end")}
        return runs["start"] - runs["end"]

    def one_at_work(self) -> subprocess.Popen[bytes]:
        """Wait until one of them runs a task."""
        self.until(lambda: any(map(self.runs_of, self.processes)))
        return next(process for process in self.processes if self.runs_of(process))

    def pause(self, process: subprocess.Popen[bytes]) -> None:
        """Stop a process while it runs a task, and not just when it writes: then all others would wait for it."""
        while True:
            process.send_signal(signal.SIGSTOP)
            if self.runs_of(process) and self._can_write():
                return
            process.send_signal(signal.SIGCONT)
            self.until(lambda: self.runs_of(process))

    def _can_write(self) -> bool:
        with closing(sqlite3.connect(sharer.file_of(self.folder), timeout=3, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def stop(self) -> None:
        """Let them stop in order."""
        (self.folder / "stop").touch()
        for process in self.processes:
            assert process.wait(_PATIENCE_S) in (0, -signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing behind."""
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def sharers(tmp_path: Path) -> Iterator[Sharers]:
    sharers = Sharers(tmp_path)
    yield sharers
    sharers.end()


def submit(folder: Path, count: int, seconds: float = 0.02) -> set[str]:
    """Park so many tasks of 1 to 5 units, for others to run. Returns their ids."""

    async def send() -> set[str]:
        async with sharer.pool_on(folder, sharer.work) as pool:
            pool.set_capacity("0", 0)
            payloads = [{"folder": str(folder), "seconds": seconds * (1 + number % 3) / 2} for number in range(count)]
            handles = [await pool.submit(each, units=1 + number % 5) for number, each in enumerate(payloads)]
            return {handle.task_id for handle in handles}

    return anyio.run(send)


def check_trail(rows: Sequence[tuple[Any, ...]]) -> None:
    """By the audit trail, never more units were taken than there are, and more than one task ran at a time."""
    held: dict[str, int] = {}
    most = 0
    for task_id, move, units in rows:
        if move == "Start":
            assert task_id not in held, f"{task_id} was started twice"
            held[task_id] = units
        elif move in _RELEASES:
            held.pop(task_id, None)
        most = max(most, sum(held.values()))
    assert sharer.UNITS / 2 < most <= sharer.UNITS
    assert held == {}


def check_runs(log: Sequence[Mapping[str, Any]], gone: Mapping[int, int]) -> None:
    """By what the tasks noted, too. ``gone``: since when (ns) a process was dead or stood still."""
    changes = []
    ends = {(line["task"], line["epoch"], line["pid"]): line["at"] for line in log if line["what"] == "end"}
    for line in log:
        if line["what"] == "start":
            end = ends.get((line["task"], line["epoch"], line["pid"]), gone.get(line["pid"]))
            assert end is not None, f"{line} has no end"
            changes += [(line["at"], line["units"]), (min(end, gone.get(line["pid"], end)), -line["units"])]
    held = most = 0
    for _, units in sorted(changes):
        held += units
        most = max(most, held)
    assert sharer.UNITS / 2 < most <= sharer.UNITS


TRAIL = "SELECT task_id, move, units FROM parking_lot_audit ORDER BY number"


def check_all(sharers: Sharers, tasks: set[str], gone: Mapping[int, int]) -> None:
    """Each task has one outcome, that of its last start; and the budget held at all times."""
    outcomes = sharers.outcomes()
    assert Counter(task_id for task_id, *_ in outcomes) == dict.fromkeys(tasks, 1)
    assert {status for _, status, _, _ in outcomes} == {"succeeded"}
    assert all(result == str(epoch).encode() for _, _, epoch, result in outcomes)
    starts = sharers.rows("SELECT task_id, max(epoch), count(*) FROM parking_lot_audit WHERE move = 'Start' GROUP BY 1")
    assert {task_id: epoch for task_id, _, epoch, _ in outcomes} == {task_id: epoch for task_id, epoch, _ in starts}
    assert all(epoch == count for _, epoch, count in starts)
    for table in ("parking_lot_tasks", "parking_lot_tasks_payloads", "parking_lot_holdings"):
        assert sharers.rows(f"SELECT * FROM {table}") == []
    check_trail(sharers.rows(TRAIL))
    check_runs(sharer.read_log(sharers.folder), gone)
    assert sharers.rows("PRAGMA integrity_check") == [("ok",)]


def test_four_processes_share_a_budget(sharers: Sharers) -> None:
    sharers.start(4)
    tasks = submit(sharers.folder, 120)
    sharers.until(lambda: len(sharers.outcomes()) == len(tasks))
    sharers.stop()
    check_all(sharers, tasks, gone={})
    hosts = {line["pid"] for line in sharers.noted("start")}
    assert len(hosts) > 1, "one process did everything"


def test_the_units_of_a_killed_process_come_back(sharers: Sharers) -> None:
    sharers.start(4)
    tasks = submit(sharers.folder, 80, seconds=0.1)
    victim = sharers.one_at_work()
    victim.kill()
    victim.wait()
    killed_at, lost = time.monotonic_ns(), sharers.runs_of(victim)
    sharers.until(lambda: len(sharers.outcomes()) == len(tasks))
    sharers.stop()
    check_all(sharers, tasks, gone={victim.pid: killed_at})
    epochs = {task_id: epoch for task_id, _, epoch, _ in sharers.outcomes()}
    # What it was killed at ran elsewhere; unless it had just ended, and its end was still saved.
    lapsed = set(sharers.rows("SELECT task_id, epoch FROM parking_lot_audit WHERE move = 'Lapse'"))
    assert lost <= lapsed
    assert all(epochs[task_id] > epoch for task_id, epoch in lapsed)


def test_a_process_that_stood_still_is_fenced(sharers: Sharers) -> None:
    sharers.start(4)
    tasks = submit(sharers.folder, 40, seconds=0.4)
    victim = sharers.one_at_work()
    sharers.pause(victim)
    stopped_at, stale = time.monotonic_ns(), sharers.runs_of(victim)
    sharers.until(lambda: len(sharers.outcomes()) == len(tasks))
    before = sorted(sharers.outcomes())
    victim.send_signal(signal.SIGCONT)
    sharers.until(lambda: not sharers.runs_of(victim))  # it has ended them, late
    more = submit(sharers.folder, 10)
    sharers.until(lambda: len(sharers.outcomes()) == len(tasks) + len(more))
    sharers.stop()
    assert [row for row in sorted(sharers.outcomes()) if row[0] in tasks] == before
    epochs = {task_id: epoch for task_id, _, epoch, _ in before}
    assert stale
    assert all(epochs[task_id] > epoch for task_id, epoch in stale)
    check_all(sharers, tasks | more, gone={victim.pid: stopped_at})


@pytest.mark.anyio
async def test_two_pools_in_one_process_share_a_budget(tmp_path: Path) -> None:
    async def fill(pool: ResourcePool) -> None:
        payload = {"folder": str(tmp_path), "seconds": 0.01}
        handles = [await pool.submit(payload, units=1 + number % 5) for number in range(40)]
        assert [await handle.result() for handle in handles] == [1] * 40

    async with (
        sharer.pool_on(tmp_path, sharer.work, "a") as one,
        sharer.pool_on(tmp_path, sharer.work, "b") as other,
        anyio.create_task_group() as group,
    ):
        group.start_soon(fill, one)
        group.start_soon(fill, other)
    rows = Sharers(tmp_path).rows(TRAIL)
    check_trail(rows)
    check_runs(sharer.read_log(tmp_path), gone={})
    assert len(rows) == 80 * 3
