"""Payloads of parked tasks that are worth keeping in memory: most are needed again within seconds."""

from __future__ import annotations

_BYTES_MAX = 64 * 1024 * 1024


class Payloads:
    """Encoded payloads by task id, up to a bound; the rest is read from the queue when its task starts."""

    def __init__(self, bytes_max: int = _BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: dict[str, bytes] = {}

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
