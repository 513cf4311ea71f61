"""What tasks do in the contract of executors: one function of one payload for each behaviour.

An executor of plain functions runs them as they are, one of coroutine functions runs ``coroutine(name)``, and one that
finds functions by name runs ``"parking_lot_drivers.testing.behaviours:NAME"``. One that runs programs may run
``python -m parking_lot_drivers.testing.behaviours NAME``, which takes the payload as one line of JSON on standard input
and prints the result; or any program that does the same. Needs no pytest.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

from parking_lot_drivers import codec
from parking_lot_drivers.context import current_task
from parking_lot_drivers.ports import PermanentFailure

#: What ``tick`` does so often, in seconds.
TICK = 0.02


class BadImage(PermanentFailure):
    """A permanent failure of the user's own class."""


class Unprintable(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def echo(payload: Any) -> Any:
    """Return the payload."""
    return payload


def echo_later(payload: Any) -> Any:
    """Return the payload, after ``payload["seconds"]``."""
    time.sleep(payload["seconds"])
    return payload


def echo_or_fail(payload: Any) -> Any:
    """After ``payload["seconds"]``, fail with the words ``payload["error"]``; if there are none, return the payload."""
    time.sleep(payload["seconds"])
    if payload["error"] is not None:
        raise ValueError(payload["error"])
    return payload


def fail(payload: Any) -> NoReturn:
    """Fail in an ordinary way: raise ``ValueError("no such picture: PAYLOAD")``."""
    raise ValueError(f"no such picture: {payload}")


def fail_for_good(payload: Any) -> NoReturn:
    """Fail in a way that need not be tried again: raise ``PermanentFailure("not a picture: PAYLOAD")``."""
    raise PermanentFailure(f"not a picture: {payload}")


def fail_oddly(payload: Any) -> NoReturn:
    """Raise what ``payload`` names."""
    raise {
        "BadImage": BadImage("torn"),
        "Unprintable": Unprintable(),
        "StopIteration": StopIteration("done"),
        "CancelledError": asyncio.CancelledError(),
        "empty": ValueError(),
        "long": ValueError("x" * 1_000_000),
    }[payload]


def leave(payload: Any) -> NoReturn:
    """Do what a script does to end: ``sys.exit("bye PAYLOAD")``."""
    sys.exit(f"bye {payload}")


def interrupt(_: Any) -> NoReturn:
    """Raise ``KeyboardInterrupt``."""
    raise KeyboardInterrupt


def who(_: Any) -> list[object]:
    """Return what the task knows of itself: its id, epoch, attempt, device, units, and whether it is to stop."""
    task = current_task()
    return [task.task_id, task.epoch, task.attempt, task.device, task.units, task.interrupted.is_set()]


def tick(payload: Any) -> str:
    """Write one more byte to the file ``payload["file"]`` every ``TICK``, for ``payload["seconds"]``."""
    end = time.monotonic() + payload["seconds"]
    while time.monotonic() < end:
        write_one_more(payload["file"])
        time.sleep(TICK)
    return "ran to its end"


def listen(payload: Any) -> bool:
    """Write to ``payload["file"]``, wait ``payload["seconds"]`` to be told to stop, and return whether that came."""
    write_one_more(payload["file"])
    return current_task().interrupted.wait(payload["seconds"])


def die(payload: Any) -> Any:
    """If ``payload["die"]``, kill the process that this runs in, unless it is ``payload["tests"]``. Else return it."""
    if not payload["die"]:
        return payload
    if os.getpid() == payload["tests"]:
        raise RuntimeError(
            "the task would kill the process of the tests, in which this executor runs it; say so: "
            "without = {'die': 'its tasks run in this process'}"
        )
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    time.sleep(60)  # a signal may take a moment
    return None


#: The name of every behaviour, and its function.
BEHAVIOURS: dict[str, Callable[[Any], Any]] = {
    function.__name__: function
    for function in (
        echo, echo_later, echo_or_fail, fail, fail_for_good, fail_oddly, leave, interrupt, who, tick, listen, die
    )
}  # fmt: skip


def coroutine(name: str) -> Callable[[Any], Awaitable[Any]]:
    """The behaviour as a coroutine function, which does not hold up its event loop where the other one waits."""

    from parking_lot_drivers.testing._coroutines import WAITING  # worker processes start faster without anyio

    async def at_once(payload: Any) -> Any:
        return BEHAVIOURS[name](payload)

    return WAITING.get(name, at_once)


def write_one_more(file: str) -> None:
    """Write one more byte to the file."""
    with Path(file).open("ab") as opened:
        opened.write(b".")


if __name__ == "__main__":
    print(codec.encode(BEHAVIOURS[sys.argv[1]](codec.decode(sys.stdin.buffer.readline()))).decode())
