"""What each queue on Postgres looks like to the benchmark. One module per library makes one ``Peer``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

CONCURRENCY = 64  # tasks at once in each worker process, where there is a limit
SUBMITTERS = 64
SETTLE_S = 0.5  # after which a worker listens: the libraries do not say when they do

Payload = dict[str, Any]
Task = Callable[[Payload], Awaitable[Payload]]


@dataclass(frozen=True)
class Client:
    """How a program submits. Both return when what they were given is committed."""

    submit: Callable[[Payload], Awaitable[object]]
    submit_many: Callable[[Sequence[Payload]], Awaitable[object]] | None


@dataclass(frozen=True)
class Peer:
    """One library. ``unfinished`` asks whether a task waits or runs; ``finished`` counts those that succeeded.

    ``worker`` is asked for at most so many tasks at once, or for as many as there are where the library can do that.
    """

    install: Callable[[str], Coroutine[Any, Any, None]]
    client: Callable[[str], AbstractAsyncContextManager[Client]]
    worker: Callable[[str, Task, int | None], AbstractAsyncContextManager[object]]
    unfinished: str
    finished: str
    lives_1: int  # tasks in a run with one worker process: some seconds of work
    lives_4: int
    unlimited: bool  # a worker can do without a limit of tasks at once
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run
