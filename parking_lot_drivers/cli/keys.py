"""Single key presses on a terminal, where the system has them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

import anyio

try:
    import termios
    import tty
except ModuleNotFoundError:  # Windows
    termios = tty = None  # type: ignore[assignment]


async def key_pressed(keys: str, then: Callable[[], None]) -> None:
    """Wait for one of the keys on standard input, then call ``then``. Where that cannot be read, wait for ever."""
    if termios is None or not sys.stdin.isatty():
        await anyio.sleep_forever()
    with _at_once(sys.stdin.fileno()) as terminal:
        while True:
            await anyio.wait_readable(terminal)
            pressed = os.read(terminal, 1).decode(errors="replace")
            if not pressed or pressed.lower() in keys:
                break
    then()


@contextlib.contextmanager
def _at_once(terminal: int) -> Iterator[int]:
    """Have keys arrive as they are pressed, without an echo. Ctrl-C stays a signal."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
