"""The figures of one or more replays as lines of text cells: what the terminal and the HTML page show alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from parking_lot_drivers.replay.report import Ending, Report, Waits

Row: TypeAlias = tuple[str, list[str]]


def heading(report: Report) -> str:
    """What stands above the column of one replay."""
    return f"{report.capacity} units"


def sections(reports: Sequence[Report]) -> list[list[Row]]:
    """Groups of lines, one for each figure: its name, then one cell for each replay (of the same devices)."""
    return [
        [(name, [figure(report) for report in reports]) for name, figure in _ENDINGS],
        [*_devices(reports), *((name, [figure(report) for report in reports]) for name, figure in _LOAD)],
        *_waits(reports),
        [(name, [figure(report) for report in reports]) for name, figure in _SPEED],
    ]


def _devices(reports: Sequence[Report]) -> Iterator[Row]:
    for index, use in enumerate(reports[0].devices):
        uses = [report.devices[index] for report in reports]
        yield f"device {use.device}: most in use", [f"{use.used_max} of {use.capacity}" for use in uses]
        yield f"device {use.device}: utilisation", [f"{use.utilisation:.1%}" for use in uses]


def _waits(reports: Sequence[Report]) -> Iterator[list[Row]]:
    yield list(_percentiles("all", [report.waits for report in reports]))
    by_priority = [report.waits_by_priority for report in reports]
    for priority in by_priority[0]:
        yield list(_percentiles(priority.name.lower(), [waits[priority] for waits in by_priority]))


def _percentiles(name: str, waits: Sequence[Waits]) -> Iterator[Row]:
    for percentile in ("p50", "p95", "p99"):
        cells = [seconds(getattr(one, percentile)) if one.count else "none started" for one in waits]
        yield f"wait, {name}, {percentile}", cells
    yield f"never started, {name}", [f"{one.never_started:,}" for one in waits]


def seconds(value: float) -> str:
    """A duration in the precision that a person wants."""
    if value < 10:
        return f"{value:.2f} s"
    return f"{value:,.0f} s" if value >= 100 else f"{value:.1f} s"


def _ending(ending: Ending) -> Callable[[Report], str]:
    return lambda report: f"{report.endings[ending]:,}"


_ENDINGS: Sequence[tuple[str, Callable[[Report], str]]] = (
    ("requests", lambda report: f"{len(report.lives):,}"),
    ("succeeded", _ending(Ending.SUCCEEDED)),
    ("failed", _ending(Ending.FAILED)),
    ("timed out", _ending(Ending.TIMED_OUT)),
    ("expired", _ending(Ending.EXPIRED)),
    ("rejected: too large", _ending(Ending.TOO_LARGE)),
    ("rejected: lot full", _ending(Ending.QUEUE_FULL)),
    ("retries", lambda report: f"{report.retries:,}"),
)

_LOAD: Sequence[tuple[str, Callable[[Report], str]]] = (
    ("parked at once, most", lambda report: f"{report.parked_max:,}"),
    ("parked, mean", lambda report: f"{report.timeline.mean_parked():,.1f}"),
    ("makespan", lambda report: seconds(report.makespan_s)),
)

_SPEED: Sequence[tuple[str, Callable[[Report], str]]] = (
    ("replay took", lambda report: seconds(report.wall_s)),
    ("events per second", lambda report: f"{report.events / report.wall_s:,.0f}"),
)
