"""Real processes, killed at random moments and started again, until everything is done.

Afterwards: every submission that was accepted, by the scheduling process or from outside, has exactly one outcome; at
no moment did live runs hold more units than there are; no start was acted upon twice.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.drivers import crash

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 80.0


@attrs.define
class Victim:
    """A process that is killed at random moments and started again."""

    command: str
    folder: Path
    backend: str
    workers: str
    chance: random.Random
    kills_left: int
    notes_most: int
    process: subprocess.Popen[bytes] | None = None
    kill_at: float | None = None
    notes_last: int = 0
    deaths: dict[int, float] = attrs.field(factory=dict)

    def look(self) -> bool:
        """Start it, kill it or let it be. Returns whether it has done all its work."""
        if self.process is None:
            self._start()
        process = self.process
        assert process is not None
        if process.poll() is None:
            if self.kills_left and self._is_time():
                process.send_signal(signal.SIGKILL)
                process.wait()
                self.kills_left -= 1
                self._note_death()
            return False
        self._note_death()
        assert process.returncode == 0, f"{self.command} failed with {process.returncode}"
        return True

    def _start(self) -> None:
        arguments = [self.command, str(self.folder), self.backend, self.workers]
        self.process = subprocess.Popen([sys.executable, "-m", "tests.drivers.crash", *arguments], cwd=_ROOT)
        # One in five is killed before it has got anywhere; the others at work, which the log tells.
        self.kill_at = time.monotonic() + self.chance.uniform(0.1, 0.6) if self.chance.random() < 0.2 else None
        self.notes_last = len(crash.read_log(self.folder)) + self.chance.randint(1, self.notes_most)

    def _is_time(self) -> bool:
        if self.kill_at is None and len(crash.read_log(self.folder)) >= self.notes_last:
            self.kill_at = time.monotonic() + self.chance.uniform(0, 0.03)
        return self.kill_at is not None and time.monotonic() >= self.kill_at

    def _note_death(self) -> None:
        assert self.process is not None
        self.deaths[self.process.pid] = time.monotonic()
        if self.process.returncode != 0:
            self.process = None

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "workers", "kills", "seed"), [("asyncio", "coroutines", 7, 1), ("trio", "processes", 4, 2)]
)
def test_nothing_is_lost_and_nothing_is_done_twice(
    tmp_path: Path, backend: str, workers: str, kills: int, seed: int
) -> None:
    chance = random.Random(seed)
    host = Victim("host", tmp_path, backend, workers, chance, kills_left=kills, notes_most=200)
    poster = Victim("post", tmp_path, backend, "-", chance, kills_left=2, notes_most=100)
    deadline = time.monotonic() + _PATIENCE_S
    try:
        posted = False
        while not (host.look() and posted):
            posted = posted or poster.look()
            assert time.monotonic() < deadline, f"not done after {_PATIENCE_S} s"
            time.sleep(0.01)
    finally:
        host.end()
        poster.end()
    apart = workers == "processes"
    log = crash.read_log(tmp_path)
    _check_outcomes(log, anyio.run(lambda: crash.outcomes(tmp_path, apart=apart)))
    _check_runs(log, host)
    _check_budget(log, host.deaths)
    for name in {"lot", "mailbox" if apart else "lot"}:
        with sqlite3.connect(tmp_path / name) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        file.close()


def _check_outcomes(log: list[dict[str, Any]], messages: list[Any]) -> None:
    """Each accepted task has one outcome, its own."""
    accepted = {line["id"]: line["task"] for line in log if line["what"] == "accepted"}
    assert len(accepted) == crash.SUBMITTED + crash.POSTED
    counts = Counter(message.delivery.task_id for message in messages)
    assert counts == dict.fromkeys(accepted, 1)
    for message in messages:
        delivery = message.delivery
        assert delivery.result == f'"result of {delivery.task_id}"'.encode(), delivery
    # Nothing ran once it had its outcome: that belongs to the last start there was.
    last = {line["task"]: line["epoch"] for line in log if line["what"] == "start"}
    assert {message.delivery.task_id: message.delivery.epoch for message in messages} == last


def _check_runs(log: list[dict[str, Any]], host: Victim) -> None:
    """No start was acted upon twice, and each task ran at most once for each life of its host, and once more."""
    runs = Counter((line["task"], line["epoch"]) for line in log if line["what"] == "start")
    assert set(runs.values()) == {1}
    per_task = Counter(task for task, _ in runs)
    assert max(per_task.values()) <= len(host.deaths) + 1
    stops = {(line["task"], line["epoch"]) for line in log if line["what"] == "stop"}
    assert len(runs) > len(stops), "nothing was killed while it ran"


def _check_budget(log: list[dict[str, Any]], deaths: Mapping[int, float]) -> None:
    """At every moment the runs of living hosts hold at most the budget."""
    held = most = 0
    for _, units in sorted(_changes(log, deaths)):
        held += units
        most = max(most, held)
    assert held == 0
    assert crash.UNITS / 2 < most <= crash.UNITS


def _changes(log: list[dict[str, Any]], deaths: Mapping[int, float]) -> Iterator[tuple[float, int]]:
    """When units were taken and given back; a run that was killed gave them back when its host died."""
    ends = {(line["task"], line["epoch"]): line["at"] for line in log if line["what"] == "stop"}
    for line in log:
        if line["what"] == "start":
            yield line["at"], line["units"]
            yield ends.get((line["task"], line["epoch"]), deaths[line["host"]]), -line["units"]
