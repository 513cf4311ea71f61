"""Plain functions, run in threads of this process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread

from parking_lot_drivers.context import running
from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.executors.target import check_function
from parking_lot_drivers.ports import TaskContext, TaskExecutor, TaskRaised, failure_text


class ThreadExecutor(TaskExecutor):
    """Runs ``function(payload)`` in a worker thread, with the context variables of the pool.

    A thread cannot be killed. When a task is cancelled or runs past its limit, ``current_task().interrupted`` is set;
    the function must look at it and return, and until it does the task's units stay taken. If ``execute`` itself is
    cancelled (a pool that stops, past its grace period), the thread is abandoned: it runs on, nobody hears of its
    result, and a process whose thread never returns may not exit by itself. Work that may hang belongs in a
    ``ProcessExecutor``.

    ``max_threads`` bounds the threads at work at one time; ``None`` leaves that to the pool's units.
    Raises ``ConfigError`` for a bad ``max_threads``, and for something that cannot be called.
    """

    cancellable = False

    def __init__(self, function: Callable[[Any], object], max_threads: int | None = None) -> None:
        check_function(function)
        if max_threads is not None and (type(max_threads) is not int or max_threads < 1):
            raise ConfigError(f"max_threads: expected an integer ≥ 1, or nothing, got {max_threads!r}")
        self._function = function
        self._max_threads = math.inf if max_threads is None else max_threads
        self._limiter: anyio.CapacityLimiter | None = None

    async def __aenter__(self) -> ThreadExecutor:
        """Ready to execute."""
        # anyio's default limiter (40 threads) would be a second budget beside the pool's units.
        self._limiter = anyio.CapacityLimiter(self._max_threads)
        return self

    async def execute(self, payload: object, context: TaskContext) -> object:
        """What the function returned, or what it raised (``SystemExit`` and the like as ``TaskRaised``)."""
        if self._limiter is None:
            raise RuntimeError("enter the executor first: async with ThreadExecutor(function) as executor")
        with running(context):
            try:
                return await anyio.to_thread.run_sync(
                    self._call, payload, limiter=self._limiter, abandon_on_cancel=True
                )
            except anyio.get_cancelled_exc_class():
                context.interrupted.set()
                raise

    def _call(self, payload: object) -> object:
        try:
            return self._function(payload)
        except StopIteration as error:  # cannot be raised out of a coroutine
            raise TaskRaised(failure_text(error)) from error
        except Exception:
            raise
        except BaseException as error:  # SystemExit, CancelledError: meant for a thread, deadly to an event loop
            raise TaskRaised(failure_text(error)) from error
