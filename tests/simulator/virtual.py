"""Virtual time on asyncio and trio: nothing ever sleeps; when nobody can run, the clock goes to the next timer.

Both loops also know *processes*. Every callback, or step of a task, that belongs to a process (by the context variable
``PROCESS``, which tasks inherit from whoever starts them) is withheld while the process is stopped: as SIGSTOP does,
and, if the process never goes on, as SIGKILL does. No ``finally`` runs, nothing is cancelled, nobody is told.

A run ends by being abandoned, because tasks of killed processes never end. What is left of them is thrown away then.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import selectors
import sys
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, TypeAlias

import trio
import trio.testing
from anyio._backends import _asyncio as anyio_asyncio
from trio._core import _run as trio_run
from trio._core._traps import WaitTaskRescheduled

Main: TypeAlias = Callable[[], Awaitable[None]]


class Stoppable(Protocol):
    """What the loops know of a process."""

    @property
    def stopped(self) -> bool:
        """Whether nothing of it may run now."""

    def hold(self, resume: Callable[[], None]) -> None:
        """Keep what would have run: to be called, in order, if the process goes on."""


PROCESS: ContextVar[Stoppable | None] = ContextVar("simulated_process", default=None)


class Stuck(Exception):
    """Nothing can run and no timer is set: everybody would wait for ever."""


class Backend(Protocol):
    """An event loop in virtual time."""

    def now(self) -> float:
        """Virtual seconds since the run began."""

    def run(self, main: Main) -> None:
        """Run ``main`` to its end, then abandon all that still runs."""


# -- asyncio -----------------------------------------------------------------------------------------------------


class _Selector(selectors.SelectSelector):
    """Hears nothing from outside; where a real one would wait, time passes."""

    loop: _Loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck("nothing can run, and no timer is set")
        if timeout > 0:
            self.loop.jump()
        return []


class _Held:
    """A callback on its way through the loop; ``handle`` is what the loop's user may cancel."""

    __slots__ = ("args", "callback", "context", "handle")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.handle: asyncio.Handle


class _Task(asyncio.Task[Any]):
    """Hashes by the order of creation, so that sets of tasks are in the same order in every run."""

    def __init__(self, *args: Any, number: int, **options: Any) -> None:
        self.number = number
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self.number


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._tasks_made = 0
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self.virtual

    def jump(self) -> None:
        """Go to the next timer."""
        self.virtual = max(self.virtual, self._scheduled[0]._when)  # type: ignore[attr-defined]

    def _make_task(self, loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        self._tasks_made += 1
        return _Task(coroutine, loop=loop, number=self._tasks_made, **options)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        held = _Held(callback, args, context or copy_context())
        held.handle = super().call_soon(self._step, held, context=held.context)
        return held.handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        held = _Held(callback, args, context or copy_context())
        held.handle = handle = super().call_at(when, self._step, held, context=held.context)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.virtual + delay, callback, *args, context=context)

    def _step(self, held: _Held) -> None:
        if held.handle.cancelled():
            return
        process = PROCESS.get()
        if process is not None and process.stopped:
            process.hold(lambda: self._again(held))
        else:
            held.callback(*held.args)

    def _again(self, held: _Held) -> None:
        super().call_soon(self._step, held, context=held.context)


class _Ordered(dict[Any, None]):
    """What anyio needs of a set, in the order in which things came."""

    def add(self, member: Any) -> None:
        self[member] = None

    def remove(self, member: Any) -> None:
        del self[member]

    def discard(self, member: Any) -> None:
        self.pop(member, None)


@contextlib.contextmanager
def _scopes_in_order() -> Iterator[None]:
    """Cancel scopes hash by their address: have anyio keep them, and their tasks, in the order in which they came."""
    scope = anyio_asyncio.CancelScope
    original = scope.__init__

    def begin(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self._child_scopes = _Ordered()
        self._tasks = _Ordered()

    scope.__init__ = begin  # type: ignore[method-assign]
    try:
        yield
    finally:
        scope.__init__ = original  # type: ignore[method-assign]


class OnAsyncio:
    """asyncio."""

    name = "asyncio"

    def __init__(self, seed: int) -> None:
        self._loop = _Loop()

    def now(self) -> float:
        """See ``Backend.now``."""
        return self._loop.virtual

    def run(self, main: Main) -> None:
        """See ``Backend.run``."""

        async def first() -> None:
            await main()

        with _scopes_in_order():
            try:
                self._loop.run_until_complete(first())
            finally:
                left = asyncio.all_tasks(self._loop)
                for task in left:
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                throw_away(task.get_coro() for task in left)
                self._loop.close()


# -- trio --------------------------------------------------------------------------------------------------------


class _Abandoned(Exception):
    """The run is over."""


class _Clock:
    """Stands still until nobody can run; then goes to the next deadline, exactly.

    trio lets no one inherit from its ``MockClock``, and jumps no other clock: so this moves into one.
    """

    def __init__(self) -> None:
        self.virtual = 0.0
        self.abandoned = False
        self.trio = trio.testing.MockClock(autojump_threshold=0)
        vars(self.trio).update(
            current_time=self._now, deadline_to_sleep_time=self._sleep_time, _autojump=self._jump_to_next
        )

    def _now(self) -> float:
        if self.abandoned:
            raise _Abandoned
        return self.virtual

    def _sleep_time(self, deadline: float) -> float:
        return 0.0 if deadline <= self.virtual else 1e6

    def _jump_to_next(self) -> None:
        deadline = trio_run.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
        if deadline == float("inf"):
            raise Stuck("nothing can run, and no timer is set")
        self.virtual = max(self.virtual, deadline)


def _refuse(_: object) -> trio.lowlevel.Abort:
    return trio.lowlevel.Abort.FAILED


class _Gated:
    """A task's coroutine, which is not resumed while its process is stopped."""

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self.coroutine: Any = task.coro
        self._task = task
        self._value: list[object] = []

    def send(self, value: object) -> object:
        process = PROCESS.get()
        if process is not None and process.stopped:
            if not self._value:
                self._value.append(value)
            process.hold(lambda: trio.lowlevel.reschedule(self._task))
            return WaitTaskRescheduled(_refuse)
        if self._value:
            value = self._value.pop()
        return self.coroutine.send(value)

    def throw(self, *error: Any) -> object:
        return self.coroutine.throw(*error)

    def close(self) -> None:
        self.coroutine.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.coroutine, name)


class _Gate(trio.abc.Instrument):
    """Puts the gate before every task."""

    def __init__(self) -> None:
        self.left: dict[trio.lowlevel.Task, None] = {}

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        task.coro = _Gated(task)  # type: ignore[assignment]
        self.left[task] = None

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.left.pop(task, None)


class OnTrio:
    """trio, whose scheduler draws the order of tasks that could all run: from the seed, here."""

    name = "trio"

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._clock = _Clock()

    def now(self) -> float:
        """See ``Backend.now``."""
        return self._clock.virtual

    def run(self, main: Main) -> None:
        """See ``Backend.run``."""
        gate = _Gate()
        errors: list[BaseException] = []

        async def first() -> None:
            try:
                await main()
            except Exception as error:
                errors.append(error)
            self._clock.abandoned = True
            await trio.sleep(1)

        before = trio_run._ALLOW_DETERMINISTIC_SCHEDULING
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
        trio_run._r.seed(f"simulation {self._seed}")
        try:
            trio.run(first, clock=self._clock.trio, instruments=[gate])
        except trio.TrioInternalError as error:
            if not isinstance(error.__cause__, _Abandoned):
                raise
        finally:
            trio_run._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]
            for task in gate.left:
                for nursery in task.child_nurseries:
                    nursery._children.clear()  # or it would complain
            throw_away(task.coro.coroutine for task in gate.left)  # type: ignore[attr-defined]
        if errors:
            raise errors[0]


# -- the end of a run --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Around a run and its end: weak references must not depend on when the collector last ran.

    In the end, what is left of killed processes is collected, and what it still has to say is not heard.
    """
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        hook, sys.unraisablehook = sys.unraisablehook, _ignore
        try:
            gc.collect()
        finally:
            sys.unraisablehook = hook
            gc.unfreeze()
            if was_on:
                gc.enable()


def _ignore(_: object) -> None:
    pass


def throw_away(left: Iterable[Coroutine[Any, Any, Any] | Any]) -> None:
    """Close coroutines that will never be resumed, however much they resist."""
    hook, sys.unraisablehook = sys.unraisablehook, _ignore
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # some never began
        for coroutine in left:
            for _ in range(100):
                try:
                    coroutine.close()
                except BaseException:  # it awaits something in a ``finally``, or misses its event loop
                    continue
                break
    sys.unraisablehook = hook
