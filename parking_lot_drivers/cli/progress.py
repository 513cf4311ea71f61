"""How far a host has come: a bar on a terminal, plain lines anywhere else. Both go to standard error."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio
import attrs
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from parking_lot_core import DeviceView
from parking_lot_drivers.cli.words import clock, per_second
from parking_lot_drivers.pool import PoolStats

_BAR_PERIOD_S = 0.2
_LINE_PERIOD_S = 5.0
_RATE_WINDOW_S = 30.0


@attrs.frozen(kw_only=True)
class Snapshot:
    """A host at one moment. ``total`` counts what there is to do, if that is known; ``ended`` includes ``failed``."""

    stats: PoolStats
    ended: int
    failed: int
    total: int | None = None


class Pace:
    """How fast tasks have ended lately."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, ended: int) -> None:
        """``ended`` tasks had ended at ``now`` (seconds on any clock that only goes forward)."""
        self._seen.append((now, ended))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _RATE_WINDOW_S:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Tasks per second; 0 while that cannot be said."""
        if len(self._seen) < 2:
            return 0.0
        (first, before), (last, after) = self._seen[0], self._seen[-1]
        return (after - before) / (last - first) if last > first else 0.0


class Display(Protocol):
    """Shows snapshots for as long as ``run`` is not cancelled."""

    async def run(self, snapshot: Callable[[], Snapshot]) -> None:
        """Show a snapshot now and then."""


class BarDisplay:
    """Two lines at the bottom of a terminal."""

    def __init__(self) -> None:
        self._live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False, transient=True)
        self._pace = Pace()

    async def run(self, snapshot: Callable[[], Snapshot]) -> None:
        """Draw five times a second."""
        with self._live:
            while True:
                self._live.update(self._drawn(snapshot()), refresh=True)
                await anyio.sleep(_BAR_PERIOD_S)

    def _drawn(self, seen: Snapshot) -> Group:
        self._pace.note(time.monotonic(), seen.ended)
        lines = Group(Text("   ".join(_facts(seen, self._pace.rate)), no_wrap=True, overflow="ellipsis"))
        if seen.total is not None:
            row = Table.grid(expand=True, padding=(0, 2, 0, 0))
            row.add_column(ratio=1)
            row.add_column(justify="right", no_wrap=True)
            row.add_row(ProgressBar(total=max(1, seen.total), completed=seen.ended), _portion(seen))
            lines.renderables.insert(0, row)
        return lines


class LineDisplay:
    """A plain line every few seconds, if there is any news."""

    def __init__(self) -> None:
        self._pace = Pace()

    async def run(self, snapshot: Callable[[], Snapshot]) -> None:
        """Print a line every few seconds."""
        begun = time.monotonic()
        told = snapshot()
        self._pace.note(begun, told.ended)
        while True:
            await anyio.sleep(_LINE_PERIOD_S)
            seen, now = snapshot(), time.monotonic()
            self._pace.note(now, seen.ended)
            if seen == told:
                continue
            told = seen
            parts = [_portion(seen)] if seen.total is not None else []
            print(f"{clock(now - begun)}  " + ", ".join(parts + _facts(seen, self._pace.rate)), file=sys.stderr)
            sys.stderr.flush()


def display(*, plain: bool) -> Display:
    """What suits standard error."""
    return LineDisplay() if plain or not sys.stderr.isatty() else BarDisplay()


def units_in_use(devices: tuple[DeviceView, ...]) -> str:
    """``6/8``, over all devices."""
    return f"{sum(device.used for device in devices)}/{sum(device.capacity for device in devices)}"


def _portion(seen: Snapshot) -> str:
    assert seen.total is not None
    share = seen.ended / seen.total if seen.total else 1.0
    return f"{seen.ended:,} of {seen.total:,} ({share:.0%})"


def _facts(seen: Snapshot, rate: float) -> list[str]:
    stats = seen.stats
    facts = [
        f"units {units_in_use(stats.devices)}",
        f"running {stats.running:,}",
        f"parked {stats.parked:,}",
        f"done {seen.ended - seen.failed:,}",
        f"failed {seen.failed:,}",
    ]
    if stats.degraded is not None:
        facts.append("the lot cannot be written now")
    elif seen.total is None:
        facts.append(f"{per_second(rate)}/s")
    else:
        facts.append(f"ETA {clock((seen.total - seen.ended) / rate) if rate else '-:--'}")
    return facts
