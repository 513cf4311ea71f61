"""Time, as all drivers read it: the machine's, unless a simulation has put a time of its own in its place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Time:
    """The time of this machine."""

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump either way, as people and servers set the clock."""
        return time.time()

    def steady(self) -> float:
        """Seconds since some moment; never runs backwards."""
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        """Hold up the calling thread for so long."""
        time.sleep(seconds)


_MACHINE = Time()

# Of a context, so that hosts of one simulation may have clocks that differ. Threads of ours begin with the machine's.
_time: ContextVar[Time] = ContextVar("parking_lot_time", default=_MACHINE)


@contextmanager
def time_from(source: Time) -> Iterator[None]:
    """Take the time from ``source`` in this context, and in the tasks that are started in it."""
    token = _time.set(source)
    try:
        yield
    finally:
        _time.reset(token)


def wall_time() -> float:
    """Seconds since the Unix epoch; may jump either way."""
    return _time.get().wall()


def steady_time() -> float:
    """Seconds since some moment; never runs backwards."""
    return _time.get().steady()


def pause(seconds: float) -> None:
    """Hold up the calling thread for so long."""
    _time.get().pause(seconds)


class Clock:
    """A monotonic clock, anchored to the wall clock once, when it is made."""

    def __init__(self) -> None:
        self._offset = wall_time() - steady_time()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return steady_time() + self._offset
