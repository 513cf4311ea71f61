"""Submissions that wait for room in the lot: of callers that said so, and of other processes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parking_lot_drivers._turn import Ask


class Lobby:
    """First come, first served. Closed, it takes no one in."""

    def __init__(self) -> None:
        self._line: OrderedDict[Ask, None] = OrderedDict()
        self._by_id: dict[str, list[Ask]] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._line)

    def __contains__(self, ask: Ask) -> bool:
        return ask in self._line

    def enter(self, ask: Ask) -> bool:
        """Take ``ask`` in, at the end of the line. False, if it does not wait or the lobby is closed."""
        if self._closed or not (ask.waits_for_room or ask.request is not None):
            return False
        self._line[ask] = None
        self._by_id.setdefault(ask.metadata.id, []).append(ask)
        return True

    def call(self) -> Ask:
        """Take out the first in line; there must be one."""
        ask = next(iter(self._line))
        self.leave(ask)
        return ask

    def same(self, task_id: str) -> list[Ask]:
        """Those that ask for this very task, first come first."""
        return list(self._by_id.get(task_id, ()))

    def leave(self, ask: Ask) -> None:
        """Take ``ask`` out, wherever in line it stands."""
        del self._line[ask]
        same = self._by_id[ask.metadata.id]
        same.remove(ask)
        if not same:
            del self._by_id[ask.metadata.id]

    def close(self) -> list[Ask]:
        """Take in no one any more, and put out those who are there."""
        self._closed = True
        asks = list(self._line)
        self._line.clear()
        self._by_id.clear()
        return asks
