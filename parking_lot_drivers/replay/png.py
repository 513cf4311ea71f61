"""The PNG plot: the one file that needs matplotlib."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from parking_lot_drivers.errors import MissingExtra
from parking_lot_drivers.replay.plot import Picture

_NOTE_WIDTH = 160
"""Characters in a line of the note, at its size."""


def save_png(path: Path, picture: Picture) -> None:
    """Draw the picture into a PNG file. Raises ``MissingExtra`` without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("a PNG plot", "matplotlib", "plot") from error
    figure = Figure(figsize=(11, 7), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(picture.title, fontsize=13)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_utilisation(above, picture)
    _draw_parked(below, picture)
    figure.supxlabel(textwrap.fill(picture.note, _NOTE_WIDTH), fontsize=8, color="#444444", x=0.01, ha="left")
    figure.savefig(path, format="png")


def _draw_utilisation(axes: Any, picture: Picture) -> None:
    axes.axhline(100, color="black", linestyle="--", linewidth=1)
    for series in picture.series:
        axes.plot(series.minutes, series.percent, color=series.colour, linewidth=1.5, label=series.label)
    axes.set_title(f"Utilisation (mean over {picture.slice_s:.0f} s)", loc="left", fontsize=11)
    axes.set_ylabel("units in use, % of the budget")
    axes.set_ylim(0, 108)
    axes.set_xlim(0, picture.minutes)
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False)
    _finish(axes)


def _draw_parked(axes: Any, picture: Picture) -> None:
    for series in picture.series:
        axes.fill_between(series.minutes, series.parked, color=series.colour, alpha=0.15, linewidth=0)
        axes.plot(series.minutes, series.parked, color=series.colour, linewidth=1.5)
    axes.set_title(f"Parked requests (most at once, in stretches of {picture.slice_s:.0f} s)", loc="left", fontsize=11)
    axes.set_ylabel("requests")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes since the first arrival")
    _finish(axes)


def _finish(axes: Any) -> None:
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
