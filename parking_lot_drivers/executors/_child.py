"""Child processes that are stopped whole: the process, what it started, its pipes, and never left behind.

A child leads a process group of its own, which is killed as one, and a lifeline ties that group to this process. A
descendant that leaves the group (``setsid``, a daemon) escapes; nothing portable can hold it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

from parking_lot_drivers.executors._lifeline import Lifeline

#: How much of the end of standard error goes into an error message, in bytes.
TAIL_MAX_BYTES = 4096

#: How long to wait, in seconds, for what should follow at once from the end of a process.
SETTLE = 1.0


class Child:
    """A started child process with three pipes. ``end`` must be called, whatever happened."""

    def __init__(self, process: Process, lifeline: Lifeline) -> None:
        self.process = process
        self._lifeline = lifeline

    @classmethod
    async def start(
        cls, argv: Sequence[str], *, env: Mapping[str, str] | None, cwd: str | os.PathLike[str] | None = None
    ) -> Child:
        """Start ``argv`` with ``env`` added to this process's environment.

        Raises ``OSError`` if it cannot be started, and ``ValueError`` for a NUL character in an argument.
        """
        with anyio.CancelScope(shield=True):  # short, and half a start could not be undone
            lifeline = Lifeline()
            try:
                process = await anyio.open_process(
                    argv,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                    pass_fds=[lifeline.number],
                )
            except BaseException:
                lifeline.close()
                raise
            lifeline.tie(process.pid)
        return cls(process, lifeline)

    @property
    def stdin(self) -> ByteSendStream:
        """The pipe to its standard input."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> ByteReceiveStream:
        """The pipe from its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def stderr(self) -> ByteReceiveStream:
        """The pipe from its standard error."""
        assert self.process.stderr is not None
        return self.process.stderr

    @property
    def lifeline_number(self) -> int:
        """The file descriptor of the lifeline in the child."""
        return self._lifeline.number

    def kill(self) -> None:
        """Kill the whole group, and what the process left behind in it if the process itself is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def wait_and_kill_rest(self) -> None:
        """Wait until the process ends by itself, then kill what it left behind: that would hold its pipes open."""
        await self.process.wait()
        self.kill()

    async def end(self) -> int:
        """Kill the group, wait until the process is gone, and release its pipes. Returns the return code.

        Not interrupted by cancellation. Safe to call again.
        """
        with anyio.CancelScope(shield=True):
            self.kill()
            code = await self.process.wait()
            await self.process.aclose()
            self._lifeline.close()
        return code


class Tail:
    """The last ``TAIL_MAX_BYTES`` of a stream."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, chunk: bytes) -> None:
        """The stream goes on with ``chunk``."""
        self._kept = (self._kept + chunk)[-TAIL_MAX_BYTES:]

    def after(self, sentence: str) -> str:
        """``sentence``, followed by the tail if there is one."""
        text = self._kept.decode(errors="backslashreplace").strip()
        return f"{sentence}; the end of its standard error:\n{text}" if text else sentence


async def drain(stream: ByteReceiveStream, sink: Callable[[bytes], None]) -> None:
    """Give every chunk of ``stream`` to ``sink``, until the stream ends or is closed."""
    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
        async for chunk in stream:
            sink(chunk)


def exit_text(code: int) -> str:
    """How a process ended: ``exit code 3`` or ``SIGSEGV``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
