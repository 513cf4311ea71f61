"""The HTML plot: one self-contained file with inline SVG, and the figures in a table. Needs nothing beside Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

import attrs

from parking_lot_drivers.replay.plot import Picture, Series
from parking_lot_drivers.replay.report import Report
from parking_lot_drivers.replay.summary import heading, sections

_WIDTH, _HEIGHT = 960, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 44

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin: 1.5rem 0 0.3rem }
svg { width: 100%; height: auto } svg text { font-size: 12px; fill: #444 }
table { border-collapse: collapse; margin-top: 1rem; font-variant-numeric: tabular-nums }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right } th:first-child { text-align: left }
.key { display: inline-block; width: 1.6em; height: 0.3em; margin: 0 0.4em 0.2em 0 } .legend { margin-right: 1.5em }
"""


def page(picture: Picture, reports: Sequence[Report]) -> str:
    """The whole HTML document."""
    width = f"{picture.slice_s:.0f} s"
    legend = "".join(
        f'<span class="legend"><span class="key" style="background:{series.colour}"></span>{series.label}</span>'
        for series in picture.series
    )
    body = [
        f"<h1>{escape(picture.title)}</h1>",
        f"<p>{legend}</p>",
        f"<h2>Utilisation (mean over {width})</h2>",
        _chart(picture, lambda series: series.percent, "units in use, % of the budget", top=100),
        f"<h2>Parked requests (most at once, in stretches of {width})</h2>",
        _chart(picture, lambda series: series.parked, "requests", top=_most_parked(picture)),
        _table(reports),
        f"<p>{escape(picture.note)}</p>",
    ]
    title = f"<title>{escape(picture.title)}</title>"
    head = f'<meta charset="utf-8">{title}<style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{chr(10).join(body)}\n</body></html>\n'


def _most_parked(picture: Picture) -> float:
    return max((parked for series in picture.series for parked in series.parked), default=0)


def _chart(picture: Picture, values: Callable[[Series], Sequence[float]], unit: str, *, top: float) -> str:
    frame = _Frame(picture.minutes, top or 1.0)
    lines = [
        _polyline((frame.at(*point) for point in zip(series.minutes, values(series), strict=True)), series.colour)
        for series in picture.series
    ]
    opening = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(unit)} over time">'
    return "".join([opening, *frame.axes(unit), *lines, "</svg>"])


@attrs.frozen
class _Frame:
    """Axes from 0 to ``minutes`` and from 0 to a little above ``top``."""

    minutes: float
    top: float

    def at(self, minute: float, value: float) -> tuple[float, float]:
        """Where a point lies in the drawing."""
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * minute / self.minutes
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / (self.top * 1.08)
        return x, y

    def axes(self, unit: str) -> Iterator[str]:
        """Grid, numbers and names of both axes."""
        for tick in _ticks(self.minutes, 10):
            x, y = self.at(tick, 0)
            yield f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{tick:g}</text>'
        for tick in _ticks(self.top, 5):
            x, y = self.at(0, tick)
            yield f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>'
            yield f'<text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        x, y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
        yield f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="middle">minutes since the first arrival</text>'
        yield f'<text x="16" y="{y}" text-anchor="middle" transform="rotate(-90 16 {y})">{escape(unit)}</text>'


def _polyline(points: Iterable[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _ticks(top: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, from 0 to ``top`` (> 0), about ``count`` of them or fewer."""
    rough = top / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [index * step for index in range(math.floor(top / step) + 1)]


def _table(reports: Sequence[Report]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in ("", *map(heading, reports)))
    lines = [
        f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for section in sections(reports)
        for name, cells in section
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"
