"""The run of ``parking-lot batch``: lines are submitted, and results written as tasks end.

Any moment may be the last one. A line has its result in the file, or its task's outcome is in the mailbox, or its task
is in the lot, or it was never submitted; the next run finds out which, in this order, and goes on from there.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import TaskGroup

from parking_lot_drivers.cli.batch_jobs import BadLine, Job
from parking_lot_drivers.cli.batch_results import INVALID, ResultsWriter, invalid_line, result_line
from parking_lot_drivers.cli.progress import Display, Snapshot
from parking_lot_drivers.cli.stopping import one_error
from parking_lot_drivers.errors import (
    DuplicateTask,
    InvalidTask,
    PayloadNotEncodable,
    PoolClosed,
    StoreUnavailable,
    TaskTooLarge,
)
from parking_lot_drivers.handle import TaskHandle
from parking_lot_drivers.pool import ResourcePool

_T = TypeVar("_T")

#: Submissions under way at a time: enough that one flush of the disk serves many.
SUBMITTERS = 64

#: Lines submitted and without a result at a time; the lines after them stay in the input, which is as durable.
OPEN_LINES_MAX = 10_000

_LINES_AT_A_TIME = 100
_BAD_LINES_TOLD = 20
_RETRY_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_SUCCEEDED = "succeeded"


@attrs.define(kw_only=True)
class Tally:
    """What is known of the lines of a job list.

    Attributes:
        total: lines that are not empty.
        statuses: results by status.
        earlier: how many of those this run found in the file.
        interrupted: the run was asked to stop before every line had its result.
        others: tasks in the lot, at the end, that no line asked for.
    """

    total: int
    statuses: Counter[str]
    earlier: int
    interrupted: bool = False
    others: int = 0

    @property
    def ended(self) -> int:
        """Lines with a result."""
        return self.statuses.total()

    @property
    def failed(self) -> int:
        """Lines with a result that is no success."""
        return self.ended - self.statuses[_SUCCEEDED]


class Batch:
    """One run of a job list through a pool. ``jobs`` gives ``None`` for a line that has its result already."""

    def __init__(
        self,
        pool: ResourcePool,
        jobs: Iterator[Job | BadLine | None],
        tally: Tally,
        open_results: Callable[[], ResultsWriter],
    ) -> None:
        self.tally = tally
        self._pool = pool
        self._jobs = jobs
        self._open_results = open_results
        self._writer: ResultsWriter | None = None
        self._feeding = anyio.CancelScope()
        self._showing = anyio.CancelScope()
        self._submitters = anyio.Semaphore(SUBMITTERS)
        self._places = anyio.Semaphore(OPEN_LINES_MAX)
        self._open_lines = 0
        self._closed_line = anyio.Event()
        self._bad_lines = 0

    async def run(self, display: Display) -> None:
        """Run the lines until each has its result, or until ``stop``.

        Raises ``ParkingLotError``: what kept the run from going on. What ended until then has its result in the file or
        in the mailbox.
        """
        with one_error():
            async with anyio.create_task_group() as background:
                try:
                    # The pool stops before the group ends: what ends in its grace still gets its result into the file.
                    async with anyio.create_task_group() as lines, self._pool:
                        self._writer = self._open_results()
                        background.start_soon(self._writer.run)
                        background.start_soon(self._show, display)
                        with self._feeding:
                            await self._feed(lines)
                            await self._until_closed()
                finally:
                    self._showing.cancel()
                    if self._writer is not None:
                        self._writer.finish()

    def stop(self) -> None:
        """Submit nothing more, and let the pool stop in order."""
        self.tally.interrupted = True
        self._feeding.cancel()

    def snapshot(self) -> Snapshot:
        """How far it has come."""
        tally = self.tally
        return Snapshot(stats=self._pool.stats(), ended=tally.ended, failed=tally.failed, total=tally.total)

    async def _show(self, display: Display) -> None:
        with self._showing:
            await display.run(self.snapshot)

    async def _feed(self, lines: TaskGroup) -> None:
        for read, job in enumerate(self._jobs):
            if read % _LINES_AT_A_TIME == 0:
                await anyio.lowlevel.checkpoint()
            if isinstance(job, BadLine):
                self._refuse(job)
            elif job is not None:
                await self._places.acquire()
                await self._submitters.acquire()
                self._open_lines += 1
                lines.start_soon(self._run, job)

    async def _until_closed(self) -> None:
        while self._open_lines:
            self._closed_line = anyio.Event()
            await self._closed_line.wait()
        stats = self._pool.stats()
        self.tally.others = stats.parked + stats.running

    async def _run(self, job: Job) -> None:
        """One line, from its submission to its result."""
        line = job.line
        try:
            handle = await self._submit(job)
            del job  # its payload is in the lot now
            result = await self._patiently(handle.outcome)
        except (TaskTooLarge, InvalidTask, PayloadNotEncodable) as error:
            self._refuse(BadLine(line, str(error)))
        except PoolClosed:
            pass  # the task is in the lot, or the line was never submitted: the next run goes on
        else:
            self._note(result.status.value, result_line(result, line))
        finally:
            self._places.release()
            self._open_lines -= 1
            self._closed_line.set()

    async def _submit(self, job: Job) -> TaskHandle:
        async def submit() -> TaskHandle:
            return await self._pool.submit(job.payload, task_id=job.id, wait=True, **vars(job.options))

        try:
            return await self._patiently(submit)
        except DuplicateTask:  # an earlier run submitted it
            return self._pool.handle(job.id)
        finally:
            self._submitters.release()

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask again for a while if the store is not available."""
        for pause in _RETRY_PAUSES_S:
            try:
                return await ask()
            except StoreUnavailable:
                await anyio.sleep(pause)
        return await ask()

    def _refuse(self, bad: BadLine) -> None:
        self._bad_lines += 1
        if self._bad_lines <= _BAD_LINES_TOLD:
            print(f"line {bad.line}: {bad.error}", file=sys.stderr)
        elif self._bad_lines == _BAD_LINES_TOLD + 1:
            print("There are more invalid lines; all of them are in the results.", file=sys.stderr)
        self._note(INVALID, invalid_line(bad))

    def _note(self, status: str, written: bytes) -> None:
        assert self._writer is not None
        self.tally.statuses[status] += 1
        self._writer.add(written)
