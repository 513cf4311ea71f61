"""The run of ``parking-lot work``."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from parking_lot_core import OutcomeStatus
from parking_lot_drivers.cli.progress import Display, Snapshot
from parking_lot_drivers.cli.stopping import one_error
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.pool import ResourcePool

_LOOK_AGAIN_S = 0.1


class Worker:
    """Runs a pool until ``stop`` or, with ``until_empty``, until nothing is parked, running or posted."""

    def __init__(self, pool: ResourcePool, client: LotClient, *, until_empty: bool) -> None:
        self.interrupted = False
        self._pool = pool
        self._client = client
        self._until_empty = until_empty
        self._serving = anyio.CancelScope()

    @property
    def outcomes(self) -> Mapping[OutcomeStatus, int]:
        """How many tasks ended in each way."""
        return self._pool.stats().outcomes

    @property
    def failed(self) -> int:
        """How many tasks ended without success."""
        return sum(count for status, count in self.outcomes.items() if status is not OutcomeStatus.SUCCEEDED)

    @property
    def left(self) -> int:
        """How many tasks have no outcome yet."""
        stats = self._pool.stats()
        return stats.parked + stats.running

    async def run(self, display: Display) -> None:
        """Serve. Raises ``ParkingLotError``."""
        with one_error():
            async with self._pool, anyio.create_task_group() as group:
                group.start_soon(display.run, self.snapshot)
                with self._serving:
                    await (self._empty() if self._until_empty else anyio.sleep_forever())
                group.cancel_scope.cancel()

    def stop(self) -> None:
        """Let the pool stop in order."""
        self.interrupted = True
        self._serving.cancel()

    def snapshot(self) -> Snapshot:
        """How it stands."""
        return Snapshot(stats=self._pool.stats(), ended=sum(self.outcomes.values()), failed=self.failed)

    async def _empty(self) -> None:
        """Wait until the lot is empty, requests of other processes included."""
        async with self._client as client:
            while True:
                await self._pool.join()
                seen = await client.overview(limit=1)
                if not (seen.parked or seen.running or seen.requests):
                    return
                await anyio.sleep(_LOOK_AGAIN_S)
