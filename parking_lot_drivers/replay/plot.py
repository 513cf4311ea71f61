"""Plots of replays: utilisation and parked requests over time, several budgets in one picture.

The file's suffix chooses the format: ``.png`` needs matplotlib, ``.html`` needs nothing and is one self-contained file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from parking_lot_drivers.replay.report import Report
from parking_lot_drivers.replay.timeline import slice_width

SUFFIXES = (".png", ".html")

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which people with any common colour blindness can tell apart, strongest contrasts first."""

_SLICES = 240


@attrs.frozen
class Series:
    """One budget in a plot: points in minutes since the first arrival, one for each slice of the timeline.

    ``percent`` is the mean share of the budget in use, ``parked`` the most that were parked at once.
    """

    capacity: int
    utilisation: float
    colour: str
    minutes: Sequence[float]
    percent: Sequence[float]
    parked: Sequence[int]

    @property
    def label(self) -> str:
        """What the legend says."""
        return f"{self.capacity} units, mean {self.utilisation:.0%}"


@attrs.frozen
class Picture:
    """What a plot shows, the smallest budget first. The longest replay takes ``minutes`` (> 0)."""

    title: str
    note: str
    minutes: float
    slice_s: float
    series: Sequence[Series]


def check_target(path: str | Path) -> None:
    """Raises ``ValueError`` if no plot can be written under this name."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"plot: expected a file name that ends in {' or '.join(SUFFIXES)}, got {str(path)!r}")
    if not Path(path).parent.is_dir():
        raise ValueError(f"plot: expected a file in a folder that exists, got {str(path)!r}")


def save_plot(path: str | Path, reports: Sequence[Report], *, title: str, note: str = "") -> None:
    """Write the plot of one or more replays (of one trace, under different budgets). ``note`` goes below it.

    Raises ``ValueError`` for an unknown suffix or folder, ``MissingExtra`` for a PNG without matplotlib, and
    ``OSError`` if the file cannot be written.
    """
    check_target(path)
    picture = _picture(reports, title, note)
    if Path(path).suffix.lower() == ".png":
        from parking_lot_drivers.replay.png import save_png

        save_png(Path(path), picture)
    else:
        from parking_lot_drivers.replay.html import page

        Path(path).write_text(page(picture, reports), encoding="utf-8")


def _picture(reports: Sequence[Report], title: str, note: str) -> Picture:
    width = slice_width([report.timeline for report in reports], _SLICES)
    by_size = sorted(reports, key=lambda report: report.capacity)
    series = [_series(report, width, index) for index, report in enumerate(by_size)]
    minutes = max(report.timeline.end for report in reports) / 60 or 1.0
    return Picture(title, note, minutes, width, series)


def _series(report: Report, slice_s: float, index: int) -> Series:
    slices = report.timeline.slices(slice_s)
    return Series(
        capacity=report.capacity,
        utilisation=report.utilisation,
        colour=COLOURS[index % len(COLOURS)],
        minutes=[one.middle / 60 for one in slices],
        percent=[100 * one.used / report.capacity for one in slices],
        parked=[one.parked_max for one in slices],
    )
