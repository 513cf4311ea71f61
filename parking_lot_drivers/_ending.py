"""Tasks that have just ended, until whoever looks for them in the mailbox finds them there.

Between the decision that a task has ended and its save, neither the scheduler nor the mailbox knows it. And a look into
the mailbox that began before the save may still be under way after it, and come back with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from parking_lot_drivers._ticket import Ticket


class Ending:
    """Tickets by task id. Each stays until it is saved and every look that began before that is over.

    There are two generations. When the one before has nobody left who is looking, what is saved becomes the older one,
    and what was older is forgotten: so it stays bounded also where somebody is looking at every moment.
    """

    def __init__(self) -> None:
        self._new: dict[str, Ticket] = {}
        self._old: dict[str, Ticket] = {}
        self._looking = [0, 0]
        self._generation = 0
        self.saving = False

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._new or task_id in self._old

    def add(self, task_id: str, ticket: Ticket) -> None:
        """A task has ended, and that is to be saved."""
        self._new[task_id] = ticket

    def get(self, task_id: str) -> Ticket | None:
        """The ticket of a task that the mailbox may not show yet."""
        return self._new.get(task_id) or self._old.get(task_id)

    def ids(self) -> set[str]:
        """Tasks whose end may not be saved yet."""
        return {*self._new, *self._old}

    def tickets(self) -> dict[str, Ticket]:
        """All of them, by task id."""
        return self._old | self._new

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Around a look into the mailbox."""
        generation = self._generation
        self._looking[generation] += 1
        try:
            yield
        finally:
            self._looking[generation] -= 1
            self._forget()

    def saved(self) -> None:
        """All that was added is in the mailbox."""
        self.saving = False
        self._forget()

    def _forget(self) -> None:
        before = 1 - self._generation
        if self.saving or self._looking[before]:
            return
        self._old, self._new = self._new, {}
        self._generation = before
        if not any(self._looking):
            self._old = {}
