"""Which executor a function of the caller's own process gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parking_lot_drivers.executors.target import check_function, is_async
from parking_lot_drivers.ports import TaskExecutor


def executor_for(function: Callable[..., Any]) -> TaskExecutor:
    """A ``CoroutineExecutor`` for an async function, a ``ThreadExecutor`` for a plain one.

    Raises ``ConfigError`` for anything that cannot be called with a payload, and for generators.
    """
    check_function(function)
    if is_async(function):
        from parking_lot_drivers.executors.coroutine import CoroutineExecutor

        return CoroutineExecutor(function)
    from parking_lot_drivers.executors.thread import ThreadExecutor

    return ThreadExecutor(function)
