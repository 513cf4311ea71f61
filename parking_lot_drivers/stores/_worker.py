"""A thread that runs one call after the other for tasks of any event loop.

``anyio.to_thread`` would do, but a commit that every submitter waits for should cost little beyond the disk's flush:
with a thread of its own, a call that does nothing takes 60–65 % of the time (measured on asyncio and trio).
One thread also settles the order of calls, and what a cancelled caller leaves behind: its call ends before the
next one begins.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, ParamSpec, Protocol, TypeVar, cast

import anyio
from anyio.lowlevel import current_token

_P = ParamSpec("_P")
_T = TypeVar("_T")

_Soon = Callable[[Callable[[], object]], object]


def loop_entry() -> _Soon:
    """The running event loop's own way to be called from another thread (asyncio's or trio's)."""
    loop = current_token().native_token
    entry = getattr(loop, "run_sync_soon", None) or getattr(loop, "call_soon_threadsafe")  # noqa: B009
    return cast("_Soon", entry)


class _Call(Generic[_T]):
    """One function call on its way to the thread, and its answer on the way back."""

    __slots__ = ("_done", "_error", "_function", "_soon", "_value")

    def __init__(self, function: Callable[[], _T]) -> None:
        self._function = function
        self._done = anyio.Event()
        self._soon = loop_entry()
        self._error: BaseException | None = None
        self._value: _T

    def run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:
            self._error = error
        with contextlib.suppress(RuntimeError):  # The event loop may be gone, and with it whoever waited.
            self._soon(self._done.set)

    async def answer(self) -> _T:
        with anyio.CancelScope(shield=True):
            await self._done.wait()
        if self._error is None:
            return self._value
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error  # Or the error, its traceback and this frame would keep each other alive.


class WorkerThread:
    """Runs functions in one thread, in the order of the calls. The thread starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[_Call[object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, function: Callable[[], _T]) -> _T:
        """Call ``function`` in the thread and return, or raise, what it does. A cancelled caller waits for its end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(self._calls,), name=self._name, daemon=True)
            self._thread.start()
        call = _Call(function)
        self._calls.put(cast("_Call[object]", call))
        return await call.answer()

    def stop(self) -> None:
        """Let the thread end after the calls made so far. A later ``run`` starts another one."""
        if self._thread is not None:
            self._calls.put(None)
            self._calls = queue.SimpleQueue()
            self._thread = None

    @staticmethod
    def _work(calls: queue.SimpleQueue[_Call[object] | None]) -> None:
        while True:
            call = calls.get()
            if call is None:
                return
            call.run()
            del call


class Worker(Protocol):
    """Runs functions that block, one after the other."""

    async def run(self, function: Callable[[], _T]) -> _T:
        """Call ``function`` and return, or raise, what it does. A cancelled caller waits for its end."""

    def stop(self) -> None:
        """Nothing more is to be run for now. A later ``run`` begins anew."""


# A simulation puts workers in the place of threads that run everything on its event loop, in its own time.
_make: ContextVar[Callable[[str], Worker]] = ContextVar("parking_lot_workers", default=WorkerThread)


@contextmanager
def workers_from(make: Callable[[str], Worker]) -> Iterator[None]:
    """Have ``make`` give the workers, by name, that stores ask for in this context and in tasks that it starts."""
    token = _make.set(make)
    try:
        yield
    finally:
        _make.reset(token)


def worker(name: str) -> Worker:
    """A worker for one store's connection: a thread of that name, unless ``workers_from`` says otherwise."""
    return _make.get()(name)
