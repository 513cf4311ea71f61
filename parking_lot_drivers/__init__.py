"""Drivers for ``parking_lot_core``: the pool, stores, executors, configuration and the command line.

Public names are listed here once. Importing this package imports nothing optional; each name is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from parking_lot_core import MailboxKey, OutcomeStatus, PoolConfig, Priority, ResourceCost, ScheduledTask, TaskMetadata

if TYPE_CHECKING:
    from parking_lot_drivers._submission import NewTask
    from parking_lot_drivers.blocking import BlockingPool
    from parking_lot_drivers.build import build_pool
    from parking_lot_drivers.config import load_settings
    from parking_lot_drivers.context import current_task
    from parking_lot_drivers.handle import TaskHandle, TaskResult
    from parking_lot_drivers.pool import ResourcePool
    from parking_lot_drivers.ports import Mailbox, PermanentFailure, TaskContext, TaskExecutor, TaskQueue, WorkerLost

_HOMES = {
    "BlockingPool": "blocking",
    "Mailbox": "ports",
    "NewTask": "_submission",
    "PermanentFailure": "ports",
    "ResourcePool": "pool",
    "TaskContext": "ports",
    "TaskExecutor": "ports",
    "TaskHandle": "handle",
    "TaskQueue": "ports",
    "TaskResult": "handle",
    "WorkerLost": "ports",
    "build_pool": "build",
    "current_task": "context",
    "load_settings": "config",
}

__all__ = [
    "BlockingPool",
    "Mailbox",
    "MailboxKey",
    "NewTask",
    "OutcomeStatus",
    "PermanentFailure",
    "PoolConfig",
    "Priority",
    "ResourceCost",
    "ResourcePool",
    "ScheduledTask",
    "TaskContext",
    "TaskExecutor",
    "TaskHandle",
    "TaskMetadata",
    "TaskQueue",
    "TaskResult",
    "WorkerLost",
    "build_pool",
    "current_task",
    "load_settings",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "anyio":
            raise
        from parking_lot_drivers.errors import MissingExtra

        raise MissingExtra(name, "anyio", "local") from None
