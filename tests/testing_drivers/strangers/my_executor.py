"""An executor as somebody outside of this project would write it: a thread of its own for every task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio.to_thread

from parking_lot_drivers import TaskContext, TaskExecutor
from parking_lot_drivers.context import running
from parking_lot_drivers.ports import TaskRaised, failure_text


class MyExecutor(TaskExecutor):
    """Runs ``function(payload)``."""

    cancellable = False

    def __init__(self, function: Callable[[Any], object]) -> None:
        self.function = function
        self.threads = anyio.CapacityLimiter(1000)

    async def execute(self, payload: object, context: TaskContext) -> object:
        """What the function returned."""
        with running(context):
            return await anyio.to_thread.run_sync(self.call, payload, limiter=self.threads, abandon_on_cancel=True)

    def call(self, payload: object) -> object:
        """In the thread."""
        try:
            return self.function(payload)
        except Exception as error:
            if isinstance(error, StopIteration):
                raise TaskRaised(failure_text(error)) from error
            raise
        except BaseException as error:
            raise TaskRaised(failure_text(error)) from error
