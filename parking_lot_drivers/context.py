"""What a running task may ask about itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from parking_lot_drivers.ports import TaskContext

_current: ContextVar[TaskContext] = ContextVar("parking_lot_current_task")


def current_task() -> TaskContext:
    """The task that this code runs in: its id, attempt, device, units, and whether it should stop.

    Works in coroutine functions, in functions in threads and worker processes, and in what they call. Raises
    ``LookupError`` outside a task.
    """
    try:
        return _current.get()
    except LookupError:
        raise LookupError(
            "current_task() was called outside a task: it works only in a function that a ResourcePool runs, "
            "and in threads that such a function starts with its own context (contextvars.copy_context)"
        ) from None


@contextmanager
def running(context: TaskContext) -> Iterator[None]:
    """Make ``context`` the current task for the duration of a ``with`` block. For executors."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
