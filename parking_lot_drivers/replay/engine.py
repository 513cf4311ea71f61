"""Driving the core in virtual time: nothing sleeps, so an hour of arrivals takes about a second.

This is a driver like any other, with the saving left out. It gives the scheduler arrivals, finishes and ticks in the
order of their times; of those at one time, finishes come first, then ticks, then arrivals. It counts units by itself,
from the starts and finishes alone, and stops with ``BudgetExceeded`` should they ever pass a device's capacity.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Sequence

import attrs

from parking_lot_core import (
    Command,
    Deliver,
    Enqueue,
    Event,
    Expire,
    Finished,
    Interrupt,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Reject,
    RejectReason,
    ResourceCost,
    Scheduler,
    Start,
    Submitted,
    TaskMetadata,
    Tick,
)
from parking_lot_drivers.replay.model import RequestModel
from parking_lot_drivers.replay.report import DeviceUse, Ending, Life, Report, Run
from parking_lot_drivers.replay.timeline import Timeline
from parking_lot_drivers.replay.trace import Arrival

_REJECTED = {
    RejectReason.TOO_LARGE: Ending.TOO_LARGE,
    RejectReason.QUEUE_FULL: Ending.QUEUE_FULL,
}


class BudgetExceeded(AssertionError):
    """The scheduler started more than a device holds: a bug in it, never a property of the trace."""


@attrs.define
class _Running:
    life: Life
    device: str
    epoch: int
    started_at: float


class _Replay:
    """State of one replay. Time starts at 0 with the first arrival, which keeps sums of short times exact enough."""

    def __init__(self, config: PoolConfig, arrivals: Sequence[Arrival], model: RequestModel) -> None:
        self._scheduler = Scheduler(config)
        self._arrivals = arrivals
        self._model = model
        self._origin = arrivals[0].at
        self._capacity = config.budgets
        self._next_arrival = 0
        self._finishes: list[tuple[float, int, str, int, OutcomeStatus]] = []
        self._planned = itertools.count()
        self._lives: dict[str, tuple[Life, Arrival]] = {}
        self._running: dict[str, _Running] = {}
        self._runs: list[Run] = []
        self._used = dict.fromkeys(self._capacity, 0)
        self._used_max = dict(self._used)
        self._parked = 0
        self._timeline = Timeline()
        self._events = 0

    def run(self) -> None:
        """Feed the scheduler until nothing is left to happen."""
        ticked_at = -math.inf
        while (event := self._next_event()) is not None:
            if isinstance(event, Tick):
                if event.at <= ticked_at:
                    raise RuntimeError(f"the scheduler asks for a tick at {event.at} again and again")
                ticked_at = event.at
            self._events += 1
            for command in self._scheduler.step(event):
                self._carry_out(command, event.at)
            self._timeline.add(event.at, sum(self._used.values()), self._parked)
        if self._parked or self._running:
            raise RuntimeError(f"{self._parked} requests parked and {len(self._running)} running without a next event")

    def report(self, wall_s: float) -> Report:
        """What happened."""
        makespan_s = max(life.ended_at for life, _ in self._lives.values() if life.ended_at is not None)
        return Report(
            lives=[life for life, _ in self._lives.values()],
            runs=self._runs,
            devices=[self._use(device, makespan_s) for device in self._capacity],
            timeline=self._timeline,
            parked_max=max(self._timeline.parked),
            makespan_s=makespan_s,
            events=self._events,
            wall_s=wall_s,
        )

    def _use(self, device: str, makespan_s: float) -> DeviceUse:
        held = math.fsum(run.units * (run.finished_at - run.started_at) for run in self._runs if run.device == device)
        capacity = self._capacity[device]
        share = held / (capacity * makespan_s) if makespan_s else 0.0
        return DeviceUse(device, capacity, self._used_max[device], share)

    # What happens next

    def _next_event(self) -> Event | None:
        finish = self._next_finish_at()
        arrival = self._next_arrival_at()
        tick = self._scheduler.next_deadline()
        if tick is None:
            tick = math.inf
        if finish <= min(tick, arrival):
            return self._finish() if finish < math.inf else None
        return Tick(tick) if tick <= arrival else self._arrive()

    def _next_arrival_at(self) -> float:
        if self._next_arrival == len(self._arrivals):
            return math.inf
        return self._arrivals[self._next_arrival].at - self._origin

    def _next_finish_at(self) -> float:
        """Time of the next finish (infinity: none). Finishes of runs that were interrupted before are dropped."""
        while self._finishes:
            at, _, task_id, epoch, _ = self._finishes[0]
            running = self._running.get(task_id)
            if running is not None and running.epoch == epoch:
                return at
            heapq.heappop(self._finishes)
        return math.inf

    def _finish(self) -> Finished:
        at, _, task_id, epoch, status = heapq.heappop(self._finishes)
        running = self._running.pop(task_id)
        life = running.life
        self._used[running.device] -= life.units
        self._runs.append(Run(life.row, running.device, life.units, running.started_at, at, status))
        return Finished(task_id, epoch, Outcome(status), at)

    def _arrive(self) -> Submitted:
        at = self._next_arrival_at()
        arrival = self._arrivals[self._next_arrival]
        self._next_arrival += 1
        task_id = f"row-{arrival.row}"
        units, priority = self._model.units(arrival), self._model.priority(arrival)
        self._lives[task_id] = (Life(arrival.row, priority, units, at), arrival)
        return Submitted(TaskMetadata(task_id, ResourceCost(units), priority), at)

    # What the scheduler asks for

    def _carry_out(self, command: Command, now: float) -> None:
        match command:
            case Enqueue():
                self._parked += 1
            case Start():
                self._start(command, now)
            case Deliver(task_id, outcome):
                self._end(task_id, Ending(outcome.status.value), now)
            case Expire(task):
                self._parked -= 1
                self._end(task.id, Ending.EXPIRED, now)
            case Reject(task, reason):
                self._end(task.id, _REJECTED[reason], now)
            case Interrupt(task_id, epoch):
                self._plan_finish(now, task_id, epoch, OutcomeStatus.FAILED)

    def _start(self, command: Start, now: float) -> None:
        life, arrival = self._lives[command.task.id]
        self._parked -= 1
        self._used[command.device] += life.units
        used, capacity = self._used[command.device], self._capacity[command.device]
        if used > capacity:
            raise BudgetExceeded(f"device {command.device}: {used} units in use, of {capacity}, at {now} s")
        self._used_max[command.device] = max(used, self._used_max[command.device])
        life.runs += 1
        if life.started_at is None:
            life.started_at = now
        self._running[command.task.id] = _Running(life, command.device, command.epoch, now)
        status = OutcomeStatus.FAILED if self._model.fails(arrival, life.runs) else OutcomeStatus.SUCCEEDED
        self._plan_finish(now + self._model.run_s(arrival), command.task.id, command.epoch, status)

    def _plan_finish(self, at: float, task_id: str, epoch: int, status: OutcomeStatus) -> None:
        heapq.heappush(self._finishes, (at, next(self._planned), task_id, epoch, status))

    def _end(self, task_id: str, ending: Ending, now: float) -> None:
        life, _ = self._lives[task_id]
        life.ending = ending
        life.ended_at = now


def replay(config: PoolConfig, arrivals: Sequence[Arrival], model: RequestModel | None = None) -> Report:
    """Replay the arrivals (at least one, in the order of their time) through a fresh scheduler.

    Deterministic but for ``wall_s``. Raises ``ValueError`` for arrivals that are none, out of order or share a row.
    """
    if not arrivals:
        raise ValueError("arrivals: expected at least one, got none")
    if any(later.at < earlier.at for earlier, later in itertools.pairwise(arrivals)):
        raise ValueError("arrivals: expected in the order of their time; sort them first")
    if len({arrival.row for arrival in arrivals}) < len(arrivals):
        raise ValueError("arrivals: expected a row number of its own for each")
    started = time.perf_counter()
    run = _Replay(config, arrivals, model or RequestModel())
    run.run()
    return run.report(time.perf_counter() - started)
