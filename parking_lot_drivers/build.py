"""From settings to parts: the one module that knows every store, every executor and the pool.

Parts are imported when they are asked for, so that a pool in memory needs no database package, and so on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parking_lot_drivers import shared_ports
from parking_lot_drivers._databases import mailbox_address, problems_at, queue_address
from parking_lot_drivers.config import (
    CommandSettings,
    CoroutineSettings,
    InMemoryMailbox,
    InMemoryQueue,
    PgmqQueue,
    PoolSettings,
    PostgresMailbox,
    PostgresQueue,
    ProcessSettings,
    Settings,
    SharedBudget,
    ThreadSettings,
    YaqueMailbox,
    YaqueQueue,
    load_settings,
)
from parking_lot_drivers.config.problems import shown, suggestion
from parking_lot_drivers.errors import ConfigError, MissingExtra
from parking_lot_drivers.ports import Mailbox, TaskExecutor, TaskQueue

if TYPE_CHECKING:
    from parking_lot_drivers.client import LotClient
    from parking_lot_drivers.pool import ResourcePool


def build_pool(
    settings: Settings | str | os.PathLike[str],
    name: str,
    *,
    executor: TaskExecutor | Callable[..., Any] | None = None,
    grace: float | None = None,
) -> ResourcePool:
    """The pool ``name`` of these settings, or of this configuration file, ready to be entered.

    ``executor`` (or a function to make one for) stands in for the one of the settings, and is needed where they have
    none. ``grace``: seconds that running tasks get when the pool stops; ``None`` is the pool's own default.

    Raises ``ConfigError``, ``MissingExtra``; entering the pool raises ``StoreError``.
    """
    if not isinstance(settings, Settings):
        settings = load_settings(settings)
    section = section_of(settings, name)
    try:
        from parking_lot_drivers.pool import ResourcePool
    except ModuleNotFoundError as error:
        if error.name != "anyio":
            raise
        raise MissingExtra("a pool", "anyio", "local") from None
    return ResourcePool(
        section.policy,
        executor or build_executor(settings, name),
        queue=build_queue(settings, name),
        mailbox=build_mailbox(settings, name),
        name=name,
        **({} if grace is None else {"grace": grace}),
    )


def build_client(settings: Settings | str | os.PathLike[str], name: str) -> LotClient:
    """A client of the pool ``name``, for a process that does not schedule it, ready to be entered.

    Raises ``ConfigError``, also for a queue in memory, which no other process can see, and ``MissingExtra``; entering
    the client raises ``StoreError``.
    """
    if not isinstance(settings, Settings):
        settings = load_settings(settings)
    section = section_of(settings, name)
    if isinstance(section.queue, InMemoryQueue):
        raise ConfigError(
            f"pools.{name}.queue: in_memory keeps tasks in the process that schedules them, where no other process can "
            "see or submit any; use yaque or postgres"
        )
    queue = build_queue(settings, name)
    seen_from_here = not isinstance(section.mailbox, InMemoryMailbox)
    from parking_lot_drivers.client import LotClient

    return LotClient(queue, build_mailbox(settings, name) if seen_from_here else None, name, section.policy)


def section_of(settings: Settings, name: str) -> PoolSettings:
    """The settings of one pool. Raises ``ConfigError`` naming the pools that there are."""
    if name not in settings.pools:
        there_are = ", ".join(settings.pools)
        advice = suggestion(name, settings.pools) or f"; there are {there_are}"
        raise ConfigError(f"pools: no pool is named {shown(name)}{advice}")
    return settings.pools[name]


def lot_file(directory: Path, name: str) -> Path:
    """The lot file of the pool ``name`` in a ``path`` of the settings."""
    return directory / f"{name}.lot"


def queue_file(section: PoolSettings, name: str) -> Path | None:
    """The file of the queue of the pool ``name``, if it is in one. Pools that share a budget share a file."""
    if not isinstance(section.queue, YaqueQueue):
        return None
    if isinstance(section.budget, SharedBudget):
        return lot_file(section.queue.path, f"{section.budget.name}.shared")
    return lot_file(section.queue.path, name)


def mailbox_file(section: PoolSettings, name: str) -> Path | None:
    """The file of the mailbox of the pool ``name``, if it is in one: that of the queue, in the same directory."""
    if not isinstance(section.mailbox, YaqueMailbox):
        return None
    if isinstance(section.queue, YaqueQueue) and section.queue.path == section.mailbox.path:
        return queue_file(section, name)
    return lot_file(section.mailbox.path, name)


def build_queue(settings: Settings, name: str) -> TaskQueue:
    """The queue of the pool ``name``, not yet opened. Raises ``ConfigError``, ``MissingExtra``."""
    section = section_of(settings, name)
    file = queue_file(section, name)
    match section.queue:
        case InMemoryQueue():
            from parking_lot_drivers.stores.memory import MemoryQueue

            return MemoryQueue()
        case YaqueQueue():
            assert file is not None
            if isinstance(section.budget, SharedBudget):
                return _shared_file_queue(section, file, name)
            from parking_lot_drivers.stores.sqlite import SqliteQueue

            return SqliteQueue(file, name)
        case PostgresQueue() | PgmqQueue() as queue:
            return _postgres_queue(section, queue, name)


def is_shared(section: PoolSettings) -> bool:
    """Whether any number of processes may schedule such a pool."""
    return isinstance(section.queue, PostgresQueue | PgmqQueue) or isinstance(section.budget, SharedBudget)


def _shared_file_queue(section: PoolSettings, file: Path, name: str) -> TaskQueue:
    from parking_lot_drivers.stores.shared_sqlite import SharedSqliteQueue
    from parking_lot_drivers.stores.sql.shared_sql import Policy

    policy = Policy(budget=_shared_budget(section))
    return SharedSqliteQueue(file, name, policy=policy, aging=section.policy.aging is not None)


def _postgres_queue(section: PoolSettings, queue: PostgresQueue | PgmqQueue, name: str) -> TaskQueue:
    from parking_lot_drivers.stores.sql.shared_sql import Policy

    address = queue_address(section, name)
    assert address is not None
    url = address.known()
    shared: dict[str, Any] = {
        "policy": Policy(budget=_shared_budget(section), audit=queue.audit, archive=queue.archive),
        "lease": queue.lease,
        "aging": section.policy.aging is not None,
        "wait_for_server": queue.wait_for_server,
    }
    with problems_at(address.place):
        if isinstance(queue, PostgresQueue):
            from parking_lot_drivers.stores.postgres import PostgresQueue as Postgres

            return Postgres(url, name, table=queue.table, **shared)
        from parking_lot_drivers.stores.pgmq import PgmqQueue as Pgmq

        return Pgmq(url, name, queue_name=queue.queue_name, default_units=queue.default_units, **shared)


def _shared_budget(section: PoolSettings) -> shared_ports.SharedBudget | None:
    if not isinstance(section.budget, SharedBudget):
        return None
    return shared_ports.SharedBudget(name=section.budget.name, devices=section.policy.budgets)


def build_mailbox(settings: Settings, name: str) -> Mailbox:
    """The mailbox of the pool ``name``, not yet opened. Raises ``ConfigError``, ``MissingExtra``."""
    section = section_of(settings, name)
    settled = section.mailbox
    if isinstance(settled, InMemoryMailbox):
        from parking_lot_drivers.stores.memory import MemoryMailbox

        return MemoryMailbox()
    mailbox = _file_mailbox(section, name) if isinstance(settled, YaqueMailbox) else _postgres_mailbox(section, name)
    mailbox.ttl = settled.ttl
    return mailbox


def _file_mailbox(section: PoolSettings, name: str) -> Mailbox:
    file = mailbox_file(section, name)
    assert file is not None
    if isinstance(section.budget, SharedBudget) and file == queue_file(section, name):
        from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox

        return SharedSqliteMailbox(file, name)
    from parking_lot_drivers.stores.sqlite import SqliteMailbox

    return SqliteMailbox(file, name)


def _postgres_mailbox(section: PoolSettings, name: str) -> Mailbox:
    from parking_lot_drivers.stores import postgres

    mailbox, queue = section.mailbox, section.queue
    address = mailbox_address(section, name)
    assert isinstance(mailbox, PostgresMailbox)
    assert address is not None
    patience = mailbox.wait_for_server
    if isinstance(queue, PostgresQueue | PgmqQueue):  # the mailbox is opened first
        patience = max(patience, queue.wait_for_server)
    url = address.known()
    with problems_at(address.place):
        return postgres.PostgresMailbox(url, name, table=mailbox.table, wait_for_server=patience)


def build_executor(settings: Settings, name: str) -> TaskExecutor:
    """The executor of the pool ``name``, not yet entered.

    Modules of targets are looked for in the directory of the configuration file first: it is put at the front of
    ``sys.path``. Raises ``ConfigError`` where the settings name no executor, or one that cannot be used.
    """
    executor = section_of(settings, name).executor
    if executor is None:
        raise ConfigError(f"pools.{name}.executor: expected an executor, here or from the application, got nothing")
    if not isinstance(executor, CommandSettings) and str(settings.directory) not in sys.path:
        sys.path.insert(0, str(settings.directory))
    with problems_at(f"pools.{name}.executor"):
        match executor:
            case CoroutineSettings():
                from parking_lot_drivers.executors import CoroutineExecutor

                return CoroutineExecutor(_function(executor.target, coroutine=True))
            case ThreadSettings():
                from parking_lot_drivers.executors import ThreadExecutor

                return ThreadExecutor(_function(executor.target, coroutine=False), executor.max_threads)
            case ProcessSettings():
                from parking_lot_drivers.executors import ProcessExecutor

                return ProcessExecutor(
                    executor.target,
                    env=executor.env,
                    max_tasks_per_worker=executor.max_tasks_per_worker,
                    idle_workers_max=executor.idle_workers_max,
                )
            case CommandSettings():
                from parking_lot_drivers.executors import CommandExecutor

                return CommandExecutor(
                    executor.argv, env=executor.env, cwd=executor.cwd, output_max_bytes=executor.output_max_bytes
                )


def _function(target: str, *, coroutine: bool) -> Callable[..., Any]:
    from parking_lot_drivers.executors.target import is_async, load_target

    function = load_target(target)
    if coroutine and not is_async(function):
        raise ConfigError(f"target {target}: expected an async function; for a plain one, use type thread or process")
    if not coroutine and is_async(function):
        raise ConfigError(f"target {target}: expected a plain function; for an async one, use type coroutine")
    return function


def try_executor(settings: Settings, name: str) -> None:
    """Start the executor of the pool ``name`` and stop it again: its target is imported, its command looked for.

    Raises ``ConfigError``, ``MissingExtra``.
    """
    executor = build_executor(settings, name)

    async def enter() -> None:
        async with executor:
            pass

    import anyio

    with problems_at(f"pools.{name}.executor"):
        anyio.run(enter)
