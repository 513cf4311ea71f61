"""Replays of slices of the real trace, checked against slow computations of another kind."""

from __future__ import annotations

import itertools

import attrs
import numpy as np
import pytest

from parking_lot_core import OutcomeStatus, PoolConfig, Priority, Start, Submitted, Tick
from parking_lot_drivers.replay import Arrival, BudgetExceeded, Ending, Report, RequestModel, compress, engine, replay
from parking_lot_drivers.replay.report import Waits
from tests.replay.checks import check_budget, check_lives, check_parked

MODEL = RequestModel()
ONE_CLASS = RequestModel(shares={Priority.NORMAL: 1})


def first_come_first_served(arrivals: list[Arrival], units: int, model: RequestModel) -> list[float]:
    """Start times under strict order, found by trying every moment at which something ends."""
    runs: list[tuple[float, float, int]] = []
    starts: list[float] = []
    earliest = 0.0
    for arrival in arrivals:
        cost = model.units(arrival)
        earliest = max(earliest, arrival.at - arrivals[0].at)
        for moment in sorted({earliest, *(end for _, end, _ in runs if end > earliest)}):
            if sum(held for start, end, held in runs if start <= moment < end) + cost <= units:
                earliest = moment
                break
        starts.append(earliest)
        runs = [run for run in runs if run[1] > earliest] + [(earliest, earliest + model.run_s(arrival), cost)]
    return starts


@pytest.mark.parametrize("units", [8, 12, 16, 24])
def test_strict_order_equals_first_come_first_served(arrivals: list[Arrival], units: int) -> None:
    some = arrivals[:1500]
    report = replay(PoolConfig(max_units=units, backfill_window=0), some, ONE_CLASS)
    assert [life.started_at for life in report.lives] == pytest.approx(first_come_first_served(some, units, ONE_CLASS))


POLICIES = [
    PoolConfig(max_units=16),
    PoolConfig(max_units=16, backfill_window=0),
    PoolConfig(max_units=16, backfill_window=float("inf")),
    PoolConfig(max_units=16, backfill_window=2, timeout=30),
    PoolConfig(max_units=16, backfill_window=2, timeout=10, run_timeout=5),
    PoolConfig(max_units=8, timeout=20, aging=5, max_queue_depth=60),
    PoolConfig(devices={"a": 7, "b": 4, "c": 3}, backfill_window=1, timeout=40),
]


@pytest.mark.parametrize("config", POLICIES)
@pytest.mark.parametrize("speed", [1, 2.5])
def test_every_figure_follows_from_the_runs(arrivals: list[Arrival], config: PoolConfig, speed: float) -> None:
    some = compress(arrivals[:2500], speed)
    report = replay(config, some, MODEL)
    check_budget(report, config.budgets)
    check_lives(report, some, MODEL)
    check_parked(report)
    assert sum(report.endings.values()) == len(some)
    assert report.retries == 0


@pytest.mark.parametrize("priority", [None, *Priority])
def test_percentiles_are_those_of_numpy(arrivals: list[Arrival], priority: Priority | None) -> None:
    report = replay(PoolConfig(max_units=12, timeout=60), arrivals[:3000], MODEL)
    assert report.endings[Ending.EXPIRED] > 0
    lives = [life for life in report.lives if priority in (None, life.priority) and life.started_at is not None]
    waits = [life.started_at - life.arrived_at for life in lives if life.started_at is not None]
    shown = report.waits if priority is None else report.waits_by_priority[priority]
    p50, p95, p99 = np.percentile(waits, [50, 95, 99], method="inverted_cdf")
    assert (shown.p50, shown.p95, shown.p99) == (p50, p95, p99)
    assert (shown.count, shown.max) == (len(waits), max(waits))
    everyone = [life for life in report.lives if priority in (None, life.priority)]
    assert shown.never_started == len(everyone) - len(waits)
    assert shown.mean == pytest.approx(np.mean(waits))


def test_waits_of_nothing_are_zero() -> None:
    assert Waits.of([]) == Waits(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_request_expires_at_its_timeout_and_never_runs(arrivals: list[Arrival]) -> None:
    report = replay(PoolConfig(max_units=8, timeout=20), arrivals[:1500], MODEL)
    expired = [life for life in report.lives if life.ending is Ending.EXPIRED]
    assert len(expired) == report.endings[Ending.EXPIRED] > 50
    for life in expired:
        assert life.runs == 0
        assert life.ended_at == pytest.approx(life.arrived_at + 20)
    assert report.waits.max < 20


def test_a_run_past_its_limit_is_stopped_there(arrivals: list[Arrival]) -> None:
    some = arrivals[:1500]
    report = replay(PoolConfig(max_units=16, run_timeout=4), some, MODEL)
    check_budget(report, {"0": 16})
    long = {arrival.row for arrival in some if MODEL.run_s(arrival) > 4}
    stopped = {life.row for life in report.lives if life.ending is Ending.TIMED_OUT}
    assert stopped == long
    assert len(long) > 50
    for run in report.runs:
        if run.row in long:
            assert run.finished_at - run.started_at == pytest.approx(4)


def test_failures_are_retried_until_the_attempts_are_used_up(arrivals: list[Arrival]) -> None:
    some = arrivals[:1500]
    model = attrs.evolve(MODEL, failure_rate=0.3)
    report = replay(PoolConfig(max_units=24, max_attempts=3, retry_backoff=0.5), some, model)
    check_budget(report, {"0": 24})
    check_lives(report, some, model)
    for life, arrival in zip(report.lives, some, strict=True):
        failures = [model.fails(arrival, attempt) for attempt in (1, 2, 3)]
        expected = failures.index(False) + 1 if False in failures else 3
        assert life.runs == expected
        assert life.ending is (Ending.FAILED if all(failures) else Ending.SUCCEEDED)
    assert report.retries == sum(life.runs - 1 for life in report.lives) > 300
    assert report.endings[Ending.FAILED] > 20
    failed = [run for run in report.runs if run.status is OutcomeStatus.FAILED]
    assert len(failed) == report.retries + report.endings[Ending.FAILED]


def test_a_retry_waits_for_its_backoff(arrivals: list[Arrival]) -> None:
    model = attrs.evolve(MODEL, failure_rate=0.3)
    report = replay(PoolConfig(max_units=64, retry_backoff=3), arrivals[:200], model)
    last: dict[int, list[tuple[float, float]]] = {}
    for run in sorted(report.runs, key=lambda run: run.started_at):
        last.setdefault(run.row, []).append((run.started_at, run.finished_at))
    gaps = [[b[0] - a[1] for a, b in itertools.pairwise(runs)] for runs in last.values() if len(runs) > 1]
    assert len(gaps) > 30
    for gap in gaps:
        assert gap == pytest.approx([3, 6][: len(gap)])


def test_a_full_lot_and_a_request_that_is_too_large_are_rejected(arrivals: list[Arrival]) -> None:
    report = replay(PoolConfig(max_units=4, max_queue_depth=10), arrivals[:1000], MODEL)
    assert report.parked_max <= 10
    assert report.endings[Ending.QUEUE_FULL] > 100
    too_large = [life for life in report.lives if life.ending is Ending.TOO_LARGE]
    assert {life.row for life in too_large} == {a.row for a in arrivals[:1000] if MODEL.units(a) > 4}
    narrow = replay(PoolConfig(max_units=2), arrivals[:1000], MODEL)
    large = {a.row for a in arrivals[:1000] if MODEL.units(a) > 2}
    assert {life.row for life in narrow.lives if life.ending is Ending.TOO_LARGE} == large
    assert large


def test_a_replay_is_deterministic(arrivals: list[Arrival]) -> None:
    config = PoolConfig(devices={"a": 9, "b": 5}, timeout=20, backfill_window=1)
    one, two = (replay(config, arrivals[:1500], MODEL) for _ in range(2))
    assert one.lives == two.lives
    assert one.runs == two.runs
    assert {**one.as_dict(), "wall_s": 0, "events_per_s": 0} == {**two.as_dict(), "wall_s": 0, "events_per_s": 0}


def test_a_head_that_was_passed_over_for_long_starts_once(arrivals: list[Arrival]) -> None:
    # The scheduler once visited such a task a second time after it had started, and then lost track of it.
    for window in (0.5, 1, 2, 5):
        config = PoolConfig(max_units=16, timeout=30, backfill_window=window)
        report = replay(config, arrivals[:1500], MODEL)
        assert max(life.runs for life in report.lives) == 1
        check_budget(report, {"0": 16})


@pytest.fixture(scope="module")
def story(arrivals: list[Arrival]) -> dict[int, Report]:
    """The full trace under the example's policy with two budgets."""
    return {units: replay(PoolConfig(max_units=units, timeout=30, backfill_window=2), arrivals) for units in (16, 24)}


def test_the_full_trace_keeps_its_budget(story: dict[int, Report], arrivals: list[Arrival]) -> None:
    for units, report in story.items():
        check_budget(report, {"0": units})
        check_lives(report, arrivals, MODEL)
        check_parked(report)


def test_more_units_shorten_the_waits(story: dict[int, Report]) -> None:
    small, large = story[16], story[24]
    assert small.waits.p95 > 2
    assert large.waits.p95 < 0.1
    assert small.endings[Ending.EXPIRED] > large.endings[Ending.EXPIRED] == 0
    assert small.parked_max > 3 * large.parked_max
    assert small.utilisation > 0.8 > 0.65 > large.utilisation
    # Higher classes wait less, where anyone waits.
    p95 = [waits.p95 for waits in small.waits_by_priority.values()]
    assert p95 == sorted(p95)


class _StartsEverything:
    """A scheduler with a bug: it forgets that units are taken."""

    def __init__(self, config: PoolConfig) -> None:
        self._real = engine_scheduler(attrs.evolve(config, max_units=10_000))

    def step(self, event: object) -> object:
        return self._real.step(event)

    def next_deadline(self) -> float | None:
        return self._real.next_deadline()


class _WantsTicksForEver:
    def __init__(self, config: PoolConfig) -> None:
        self._real = engine_scheduler(config)

    def step(self, event: object) -> object:
        return () if isinstance(event, Tick) else self._real.step(event)

    def next_deadline(self) -> float:
        return 5.0


class _Forgets(_WantsTicksForEver):
    def step(self, event: object) -> object:
        commands = self._real.step(event)
        return [command for command in commands if not (isinstance(event, Submitted) and isinstance(command, Start))]

    def next_deadline(self) -> None:
        return None


engine_scheduler = engine.Scheduler


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        (_StartsEverything, BudgetExceeded, "device 0: .* units in use, of 8"),
        (_WantsTicksForEver, RuntimeError, "asks for a tick at 5.0 again and again"),
        (_Forgets, RuntimeError, "requests parked and 0 running without a next event"),
    ],
)
def test_a_scheduler_with_a_bug_is_found_out(
    arrivals: list[Arrival],
    monkeypatch: pytest.MonkeyPatch,
    broken: type,
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(engine, "Scheduler", broken)
    with pytest.raises(error, match=message):
        replay(PoolConfig(max_units=8), arrivals[:100], MODEL)


def test_arrivals_that_make_no_replay_are_refused(arrivals: list[Arrival]) -> None:
    config = PoolConfig(max_units=8)
    with pytest.raises(ValueError, match="expected at least one, got none"):
        replay(config, [])
    with pytest.raises(ValueError, match="expected in the order of their time"):
        replay(config, [arrivals[5], arrivals[0]])
    with pytest.raises(ValueError, match="expected a row number of its own for each"):
        replay(config, [arrivals[0], arrivals[0]])
