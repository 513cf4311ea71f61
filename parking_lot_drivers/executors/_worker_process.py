"""The pool's end of one worker process."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping

import anyio
from anyio.abc import TaskGroup

from parking_lot_drivers import codec
from parking_lot_drivers.errors import ConfigError
from parking_lot_drivers.executors._child import SETTLE, Child, Tail, drain, exit_text
from parking_lot_drivers.executors._frames import HEADER, Garbled, Kind, frame, read_answer, read_header
from parking_lot_drivers.ports import PermanentFailure, TaskRaised, WorkerLost

#: How long a worker may take to leave by itself when the pool stops, in seconds.
STOP_GRACE = 2.0

# A worker of this same interpreter finds modules exactly where this process does; another one has its own places.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()) or sys.path; "
    "from parking_lot_drivers.executors.worker import main; main(sys.argv.pop())"
)


class WorkerProcess:
    """A started worker, which runs one task at a time. ``device`` is the one that it has served, if any."""

    def __init__(self, target: str, child: Child) -> None:
        self.device: str | None = None
        self.tasks_run = 0
        self._target = target
        self._child = child
        self._tail = Tail()
        self._attended = anyio.Event()

    @classmethod
    async def start(
        cls, target: str, *, python: str, env: Mapping[str, str] | None, attendants: TaskGroup
    ) -> WorkerProcess:
        """Start a worker and have it import ``target``. Its standard error is read by a task in ``attendants``.

        Raises ``ConfigError`` if the target cannot be used, ``WorkerLost`` if the process died, and ``OSError`` if it
        could not be started.
        """
        path = [str(entry) for entry in sys.path] if python == sys.executable else []
        child = await Child.start([python, "-c", _BOOT, target, json.dumps(path)], env=env)
        worker = cls(target, child)
        try:
            attendants.start_soon(worker._attend, name=f"worker process for {target}")
            await worker._load()
        except BaseException:
            await worker.kill()
            raise
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process is not known to have ended."""
        return self._child.process.returncode is None

    async def run(self, request: bytes) -> object:
        """Run the task that ``request`` (from ``task_frame``) describes.

        Raises ``TaskRaised`` or ``PermanentFailure`` for what the task's function raised, and ``WorkerLost`` if the
        process died. After that, or when cancelled, the worker is of no more use: call ``kill``.
        """
        self.tasks_run += 1
        kind, body = await self._ask(request)
        try:
            answer, trace = read_answer(kind, body)
        except Garbled as garbled:
            raise await self._lost_by(garbled) from None
        if trace is None:
            return answer
        text = str(answer)
        failure = PermanentFailure(text) if kind is Kind.PERMANENT else TaskRaised(text)
        failure.add_note(trace)
        raise failure

    async def stop(self) -> None:
        """Let the process leave by itself, within ``STOP_GRACE`` seconds. Not interrupted by cancellation."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_GRACE):
            await self._child.stdin.aclose()
            await self._child.process.wait()
        await self.kill()

    async def kill(self) -> int:
        """Kill the process and all that it started, and wait until it is gone. Returns its return code.

        Not interrupted by cancellation. Safe to call again.
        """
        with anyio.CancelScope(shield=True):
            self._child.kill()
            with anyio.move_on_after(SETTLE):  # its last words; a daemon that it left behind may hold the pipe open
                await self._attended.wait()
        return await self._child.end()

    async def _load(self) -> None:
        kind, body = await self._ask(frame(Kind.LOAD, codec.encode(self._child.lifeline_number)))
        if kind is Kind.UNUSABLE:
            raise ConfigError(*codec.decode(body))

    async def _ask(self, request: bytes) -> tuple[Kind, bytes]:
        try:
            await self._child.stdin.send(request)
            return await self._receive()
        except Garbled as garbled:
            raise await self._lost_by(garbled) from None
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass
        with anyio.move_on_after(SETTLE):  # so that the return code is its own, not that of our signal
            await self._child.process.wait()
        code = await self.kill()
        raise WorkerLost(self._tail.after(f"the worker process of {self._target} died ({exit_text(code)})"))

    async def _lost_by(self, garbled: Garbled) -> WorkerLost:
        """Kill a process that cannot be understood; the error for its task."""
        await self.kill()
        return WorkerLost(
            self._tail.after(
                f"the worker process of {self._target} sent {garbled} and was killed; only the library may write to "
                "its answers"
            )
        )

    async def _receive(self) -> tuple[Kind, bytes]:
        received = bytearray()
        while len(received) < HEADER.size:
            received += await self._child.stdout.receive()
        kind, length = read_header(received)
        while len(received) < HEADER.size + length:
            received += await self._child.stdout.receive()
        if len(received) > HEADER.size + length:
            raise Garbled(f"{len(received) - HEADER.size - length} bytes after its answer")
        return kind, bytes(memoryview(received)[HEADER.size :])

    async def _attend(self) -> None:
        """Pass on what the process writes to standard error, and notice when it ends. Ends soon after it does."""
        with anyio.CancelScope(shield=True):  # it lives as long as the process, which ``kill`` ends
            async with anyio.create_task_group() as group:
                group.start_soon(self._child.wait_and_kill_rest)
                await drain(self._child.stderr, self._pass_on)
        self._attended.set()

    def _pass_on(self, chunk: bytes) -> None:
        self._tail.add(chunk)
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none at all
            sys.stderr.write(chunk.decode(errors="backslashreplace"))
            sys.stderr.flush()
