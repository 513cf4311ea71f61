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
                pause = min(2 * pause, _PAUSE_MAX_S)
            finally:
                self._ear.close()

    def _serve(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            if self._period is not None and time.monotonic() >= due:
                if not self._ear.renew():
                    self._hear(News.LEASE)
                due = time.monotonic() + self._period
            timeout = 60.0 if self._period is None else max(0.0, due - time.monotonic())
            news = self._ear.wait(timeout)
            if news:
                self._hear(news)
