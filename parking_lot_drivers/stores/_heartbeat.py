"""The thread that keeps a host's lease and hears news, so that a busy event loop can lose neither."""

from __future__ import annotations

import abc
import logging
import threading
import time
from collections.abc import Callable

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


class Heartbeat:
    """Renews the lease every ``period`` seconds (``None``: there is none) and tells ``hear`` what is news.

    ``hear`` is called in the heartbeat's thread. A connection that broke is opened again, for as long as it takes; then
    everything counts as news.
    """

    def __init__(self, ear: Ear, hear: Callable[[News], None], *, period: float | None) -> None:
        self._ear = ear
        self._hear = hear
        self._period = period
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="parking-lot-heartbeat", daemon=True)
        self._started = False
        self._lock = threading.Lock()
        self._untold = News(0)
        self._told_at = 0.0

    def start(self) -> None:
        """Begin."""
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for that; blocks for as long as a statement takes that is under way."""
        self._stopping.set()
        self._ear.wake()
        if self._started:
            self._thread.join()

    def tell(self, news: News) -> None:
        """Tell other hosts and clients, soon; from any thread. What is lost with this process, they find by looking."""
        with self._lock:
            first = not self._untold
            self._untold |= news
        if first:
            self._ear.wake()

    def _run(self) -> None:
        pause = _PAUSE_S
        while not self._stopping.is_set():
            try:
                self._ear.open()
                self._hear(News.ROUTINE)
                pause = _PAUSE_S
                self._serve()
            except StoreError as error:
                _log.warning("news cannot be heard now, nor the lease renewed: %s", error)
                self._stopping.wait(pause)
                # A server that comes back leaves hosts one lease to renew theirs.
                pause = min(2 * pause, _PAUSE_MAX_S, self._period or _PAUSE_MAX_S)
            finally:
                self._ear.close()

    def _serve(self) -> None:
        renew_at = time.monotonic()
        while not self._stopping.is_set():
            now = time.monotonic()
            if self._period is not None and now >= renew_at:
                if not self._ear.renew():
                    self._hear(News.LEASE)
                renew_at = now + self._period
            tell_at = self._told_at + _TELL_PERIOD_S
            if self._untold and now >= tell_at:
                with self._lock:
                    news, self._untold = self._untold, News(0)
                self._told_at = now
                self._ear.tell(news)
            timeout = 60.0 if self._period is None else renew_at - now
            if self._untold:
                timeout = min(timeout, tell_at - now)
            heard = self._ear.wait(max(0.0, timeout))
            if heard:
                self._hear(heard)
