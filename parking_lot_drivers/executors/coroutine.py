"""Coroutine functions, run on the pool's own event loop."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from parking_lot_drivers.context import running
from parking_lot_drivers.executors.target import check_function
from parking_lot_drivers.ports import TaskContext, TaskExecutor, TaskRaised, failure_text


class CoroutineExecutor(TaskExecutor):
    """Runs ``await function(payload)``. Cancelling it cancels the function at its next ``await``.

    A function that never awaits holds up the whole event loop, and cannot be cancelled: give such work to a
    ``ThreadExecutor`` or a ``ProcessExecutor``. Raises ``ConfigError`` for something that cannot be called.
    """

    def __init__(self, function: Callable[[Any], Awaitable[object]]) -> None:
        check_function(function)
        self._function = function

    async def execute(self, payload: object, context: TaskContext) -> object:
        """What the function returned, or what it raised (``SystemExit`` and the like as ``TaskRaised``)."""
        with running(context):
            try:
                return await self._function(payload)
            except Exception:
                raise
            except BaseException as error:
                if _meant_for_the_event_loop(error):
                    raise
                raise TaskRaised(failure_text(error)) from error


def _meant_for_the_event_loop(error: BaseException) -> bool:
    """Whether ``error`` must pass: Ctrl-C, and our own cancellation. Others would end every other task as well."""
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup((cancelled, KeyboardInterrupt, GeneratorExit)) is not None
    if isinstance(error, cancelled):
        return _cancelled_from_outside()  # if not, it awaited something that someone else cancelled
    return isinstance(error, (KeyboardInterrupt, GeneratorExit))


def _cancelled_from_outside() -> bool:
    if anyio.current_effective_deadline() == -math.inf:
        return True
    import asyncio  # only asyncio can cancel a task without a cancel scope, and then it is loaded already

    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
