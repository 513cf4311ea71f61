"""How a host ends: by Ctrl-C or SIGTERM (the first asks for an orderly stop, the second is obeyed at once), or by an
error.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import anyio

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.errors import ParkingLotError

_FORESEEN = (ParkingLotError, BrokenPipeError)
_SHOW_CURSOR = "\x1b[?25h"


@contextlib.asynccontextmanager
async def stoppable(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call ``stop`` at the first signal. A second one ends the process as hard as a kill would, and loses as little.

    What is foreseen comes out as ``one_error`` says.
    """
    with one_error():
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, stop)
            yield
            group.cancel_scope.cancel()


async def _listen(stop: Callable[[], None]) -> None:
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            asked = False
            async for _ in signals:
                if asked:
                    _leave()
                asked = True
                stop()
    except NotImplementedError:  # an event loop on Windows: Ctrl-C stays a KeyboardInterrupt
        await anyio.sleep_forever()


def _leave() -> None:
    if sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
    sys.stderr.write("\nLeft at once. What was running will be run again.\n")
    sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)


@contextlib.contextmanager
def one_error() -> Iterator[None]:
    """Raise the first error of a group by itself, if all are foreseen. Any other group stays as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        foreseen, others = group.split(_FORESEEN)
        if foreseen is None or others is not None:
            raise
        raise _first(foreseen) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
