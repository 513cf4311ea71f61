"""From settings to parts: the one module that knows every store, every executor and the pool.

Parts are imported when they are asked for, so that a pool in memory needs no database package, and so on.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parking_lot_drivers.config import (
    CommandSettings,
    CoroutineSettings,
    InMemoryMailbox,
    InMemoryQueue,
    PoolSettings,
    ProcessSettings,
    Settings,
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
            "see or submit any; use yaque"
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


def build_queue(settings: Settings, name: str) -> TaskQueue:
    """The queue of the pool ``name``, not yet opened. Raises ``ConfigError``, ``MissingExtra``."""
    queue = section_of(settings, name).queue
    match queue:
        case InMemoryQueue():
            from parking_lot_drivers.stores.memory import MemoryQueue

            return MemoryQueue()
        case YaqueQueue():
            from parking_lot_drivers.stores.sqlite import SqliteQueue

            return SqliteQueue(lot_file(queue.path, name), name)
    raise ConfigError(_not_yet(f"pools.{name}.queue.type", queue.tags[0]))


def build_mailbox(settings: Settings, name: str) -> Mailbox:
    """The mailbox of the pool ``name``, not yet opened. Raises ``ConfigError``, ``MissingExtra``."""
    mailbox = section_of(settings, name).mailbox
    match mailbox:
        case InMemoryMailbox():
            from parking_lot_drivers.stores.memory import MemoryMailbox

            return MemoryMailbox()
        case YaqueMailbox():
            from parking_lot_drivers.stores.sqlite import SqliteMailbox

            return SqliteMailbox(lot_file(mailbox.path, name), name)
    raise ConfigError(_not_yet(f"pools.{name}.mailbox.type", mailbox.tags[0]))


def _not_yet(path: str, tag: str) -> str:
    return f"{path}: {tag} is not part of this version yet; until it is, use yaque or in_memory"


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


@contextlib.contextmanager
def problems_at(path: str) -> Iterator[None]:
    """Say where in the configuration a ``ConfigError`` belongs that was raised by a part that does not know."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(*(f"{path}: {problem}" for problem in error.problems)) from error.__cause__
