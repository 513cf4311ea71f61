"""A simulated process: what runs in it, the time that it reads, its blocking calls, its heart; and how it dies."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import anyio
import anyio.lowlevel

from parking_lot_drivers.clock import Time, time_from
from parking_lot_drivers.errors import StoreError, StoreUnavailable
from parking_lot_drivers.shared_ports import News
from parking_lot_drivers.stores._heartbeat import Heartbeat, Pulse, Rest, heartbeats_from
from parking_lot_drivers.stores._worker import workers_from
from tests.simulator.virtual import PROCESS

if TYPE_CHECKING:
    from tests.simulator.world import World

_T = TypeVar("_T")

#: When the simulated world begins, in seconds since the Unix epoch.
BEGINNING = 1_700_000_000.0

# How often a heart looks for news while it rests, in virtual seconds.
_LOOK_S = 0.2

#: What a store is asked for, for traces and faults; empty for looks that nothing depends on.
_DOING: ContextVar[str] = ContextVar("simulated_call", default="")


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Name the calls to a store that are made in here."""
    token = _DOING.set(what)
    try:
        yield
    finally:
        _DOING.reset(token)


class Closable(Protocol):
    """A connection that the operating system closes when its process dies."""

    def close_here(self) -> None:
        """Roll back and close."""


class Process:
    """A process of a simulated world. ``stopped``: frozen or dead."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.stopped = False
        self.dead = False
        self.connections: list[Closable] = []
        #: Called when the process dies: what the operating system takes back.
        self.at_death: list[Callable[[], None]] = []
        #: Seconds for which a blocking call has held up its thread, not yet passed for anybody else.
        self.debt = 0.0
        self._held: list[Callable[[], None]] = []
        world.processes.append(self)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # -- stopping ------------------------------------------------------------------------------------------------

    def hold(self, resume: Callable[[], None]) -> None:
        """See ``Stoppable.hold``."""
        self._held.append(resume)

    def freeze(self) -> None:
        """Stop, as by SIGSTOP."""
        self.stopped = True

    def thaw(self) -> None:
        """Go on where it was stopped."""
        if self.dead:
            return
        self.stopped = False
        held, self._held = self._held, []
        for resume in held:
            resume()

    def die(self, why: str) -> None:
        """Stop for ever, as by SIGKILL: connections break, locks are released, nothing else of it happens."""
        if self.dead or self.world.over:
            return
        self.stopped = self.dead = True
        self.world.note(self.name, f"dies: {why}")
        for connection in self.connections:
            connection.close_here()
        for release in self.at_death:
            release()
        self.world.process_died(self)

    def exit(self) -> None:
        """It has come to its end by itself."""
        self.stopped = self.dead = True
        for connection in self.connections:
            connection.close_here()
        for release in self.at_death:
            release()
        self.world.process_died(self)

    async def gap(self, where: str) -> None:
        """A moment at which the process may die."""
        if self.world.dies_at(self, where):
            self.die(where)
            await anyio.sleep_forever()

    # -- calls that block ----------------------------------------------------------------------------------------

    async def call(self, function: Callable[[], _T]) -> _T:
        """Run ``function`` at one moment, with all that may befall a call to a store before and after it."""
        what = _DOING.get()
        if not what:
            await anyio.lowlevel.checkpoint()
            return function()
        fault = self.world.call_fault(self, what)
        await self.gap(f"before {what}")
        await anyio.sleep(fault.before)
        if fault.kind == "failed":
            raise StoreUnavailable(f"simulated: {what} failed")
        answer, error = None, None
        try:
            answer = function()
        except Exception as raised:
            error = raised
        debt, self.debt = self.debt, 0.0
        await self.gap(f"after {what}, before its answer")
        await anyio.sleep(fault.after + debt)
        if fault.kind == "lied":
            raise StoreUnavailable(f"simulated: {what} was done, and its answer lost")
        await self.gap(f"after the answer of {what}")
        if error is not None:
            raise error
        return cast("_T", answer)

    @contextlib.contextmanager
    def surroundings(self) -> Iterator[None]:
        """What runs in here, and what it starts, belongs to this process and lives in its time."""
        token = PROCESS.set(self)
        try:
            with (
                time_from(_VirtualTime(self)),
                workers_from(lambda _: _VirtualWorker(self)),
                heartbeats_from(lambda pulse: _VirtualHeart(self, pulse)),
            ):
                yield
        finally:
            PROCESS.reset(token)


class _VirtualTime(Time):
    def __init__(self, process: Process) -> None:
        self._process = process

    def wall(self) -> float:
        return BEGINNING + self._process.world.now() + self._process.world.wall_offset + self._process.debt

    def steady(self) -> float:
        return self._process.world.now() + self._process.debt

    def pause(self, seconds: float) -> None:
        self._process.debt += seconds


class _VirtualWorker:
    """Runs one call after the other, like the thread that it stands for."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._last: anyio.Event | None = None

    async def run(self, function: Callable[[], _T]) -> _T:
        if not _DOING.get() and (self._last is None or self._last.is_set()):
            return await self._process.call(function)
        before, self._last = self._last, anyio.Event()
        mine = self._last
        with anyio.CancelScope(shield=True):
            try:
                if before is not None:
                    await before.wait()
                return await self._process.call(function)
            finally:
                mine.set()

    def stop(self) -> None:
        pass


class _VirtualHeart(Heartbeat):
    """Beats on the event loop: the same decisions as in a thread, at moments of virtual time."""

    def __init__(self, process: Process, pulse: Pulse) -> None:
        self._process = process
        self._pulse = pulse
        self._stopped = anyio.Event()
        self._ended = anyio.Event()
        self._started = False
        process.connections.append(cast("Any", pulse.ear)._database)

    def start(self) -> None:
        self._started = True
        self._process.world.spawn(self._run)

    async def aclose(self) -> None:
        self._pulse.stopping.set()
        self._stopped.set()
        if self._started:
            await self._ended.wait()

    def tell(self, news: News) -> None:
        self._pulse.tell(news)

    async def _run(self) -> None:
        beats = self._pulse.beats()
        rest = next(beats, None)
        while rest is not None:
            await self._process.gap("between two beats of the heart")
            try:
                heard = await self._rest(rest)
            except StoreError as error:
                rest = beats.throw(error)
                continue
            try:
                rest = beats.send(heard)
            except StopIteration:
                break
        self._ended.set()

    async def _rest(self, rest: Rest) -> News:
        until = self._process.world.now() + rest.seconds
        while not self._pulse.stopping.is_set():
            if rest.listen and (heard := self._pulse.ear.wait(0)):
                return heard
            left = until - self._process.world.now()
            if left <= 0:
                break
            with anyio.move_on_after(min(_LOOK_S, left) + self._process.world.heart_fault()):
                await self._stopped.wait()
        return News(0)
