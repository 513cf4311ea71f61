"""Executors: how the tasks of a pool are run. Each name is imported when it is first used.

``CoroutineExecutor`` and ``ThreadExecutor`` run functions in this process, ``ProcessExecutor`` in worker processes,
and ``CommandExecutor`` runs command lines. ``executor_for(function)`` picks one of the first two.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from parking_lot_drivers.executors.choose import executor_for
from parking_lot_drivers.executors.target import load_target

if TYPE_CHECKING:
    from parking_lot_drivers.executors.command import CommandExecutor, CommandFailed
    from parking_lot_drivers.executors.coroutine import CoroutineExecutor
    from parking_lot_drivers.executors.process import ProcessExecutor
    from parking_lot_drivers.executors.thread import ThreadExecutor

__all__ = [
    "CommandExecutor",
    "CommandFailed",
    "CoroutineExecutor",
    "ProcessExecutor",
    "ThreadExecutor",
    "executor_for",
    "load_target",
]

# Where the rest is. A browser has neither threads nor processes, so nothing may import these before they are used.
_HOME = {
    "CommandExecutor": "command",
    "CommandFailed": "command",
    "CoroutineExecutor": "coroutine",
    "ProcessExecutor": "process",
    "ThreadExecutor": "thread",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
