"""Configuration: one JSON or YAML file, many pools.

``load_settings`` reads a file, ``settings_from`` a mapping, ``schema`` gives the JSON Schema of both.
"""

from parking_lot_drivers.config.budgets import BudgetSettings, HostBudget, SharedBudget
from parking_lot_drivers.config.executors import (
    CommandSettings,
    CoroutineSettings,
    ExecutorSettings,
    ProcessSettings,
    ThreadSettings,
)
from parking_lot_drivers.config.load import load_settings, settings_from
from parking_lot_drivers.config.schema import schema
from parking_lot_drivers.config.settings import PoolSettings, Settings
from parking_lot_drivers.config.stores import (
    DATABASE_URL,
    InMemoryMailbox,
    InMemoryQueue,
    MailboxSettings,
    PgmqQueue,
    PostgresMailbox,
    PostgresQueue,
    QueueSettings,
    YaqueMailbox,
    YaqueQueue,
)

__all__ = [
    "DATABASE_URL",
    "BudgetSettings",
    "CommandSettings",
    "CoroutineSettings",
    "ExecutorSettings",
    "HostBudget",
    "InMemoryMailbox",
    "InMemoryQueue",
    "MailboxSettings",
    "PgmqQueue",
    "PoolSettings",
    "PostgresMailbox",
    "PostgresQueue",
    "ProcessSettings",
    "QueueSettings",
    "Settings",
    "SharedBudget",
    "ThreadSettings",
    "YaqueMailbox",
    "YaqueQueue",
    "load_settings",
    "schema",
    "settings_from",
]
