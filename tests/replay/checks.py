"""What must hold in every replay, worked out from its single requests and runs, slowly and in other ways."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import pytest

from parking_lot_drivers.replay import Arrival, Ending, Report, RequestModel, Run


def usage(runs: Iterable[Run]) -> list[tuple[float, int]]:
    """Units in use after each moment at which they change. Runs that end make room for runs that start then."""
    changes: dict[float, int] = defaultdict(int)
    for run in runs:
        if run.finished_at > run.started_at:
            changes[run.started_at] += run.units
            changes[run.finished_at] -= run.units
    level, levels = 0, []
    for moment in sorted(changes):
        level += changes[moment]
        levels.append((moment, level))
    return levels


def check_budget(report: Report, budgets: Mapping[str, int]) -> None:
    """No device ever held more than its budget, and the report says how much it held and for how long."""
    assert [use.device for use in report.devices] == list(budgets)
    for use in report.devices:
        levels = usage(run for run in report.runs if run.device == use.device)
        assert all(level <= budgets[use.device] for _, level in levels)
        assert use.capacity == budgets[use.device]
        assert use.used_max == max((level for _, level in levels), default=0)
        area = sum(level * (after - moment) for (moment, level), (after, _) in itertools.pairwise(levels))
        assert use.utilisation == pytest.approx(area / (use.capacity * report.makespan_s), rel=1e-6)


def check_lives(report: Report, arrivals: Sequence[Arrival], model: RequestModel) -> None:
    """Every request ended once, and its runs are what the model says of it."""
    runs: dict[int, list[Run]] = defaultdict(list)
    for run in report.runs:
        runs[run.row].append(run)
    assert [life.row for life in report.lives] == [arrival.row for arrival in arrivals]
    for life, arrival in zip(report.lives, arrivals, strict=True):
        mine = runs[life.row]
        assert life.arrived_at == arrival.at - arrivals[0].at
        assert life.ending is not None
        assert life.ended_at is not None
        assert life.runs == len(mine)
        assert all(run.units == life.units == model.units(arrival) for run in mine)
        if mine:
            assert life.started_at == mine[0].started_at >= life.arrived_at
        if life.ending is Ending.SUCCEEDED:
            assert life.ended_at == mine[-1].finished_at
            assert mine[-1].finished_at - mine[-1].started_at == pytest.approx(model.run_s(arrival))
    assert report.makespan_s == max(life.ended_at for life in report.lives if life.ended_at is not None)


def check_parked(report: Report) -> None:
    """Without retries: parked requests add up to the waits over time (Little's law), and peak where most overlap."""
    waits = [
        (life.arrived_at, life.started_at if life.started_at is not None else life.ended_at)
        for life in report.lives
        if life.ending not in (Ending.TOO_LARGE, Ending.QUEUE_FULL)
    ]
    total = sum(until - since for since, until in waits if until is not None)
    assert report.timeline.mean_parked() == pytest.approx(total / report.makespan_s)
    changes: dict[float, int] = defaultdict(int)
    for since, until in waits:
        assert until is not None
        changes[since] += 1
        changes[until] -= 1
    level = most = 0
    for moment in sorted(changes):
        level += changes[moment]
        most = max(most, level)
    assert report.parked_max == most
