"""Functions that the executor tests run, in this process and in worker processes.

Run as a program, ``python -m tests.executors.targets NAME`` calls one of them with the JSON on standard input.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any, NoReturn

import attrs

from parking_lot_drivers.context import current_task
from parking_lot_drivers.ports import PermanentFailure

NOT_A_FUNCTION = "a value"


@attrs.frozen
class Point:
    """Something that the codec does not take."""

    x: int = 0


class BadImage(PermanentFailure):
    """A permanent failure of the user's own class."""


class Unprintable(Exception):
    """An exception that cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def echo(payload: Any) -> Any:
    """The payload."""
    return payload


def echo_later(payload: Any) -> Any:
    """The payload, after ``payload["seconds"]``."""
    time.sleep(payload["seconds"])
    return payload


def fail(payload: Any) -> NoReturn:
    """An ordinary failure."""
    raise ValueError(f"no such picture: {payload}")


def fail_for_good(payload: Any) -> NoReturn:
    """A failure that need not be tried again."""
    raise PermanentFailure(f"not a picture: {payload}")


def fail_in_its_own_way(payload: Any) -> NoReturn:
    """Raise what ``payload`` names."""
    raise {
        "BadImage": BadImage("torn"),
        "Unprintable": Unprintable(),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "StopIteration": StopIteration("done"),
        "CancelledError": asyncio.CancelledError(),
        "empty": ValueError(),
        "long": ValueError("x" * 1_000_000),
    }[payload]


def leave(payload: Any) -> NoReturn:
    """What a script does to end."""
    sys.exit(f"bye {payload}")


def who(_: Any) -> dict[str, Any]:
    """What the task knows of itself, and the process that it runs in."""
    task = current_task()
    return {
        "task": [task.task_id, task.epoch, task.attempt, task.device, task.units, task.interrupted.is_set()],
        "pid": os.getpid(),
    }


async def who_async(_: Any) -> dict[str, Any]:
    """The same from a coroutine, with the number of its event loop."""
    await asyncio.sleep(0)
    return {**who(None), "loop": id(asyncio.get_running_loop())}


def chatter(payload: Any) -> Any:
    """Write where a function may write, with and without Python, and read what it may read."""
    print("printed", "é", "\udcff", flush=True)
    os.write(1, b"\x05\x00\x00\x00\x05right through the file descriptor")
    subprocess.run(["echo", "from a child"], check=True)
    return [payload, sys.stdin.read(), os.environ.get("EXTRA")]


def tell(path: str) -> None:
    """Write this process's id to ``path``, whole or not at all."""
    draft = f"{path}.draft"
    with open(draft, "w") as file:  # noqa: PTH123
        file.write(str(os.getpid()))
    os.replace(draft, path)  # noqa: PTH105


def sleep(payload: Any) -> None:
    """Sleep for very long, after telling its process id."""
    tell(payload["pid_file"])
    time.sleep(1000)


def spin(payload: Any) -> NoReturn:
    """A Python loop without an end."""
    tell(payload["pid_file"])
    while True:
        pass


def spin_in_c(payload: Any) -> None:
    """One call into C that never lets go of the interpreter's lock."""
    tell(payload["pid_file"])
    re.match(r"(a+)+$", "a" * 60 + "b")


def sleep_with_children(payload: Any) -> None:
    """Have a child of its own asleep, whose process id is told too."""
    child = subprocess.Popen(["sleep", "1000"])
    with open(payload["pid_file"] + ".child", "w") as file:  # noqa: PTH123
        file.write(str(child.pid))
    sleep(payload)


def die(payload: Any) -> Any:
    """End this process in the way that ``payload`` names."""
    print("last words", file=sys.stderr, flush=True)
    if payload == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)
    elif payload == "exit":
        os._exit(7)
    elif payload == "segfault":
        ctypes.string_at(0)
    elif payload == "with a fork left behind":
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(8)
    return payload


def unencodable(_: Any) -> Any:
    """A result that is not plain data."""
    return {"where": [Point()]}


def numbers(payload: Any) -> Any:
    """A generator, which no executor takes."""
    yield payload


async def numbers_async(payload: Any) -> Any:
    """An async generator, which no executor takes."""
    yield payload


if __name__ == "__main__":
    faulthandler.disable()
    print(json.dumps(globals()[sys.argv[1]](json.loads(sys.stdin.readline()))))
