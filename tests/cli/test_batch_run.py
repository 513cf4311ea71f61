"""The run of a batch inside one process, on both event loops: what ends up in the results, whatever happens."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.cli import batch_run
from parking_lot_drivers.cli.batch_jobs import index_jobs, read_jobs
from parking_lot_drivers.cli.batch_results import ResultsWriter, examine
from parking_lot_drivers.cli.batch_run import Batch, Tally
from parking_lot_drivers.cli.progress import Snapshot
from parking_lot_drivers.errors import BatchError, StoreUnavailable
from parking_lot_drivers.executors import CoroutineExecutor
from parking_lot_drivers.ports import Batch as Saved
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue

pytestmark = pytest.mark.anyio


class Quiet:
    """A display that remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Snapshot] = []

    async def run(self, snapshot: Callable[[], Snapshot]) -> None:
        while True:
            self.shown.append(snapshot())
            await anyio.sleep(0.01)


async def work(payload: dict[str, Any]) -> object:
    await anyio.sleep(payload.get("s", 0))
    if "error" in payload:
        raise ValueError(payload["error"])
    return payload["n"]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - the batch tells nobody
            await anyio.sleep(0.01)


class Scene:
    """A job list, a results file, and the stores that outlive a run."""

    def __init__(self, folder: Path, jobs: list[object], **policy: Any) -> None:
        self.input = io.BytesIO("".join(json.dumps(job) + "\n" for job in jobs).encode())
        self.total = len(jobs)
        self.output = folder / "r.jsonl"
        self.queue: MemoryQueue = MemoryQueue()
        self.mailbox = MemoryMailbox()
        self.policy = PoolConfig(**{"max_units": 4, "max_attempts": 1, **policy})
        self.ran: Counter[int] = Counter()

    def batch(self, grace: float = 5.0) -> Batch:
        async def counted(payload: dict[str, Any]) -> object:
            self.ran[payload["n"]] += 1
            return await work(payload)

        found = examine(self.output, lambda: index_jobs(self.input, "p"))
        tally = Tally(total=self.total, statuses=Counter(found.statuses), earlier=found.statuses.total())
        pool = ResourcePool(
            self.policy,
            CoroutineExecutor(counted),
            queue=self.queue,
            mailbox=self.mailbox,
            name="p",
            grace=grace,
        )
        jobs = read_jobs(self.input, "p", unit=None, done=found.done)
        return Batch(pool, jobs, tally, lambda: ResultsWriter.open(self.output, found))

    def results(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_bytes().splitlines()]

    def lines(self) -> list[int]:
        return sorted(result["line"] for result in self.results())


def job(n: int, units: int = 1, **rest: Any) -> dict[str, Any]:
    return {"units": units, "payload": {"n": n, **rest}}


async def test_each_line_gets_its_result(tmp_path: Path) -> None:
    jobs: list[object] = [job(0), job(1, 2), job(2, error="no"), [], job(4, 5), job(5, s=0.01), "x"]
    scene = Scene(tmp_path, jobs)
    batch, display = scene.batch(), Quiet()
    await batch.run(display)
    by_line = {result["line"]: result for result in scene.results()}
    assert sorted(by_line) == [1, 2, 3, 4, 5, 6, 7]
    assert [by_line[line].get("result") for line in (1, 2, 6)] == [0, 1, 5]
    assert (by_line[3]["status"], by_line[3]["error"]) == ("failed", "ValueError: no")
    assert [by_line[line]["status"] for line in (4, 5, 7)] == ["invalid"] * 3
    assert by_line[5]["error"].startswith("the task needs 5 units, and the largest device has 4")
    assert batch.tally.statuses == {"succeeded": 3, "failed": 1, "invalid": 3}
    assert (batch.tally.ended, batch.tally.failed, batch.tally.others) == (7, 4, 0)
    assert not batch.tally.interrupted
    assert all(seen.total == 7 and seen.stats.devices[0].used <= 4 for seen in display.shown)


async def test_bad_lines_are_told_up_to_a_bound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(tmp_path, [[] for _ in range(25)])
    await scene.batch().run(Quiet())
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in told[:20]] == [f"line {number}" for number in range(1, 21)]
    assert told[20:] == ["There are more invalid lines; all of them are in the results."]
    assert len(scene.results()) == 25


async def test_a_second_run_runs_nothing_and_completes_the_file(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [job(n) for n in range(50)])
    await scene.batch().run(Quiet())
    whole = scene.results()
    scene.output.write_bytes(b"".join(scene.output.read_bytes().splitlines(keepends=True)[:20]) + b'{"id":"li')
    again = scene.batch()
    assert again.tally.earlier == 20
    await again.run(Quiet())
    assert scene.ran == dict.fromkeys(range(50), 1)
    key = json.dumps
    assert sorted(map(key, scene.results())) == sorted(map(key, whole))
    scene.output.unlink()
    await scene.batch().run(Quiet())
    assert sorted(map(key, scene.results())) == sorted(map(key, whole))
    assert scene.ran == dict.fromkeys(range(50), 1)


async def test_a_stop_lets_running_work_finish_and_its_results_into_the_file(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [job(n, s=0.3) for n in range(20)])
    batch = scene.batch()
    async with anyio.create_task_group() as group:
        group.start_soon(batch.run, Quiet())
        await until(lambda: scene.ran.total() == 4)
        batch.stop()
    assert batch.tally.interrupted
    assert scene.ran.total() == 4
    assert scene.lines() == [1, 2, 3, 4]
    again = scene.batch()
    await again.run(Quiet())
    assert scene.lines() == list(range(1, 21))
    assert set(scene.ran.values()) == {1}


async def test_a_stop_hands_back_what_does_not_finish_in_its_grace(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [job(0, s=60), job(1)], max_attempts=1)
    batch = scene.batch(grace=0.05)
    async with anyio.create_task_group() as group:
        group.start_soon(batch.run, Quiet())
        await until(lambda: batch.tally.ended == 1)
        batch.stop()
    assert scene.lines() == [2]
    assert (await scene.queue.overview()).parked == 1


async def test_an_edited_list_keeps_what_has_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [job(0), [], job(2)])
    await scene.batch().run(Quiet())
    edited = [job(9), job(0), job(1), job(2)]  # a line before the others, and the bad one mended
    scene.input = io.BytesIO("".join(json.dumps(line) + "\n" for line in edited).encode())
    scene.total = 4
    await scene.batch().run(Quiet())
    assert {result["line"]: result["result"] for result in scene.results()} == {1: 9, 2: 0, 3: 1, 4: 2}
    assert len(scene.results()) == 4
    assert scene.ran == {0: 1, 1: 1, 2: 1, 9: 1}


async def test_only_so_many_lines_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_run, "OPEN_LINES_MAX", 10)
    scene = Scene(tmp_path, [job(n, s=0.002) for n in range(60)])
    display = Quiet()
    await scene.batch().run(display)
    assert scene.lines() == list(range(1, 61))
    assert max(seen.stats.parked + seen.stats.running for seen in display.shown) <= 10


async def test_a_lot_that_is_full_makes_lines_wait_for_room(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [job(n, s=0.002) for n in range(60)], max_queue_depth=6)
    display = Quiet()
    await scene.batch().run(display)
    assert scene.lines() == list(range(1, 61))
    assert max(seen.stats.parked + seen.stats.running for seen in display.shown) <= 6


class FlakyQueue(MemoryQueue):
    """A queue that cannot be written now and then."""

    def __init__(self, failing: Callable[[int], bool]) -> None:
        super().__init__()
        self._failing = failing
        self._saves = 0

    async def save(self, batch: Saved) -> None:
        self._saves += 1
        if self._failing(self._saves):
            raise StoreUnavailable("the disk is away")
        await super().save(batch)


async def test_a_store_that_fails_now_and_then_costs_time_and_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_run, "_RETRY_PAUSES_S", (0.01,) * 20)
    scene = Scene(tmp_path, [job(n) for n in range(40)], max_attempts=10, retry_backoff=0)
    scene.queue = FlakyQueue(lambda saves: saves % 4 == 3)
    await scene.batch().run(Quiet())
    assert scene.lines() == list(range(1, 41))
    assert {result["status"] for result in scene.results()} == {"succeeded"}


async def test_a_store_that_stays_away_ends_the_run_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_run, "_RETRY_PAUSES_S", (0.01, 0.01))
    away = True
    scene = Scene(tmp_path, [job(n) for n in range(5)])
    scene.queue = FlakyQueue(lambda saves: away and saves > 1)
    with pytest.raises(StoreUnavailable, match="the disk is away"):
        await scene.batch(grace=0.05).run(Quiet())
    away = False
    await scene.batch().run(Quiet())
    assert scene.lines() == [1, 2, 3, 4, 5]


async def test_results_that_cannot_be_written_end_the_run_and_are_not_lost(tmp_path: Path) -> None:
    scene = Scene(tmp_path, [job(n, s=0.05) for n in range(12)])
    batch = scene.batch()

    async def intrude() -> None:
        await until(lambda: batch.tally.ended >= 2)
        with scene.output.open("ab") as file:
            file.write(b'{"id":"other","line":1,"status":"succeeded"}\n')

    raised: list[BatchError] = []
    async with anyio.create_task_group() as group:
        group.start_soon(intrude)
        try:
            await batch.run(Quiet())
        except BatchError as error:
            raised.append(error)
    assert "another process writes to it too" in str(raised)
    lines = scene.output.read_bytes().splitlines(keepends=True)
    scene.output.write_bytes(b"".join(line for line in lines if b"other" not in line))
    await scene.batch().run(Quiet())
    assert scene.lines() == list(range(1, 13))
    assert set(scene.ran.values()) == {1}
