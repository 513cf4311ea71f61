"""Functions in worker processes, which can be killed."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import anyio
from anyio.abc import TaskGroup

from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.executors._frames import task_frame
from parking_lot_drivers.executors._worker_process import WorkerProcess
from parking_lot_drivers.executors.target import split_target
from parking_lot_drivers.ports import PermanentFailure, TaskContext, TaskExecutor, TaskRaised, WorkerLost


class ProcessExecutor(TaskExecutor):
    """Runs the function that ``target`` (``"package.module:function"``) names in worker processes.

    The function may be plain or async. Workers start when they are needed, run one task at a time and are used again,
    so that a model stays loaded. A worker serves one device for its life: the first that it gets a task for. Payloads
    and results pass through the codec. What the function prints goes to standard error.

    Cancelling a task kills its worker with all that it started in its process group, and waits until the worker is
    gone. Workers die with this process, however it dies.

    Args:
        target: checked when the executor is entered, by a first worker that imports it.
        env: variables added to this process's environment.
        python: the interpreter; another one than this process's must have this package installed.
        max_tasks_per_worker: a worker is replaced after so many tasks; ``None`` is never.
        idle_workers_max: the most workers kept for later; ``None`` keeps all that were ever needed at one time.

    Raises ``ConfigError`` naming the argument, or the target and why it cannot be used.
    """

    def __init__(
        self,
        target: str,
        *,
        env: Mapping[str, str] | None = None,
        python: str = sys.executable,
        max_tasks_per_worker: int | None = None,
        idle_workers_max: int | None = None,
    ) -> None:
        split_target(target)
        _check_count("max_tasks_per_worker", max_tasks_per_worker, 1)
        _check_count("idle_workers_max", idle_workers_max, 0)
        self._target = target
        self._env = env
        self._python = python
        self._tasks_max = max_tasks_per_worker
        self._idle_max = idle_workers_max
        self._idle: list[WorkerProcess] = []  # longest idle first
        self._workers: set[WorkerProcess] = set()
        self._attendants: TaskGroup | None = None

    async def __aenter__(self) -> ProcessExecutor:
        """Start the first worker. Raises ``ConfigError`` if it cannot import the target."""
        self._attendants = anyio.create_task_group()
        await self._attendants.__aenter__()
        try:
            self._idle.append(await self._start_worker())
        except BaseException as error:
            await self.__aexit__()
            if isinstance(error, WorkerLost):
                raise ConfigError(f"target {self._target}: cannot be imported: {error}") from error
            if isinstance(error, OSError):
                raise ConfigError(f"python: cannot start {self._python!r}: {error}") from error
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the workers: idle ones leave by themselves, others are killed."""
        attendants, self._attendants = self._attendants, None
        assert attendants is not None
        self._idle.clear()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for worker in self._workers:
                    group.start_soon(worker.stop)
            self._workers.clear()
        await attendants.__aexit__(None, None, None)

    async def execute(self, payload: object, context: TaskContext) -> object:
        """What the function returned.

        Raises ``TaskRaised`` for what it raised, ``PermanentFailure`` if that was one, or if payload or result cannot
        be encoded, and ``WorkerLost`` if the worker died.
        """
        request = task_frame(payload, context)
        worker = await self._take_idle(context.device) or await self._start_worker()
        worker.device = context.device
        try:
            result = await worker.run(request)
        except (TaskRaised, PermanentFailure):
            await self._put_back(worker)
            raise
        except BaseException:
            await worker.kill()
            self._workers.discard(worker)
            raise
        await self._put_back(worker)
        return result

    async def _start_worker(self) -> WorkerProcess:
        if self._attendants is None:
            raise RuntimeError("enter the executor first: async with ProcessExecutor(target) as executor")
        worker = await WorkerProcess.start(
            self._target, python=self._python, env=self._env, attendants=self._attendants
        )
        self._workers.add(worker)
        return worker

    async def _take_idle(self, device: str) -> WorkerProcess | None:
        """The worker that was idle for the shortest time, of those that serve ``device`` or none yet."""
        for worker in reversed(self._idle):
            if worker.device in (device, None):
                self._idle.remove(worker)
                if worker.alive:
                    return worker
                await self._stop(worker)
                return await self._take_idle(device)
        return None

    async def _put_back(self, worker: WorkerProcess) -> None:
        if self._tasks_max is not None and worker.tasks_run >= self._tasks_max:
            await self._stop(worker)
            return
        self._idle.append(worker)
        if self._idle_max is not None and len(self._idle) > self._idle_max:
            await self._stop(self._idle.pop(0))

    async def _stop(self, worker: WorkerProcess) -> None:
        await worker.stop()
        self._workers.discard(worker)


def _check_count(name: str, given: int | None, minimum: int) -> None:
    if given is not None and (type(given) is not int or given < minimum):
        raise ConfigError(f"{name}: expected an integer ≥ {minimum}, or nothing, got {given!r}")
