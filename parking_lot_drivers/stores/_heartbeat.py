"""What keeps a host's lease and hears news: a thread of its own, so that a busy event loop can lose neither."""

from __future__ import annotations

import abc
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import anyio.to_thread
import attrs

from parking_lot_drivers.clock import steady_time
from parking_lot_drivers.errors import StoreError
from parking_lot_drivers.shared_ports import News

_log = logging.getLogger("parking_lot")

_PAUSE_S = 0.2
_PAUSE_MAX_S = 2.0

# Under load, others hear once in so many seconds: a notification in every commit would make commits wait for each other
# (Postgres lets only one that notifies commit at a time).
_TELL_PERIOD_S = 0.004


class Ear(abc.ABC):
    """A connection of the heartbeat's own. Used in its thread only, but for ``wake``."""

    @abc.abstractmethod
    def open(self) -> None:
        """Connect. Raises ``StoreError``."""

    @abc.abstractmethod
    def wait(self, timeout: float) -> News:
        """What is news, after at most so many seconds; nothing, if that is all. Raises ``StoreError``."""

    @abc.abstractmethod
    def renew(self) -> bool:
        """Renew the lease; False if it has lapsed. Raises ``StoreError``."""

    @abc.abstractmethod
    def tell(self, news: News) -> None:
        """Tell other hosts and clients. Raises ``StoreError``."""

    @abc.abstractmethod
    def wake(self) -> None:
        """End a ``wait``; from any thread."""

    @abc.abstractmethod
    def close(self) -> None:
        """Disconnect. Safe to call twice, and without ``open``."""


@attrs.frozen
class Rest:
    """Nothing to do for so many seconds; meanwhile the ear is to ``listen``, or is closed."""

    seconds: float
    listen: bool


class Pulse:
    """What a heartbeat does, and when; but not how it waits: see ``beats``.

    Renews the lease every ``period`` seconds (``None``: there is none) and tells ``hear`` what is news. A connection
    that broke is opened again, for as long as it takes; then everything counts as news.
    """

    def __init__(self, ear: Ear, hear: Callable[[News], None], *, period: float | None) -> None:
        self.ear = ear
        self._hear = hear
        self._period = period
        self._lock = threading.Lock()
        self._untold = News(0)
        self._told_at = 0.0
        #: Set to end ``beats``; then wake whoever waits.
        self.stopping = threading.Event()

    def tell(self, news: News) -> bool:
        """Keep news for others; from any thread. Returns whether there was none yet, so that a rest has to end."""
        with self._lock:
            first = not self._untold
            self._untold |= news
        return first

    def beats(self) -> Generator[Rest, News, None]:
        """Do what is due, and yield how long to rest; until ``stopping``. Wants to be sent what the ear has heard.

        What the ear raises has to be thrown in.
        """
        pause = _PAUSE_S
        while not self.stopping.is_set():
            try:
                self.ear.open()
                self._hear(News.ROUTINE)
                pause = _PAUSE_S
                yield from self._serve()
            except StoreError as error:
                _log.warning("news cannot be heard now, nor the lease renewed: %s", error)
                self.ear.close()
                yield Rest(pause, listen=False)
                # A server that comes back leaves hosts one lease to renew theirs.
                pause = min(2 * pause, _PAUSE_MAX_S, self._period or _PAUSE_MAX_S)
            finally:
                self.ear.close()

    def _serve(self) -> Generator[Rest, News, None]:
        renew_at = steady_time()
        while not self.stopping.is_set():
            now = steady_time()
            if self._period is not None and now >= renew_at:
                if not self.ear.renew():
                    self._hear(News.LEASE)
                renew_at = now + self._period
            tell_at = self._told_at + _TELL_PERIOD_S
            if self._untold and now >= tell_at:
                with self._lock:
                    news, self._untold = self._untold, News(0)
                self._told_at = now
                self.ear.tell(news)
            timeout = 60.0 if self._period is None else renew_at - now
            if self._untold:
                timeout = min(timeout, tell_at - now)
            heard = yield Rest(max(0.0, timeout), listen=True)
            if heard:
                self._hear(heard)


class Heartbeat(abc.ABC):
    """Something that beats until it is stopped."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """End, and wait for that: for as long as a statement takes that is under way."""

    @abc.abstractmethod
    def tell(self, news: News) -> None:
        """Tell other hosts and clients, soon; from any thread. What is lost with this process, they find by looking."""


class HeartbeatThread(Heartbeat):
    """Beats in a thread of its own."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._thread = threading.Thread(target=self._run, name="parking-lot-heartbeat", daemon=True)
        self._started = False

    def start(self) -> None:
        """See ``Heartbeat.start``."""
        self._started = True
        self._thread.start()

    async def aclose(self) -> None:
        """See ``Heartbeat.aclose``."""
        await anyio.to_thread.run_sync(self._stop)

    def tell(self, news: News) -> None:
        """See ``Heartbeat.tell``."""
        if self._pulse.tell(news):
            self._pulse.ear.wake()

    def _stop(self) -> None:
        self._pulse.stopping.set()
        self._pulse.ear.wake()
        if self._started:
            self._thread.join()

    def _run(self) -> None:
        beats = self._pulse.beats()
        rest = next(beats, None)
        while rest is not None:
            try:
                heard = self._rest(rest)
            except StoreError as error:
                rest = beats.throw(error)
                continue
            try:
                rest = beats.send(heard)
            except StopIteration:
                return

    def _rest(self, rest: Rest) -> News:
        if rest.listen:
            return self._pulse.ear.wait(rest.seconds)
        self._pulse.stopping.wait(rest.seconds)
        return News(0)


# A simulation lets hearts beat on its event loop, in its own time.
_make: ContextVar[Callable[[Pulse], Heartbeat]] = ContextVar("parking_lot_heartbeats", default=HeartbeatThread)


@contextmanager
def heartbeats_from(make: Callable[[Pulse], Heartbeat]) -> Iterator[None]:
    """Have ``make`` give the heartbeats that stores ask for in this context and in tasks that it starts."""
    token = _make.set(make)
    try:
        yield
    finally:
        _make.reset(token)


def heartbeat(pulse: Pulse) -> Heartbeat:
    """A heartbeat, not started yet: in a thread, unless ``heartbeats_from`` says otherwise."""
    return _make.get()(pulse)
