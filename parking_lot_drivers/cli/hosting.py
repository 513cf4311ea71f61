"""Running a pool from the command line: on an event loop, with progress, until its work is done or a signal comes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio

from parking_lot_drivers.cli.output import note
from parking_lot_drivers.cli.progress import Display, display
from parking_lot_drivers.cli.stopping import stoppable
from parking_lot_drivers.cli.words import span


class Hosted(Protocol):
    """Something that runs a pool."""

    async def run(self, display: Display) -> None:
        """Run until the work is done, or until ``stop``. Raises ``ParkingLotError``."""

    def stop(self) -> None:
        """Have ``run`` return as soon as the pool has stopped in order."""


_H = TypeVar("_H", bound=Hosted)


def host(make: Callable[[], _H], *, plain: bool, grace: float) -> _H:
    """Make it, run it to its end and return it. What tasks and their modules print goes to standard error.

    ``grace`` is what the pool gives to running tasks when it stops, in seconds.
    """

    async def main() -> _H:
        hosted = make()

        def stop() -> None:
            note(f"stopping: what runs has {span(grace)} to finish; Ctrl-C again leaves at once")
            hosted.stop()

        async with stoppable(stop):
            await hosted.run(display(plain=plain))
        return hosted

    with contextlib.redirect_stdout(sys.stderr):
        return anyio.run(main)
