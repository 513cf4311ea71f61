"""``parking-lot top``: watch a lot."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.options import AsJson, Config, PoolName, duration
from parking_lot_drivers.cli.output import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from parking_lot_drivers.cli.lot_frame import Frame
    from parking_lot_drivers.cli.progress import Pace
    from parking_lot_drivers.client import LotClient

_ROWS_AROUND = 14  # head, devices and the frames of the two lists
_ROWS_MIN = 3
_WAITING_READ = 100


def top(
    config: Config,
    pool: PoolName = None,
    once: Annotated[bool, typer.Option("--once", help="Show it once, and end.")] = False,
    interval: Annotated[
        float, typer.Option(parser=duration, metavar="SECONDS", help="How often to look.", show_default="0.5s")
    ] = 0.5,
    as_json: AsJson = False,
) -> int:
    """Watch a lot: devices, running tasks, the waiting line, who schedules it.

    On a terminal, q or Ctrl-C leaves. Anywhere else, one picture after another is printed. With --json, one object is
    printed once.

    \b
    Example:
      parking-lot top lot.json --pool gpu
    """
    from rich.console import Console

    from parking_lot_drivers.cli.lots import ask, look

    console = Console(highlight=False, markup=False)
    if once or as_json:
        frame = ask(config, pool, lambda client: look(config, client))
        if as_json:
            print_json(frame.as_json())
        else:
            console.print(frame.drawn(_rows(console)))
        return ExitCode.OK
    ask(config, pool, lambda client: _watch(config, client, console, max(interval, 0.1)))
    return ExitCode.OK


async def _watch(config: Path, client: LotClient, console: Console, interval: float) -> None:
    import anyio

    from parking_lot_drivers.cli.stopping import stoppable

    scope = anyio.CancelScope()
    show = _draw if console.is_terminal else _print
    async with stoppable(scope.cancel):
        with scope:
            await show(config, client, console, interval)


async def _draw(config: Path, client: LotClient, console: Console, interval: float) -> None:
    """Redraw the whole terminal until a key says to leave."""
    import anyio
    from rich.live import Live

    from parking_lot_drivers.cli.keys import key_pressed
    from parking_lot_drivers.cli.progress import Pace

    pace = Pace()
    async with anyio.create_task_group() as group:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            group.start_soon(key_pressed, "q", group.cancel_scope.cancel)
            while True:
                frame = await _look(config, client, pace)
                live.update(frame.drawn(_rows(console)), refresh=True)
                await anyio.sleep(interval)


async def _print(config: Path, client: LotClient, console: Console, interval: float) -> None:
    """Print one picture after another, for as long as somebody reads them."""
    import anyio

    from parking_lot_drivers.cli.progress import Pace

    pace = Pace()
    while True:
        frame = await _look(config, client, pace)
        with console.capture() as picture:  # rich itself would end the process if its reader has left
            console.print(frame.drawn(_rows(console)))
        print(picture.get(), flush=True)
        await anyio.sleep(interval)


async def _look(config: Path, client: LotClient, pace: Pace) -> Frame:
    import attrs

    from parking_lot_drivers.cli.lots import look

    frame = await look(config, client, limit=_WAITING_READ)
    pace.note(time.monotonic(), frame.seen.outcomes)
    return attrs.evolve(frame, rate=pace.rate)


def _rows(console: Console) -> int:
    """How many rows each list of tasks may have."""
    return max(_ROWS_MIN, (console.height - _ROWS_AROUND) // 2) if console.is_terminal else 10
