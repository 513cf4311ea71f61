"""The drivers' clock: seconds since the Unix epoch that never run backwards."""

from __future__ import annotations

import time


class Clock:
    """A monotonic clock, anchored to the wall clock once, when it is made."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return time.monotonic() + self._offset
