"""Functions that the executor tests run, in this process and in worker processes, beside those of the contract."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any, NoReturn

import attrs

from parking_lot_drivers.context import current_task
from parking_lot_drivers.testing.behaviours import Unprintable, echo, echo_later, fail

__all__ = [
    "Point", "Unprintable", "chatter", "die", "echo", "echo_later", "fail", "numbers", "numbers_async", "sleep",
    "sleep_with_children", "spin", "spin_in_c", "tell", "unencodable", "who", "who_async",
]  # fmt: skip

NOT_A_FUNCTION = "a value"


@attrs.frozen
class Point:
    """Something that the codec does not take."""

    x: int = 0


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
