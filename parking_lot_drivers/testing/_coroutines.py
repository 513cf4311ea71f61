"""Those behaviours that take time, as coroutine functions."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from parking_lot_drivers.context import current_task
from parking_lot_drivers.testing.behaviours import TICK, echo_or_fail, write_one_more


async def _echo_later(payload: Any) -> Any:
    await anyio.sleep(payload["seconds"])
    return payload


async def _echo_or_fail(payload: Any) -> Any:
    await anyio.sleep(payload["seconds"])
    echo_or_fail({**payload, "seconds": 0})
    return payload


async def _tick(payload: Any) -> str:
    end = time.monotonic() + payload["seconds"]
    while time.monotonic() < end:
        write_one_more(payload["file"])
        await anyio.sleep(TICK)
    return "ran to its end"


async def _listen(payload: Any) -> bool:
    write_one_more(payload["file"])
    end = time.monotonic() + payload["seconds"]
    while not current_task().interrupted.is_set() and time.monotonic() < end:  # noqa: ASYNC110 (a thread may set it)
        await anyio.sleep(TICK)
    return current_task().interrupted.is_set()


WAITING: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "echo_later": _echo_later,
    "echo_or_fail": _echo_or_fail,
    "tick": _tick,
    "listen": _listen,
}
