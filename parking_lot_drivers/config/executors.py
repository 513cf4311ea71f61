"""What runs a pool's tasks: the settings of executors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, TypeAlias

import attrs

from parking_lot_core.config import Whole
from parking_lot_drivers.config.kinds import Integer, read_as
from parking_lot_drivers.config.texts import ARGV, ENVIRONMENT, FOLDER, TARGET


@attrs.frozen(kw_only=True)
class CoroutineSettings:
    """A coroutine function, run in the pool's event loop.

    Attributes:
        target: the function, as "package.module:function"; modules beside the configuration file are found first.
    """

    tags: ClassVar[tuple[str, ...]] = ("coroutine",)
    target: str = attrs.field(metadata=read_as(TARGET))


@attrs.frozen(kw_only=True)
class ThreadSettings:
    """A function, run in worker threads. A thread cannot be killed: the function must look whether it should stop.

    Attributes:
        target: the function, as "package.module:function"; modules beside the configuration file are found first.
        max_threads: the most threads at a time; without it, as many as there are tasks that fit.
    """

    tags: ClassVar[tuple[str, ...]] = ("thread",)
    target: str = attrs.field(metadata=read_as(TARGET))
    max_threads: int | None = attrs.field(default=None, metadata=read_as(Integer(Whole(1))))


@attrs.frozen(kw_only=True)
class ProcessSettings:
    """A function, run in worker processes, which are killed on cancel and on run_timeout.

    Attributes:
        target: the function, as "package.module:function"; modules beside the configuration file are found first.
        max_tasks_per_worker: a worker process is replaced after so many tasks; without it, never.
        idle_workers_max: the most workers that are kept while they have nothing to do; without it, all of them.
        env: environment variables that the workers have besides those of this process.
    """

    tags: ClassVar[tuple[str, ...]] = ("process",)
    target: str = attrs.field(metadata=read_as(TARGET))
    max_tasks_per_worker: int | None = attrs.field(default=None, metadata=read_as(Integer(Whole(1))))
    idle_workers_max: int | None = attrs.field(default=None, metadata=read_as(Integer(Whole(0))))
    env: Mapping[str, str] = attrs.field(factory=dict, metadata=read_as(ENVIRONMENT))


@attrs.frozen(kw_only=True)
class CommandSettings:
    """A command line, one process for each task.

    Attributes:
        argv: the program and its arguments; {name} in one of them stands for that key of the payload.
        env: environment variables that the command has besides those of this process.
        cwd: its working directory, relative to the directory of the configuration file, which is the default.
        output_max_bytes: the most that a command may write to its standard output.
    """

    tags: ClassVar[tuple[str, ...]] = ("command",)
    argv: tuple[str, ...] = attrs.field(metadata=read_as(ARGV))
    env: Mapping[str, str] = attrs.field(factory=dict, metadata=read_as(ENVIRONMENT))
    cwd: Path = attrs.field(default=Path(), metadata=read_as(FOLDER))
    output_max_bytes: int = attrs.field(default=16 * 2**20, metadata=read_as(Integer(Whole(1))))


ExecutorSettings: TypeAlias = CoroutineSettings | ThreadSettings | ProcessSettings | CommandSettings
