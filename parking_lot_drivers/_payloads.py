"""Where the payloads of tasks that start come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import anyio

from parking_lot_drivers.errors import StoreError
from parking_lot_drivers.ports import TaskQueue

_BYTES_MAX = 64 * 1024 * 1024
_PAUSE_S = 0.05

Found: TypeAlias = dict[str, "bytes | StoreError"]


class Payloads:
    """Encoded payloads by task id.

    Those of parked tasks are kept in memory, up to a bound: most are needed again within seconds. The rest is read from
    the queue when its task starts.
    """

    def __init__(self, queue: TaskQueue, bytes_max: int = _BYTES_MAX) -> None:
        self._queue = queue
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: dict[str, bytes] = {}

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._kept

    def keep(self, task_id: str, payload: bytes) -> None:
        """Remember a payload, if there is room."""
        if self._bytes + len(payload) <= self._bytes_max and task_id not in self._kept:
            self._kept[task_id] = payload
            self._bytes += len(payload)

    def take(self, task_id: str) -> bytes | None:
        """The payload, if it is here; it is forgotten."""
        payload = self._kept.pop(task_id, None)
        if payload is not None:
            self._bytes -= len(payload)
        return payload

    async def read(self, task_ids: Sequence[str]) -> Found:
        """Payloads from the queue, or why one cannot be read. Ids that the queue does not have are missing."""
        try:
            return dict(await self._queue.payloads(task_ids))
        except StoreError:
            await anyio.sleep(_PAUSE_S)
        # One at a time, so that one that is damaged takes no other with it.
        found: Found = {}
        for task_id in task_ids:
            try:
                found.update(await self._queue.payloads([task_id]))
            except StoreError as error:
                found[task_id] = error
        return found
