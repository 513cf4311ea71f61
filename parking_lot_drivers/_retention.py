"""Outcomes that nobody has to keep any longer: a pool prunes its mailbox where that has a time to live."""

from __future__ import annotations

import logging

import anyio

from parking_lot_drivers.errors import StoreError
from parking_lot_drivers.ports import Mailbox

_log = logging.getLogger("parking_lot")

# Seconds between two rounds: a tenth of the time to live, within these bounds.
_PERIOD_LEAST = 1.0
_PERIOD_MOST = 3600.0


class Retention:
    """Prunes one mailbox. Every host of a shared lot may do it."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    def stop(self) -> None:
        """End ``watch``."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def watch(self) -> None:
        """Run until ``stop``; at once over, if outcomes have no time to live."""
        ttl = self._mailbox.ttl
        if ttl is None:
            return
        with anyio.CancelScope() as self._scope:
            while not self._stopped:
                try:
                    await self._mailbox.prune(older_than=ttl)
                except StoreError as error:
                    _log.warning("old outcomes cannot be deleted now: %s", error)
                await anyio.sleep(min(_PERIOD_MOST, max(_PERIOD_LEAST, ttl / 10)))
