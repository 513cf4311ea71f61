"""The simulator finds what it is there for: drivers that were broken on purpose, one promise each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from anyio.abc import TaskGroup

from parking_lot_core import Finished
from parking_lot_drivers import _loop
from parking_lot_drivers._loop import Loop
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Plan, Turn, Word
from parking_lot_drivers.stores.sql import shared_sqlite_queue
from parking_lot_drivers.stores.sql.shared_sqlite_commit import SharedSqliteCommit
from tests.simulator import simulate

#: How many worlds may be needed.
_WORLDS = 120

Patch = pytest.MonkeyPatch


def _act_before_save(patch: Patch) -> None:
    groups: dict[Loop, TaskGroup] = {}
    opened, started, saved = Loop.open, Loop._start, Loop._save

    async def open_(self: Loop, group: TaskGroup) -> None:
        groups[self] = group
        await opened(self, group)

    async def save(self: Loop, plan: Plan) -> None:
        await started(self, groups[self], plan.starts)
        await saved(self, plan)

    async def start(*_: object) -> None:
        pass

    patch.setattr(Loop, "open", open_)
    patch.setattr(Loop, "_save", save)
    patch.setattr(Loop, "_start", start)


def _acknowledge_before_save(patch: Patch) -> None:
    saved = Loop._save

    async def save(self: Loop, plan: Plan) -> None:
        for ask in plan.admitted:
            ask.ticket.acknowledge()
        await saved(self, plan)

    patch.setattr(Loop, "_save", save)


def _ignore_the_epoch(patch: Patch) -> None:
    hear = Turn.hear

    def any_epoch(self: Turn, word: Word, now: float) -> None:
        if isinstance(word.event, Finished):
            task = self._scheduler.get(word.event.task_id)
            if task is not None:
                word.event = attrs.evolve(word.event, epoch=task.epoch)
        hear(self, word, now)

    patch.setattr(Turn, "hear", any_epoch)


def _remove_before_delivering(patch: Patch) -> None:
    async def save(self: Loop, plan: Plan) -> None:
        await self._queue.save(plan.batch)
        if not self.together and plan.batch.delivered:
            await self._mailbox.deliver(plan.batch.delivered)

    patch.setattr(Loop, "_save", save)


def _do_not_mend_what_was_torn(patch: Patch) -> None:
    read = _loop.read_lot

    async def read_lot(queue: Any, mailbox: Any, *, together: bool) -> Any:
        return await read(queue, mailbox, together=True)

    patch.setattr(_loop, "read_lot", read_lot)


def _do_not_fence(patch: Patch) -> None:
    proper = shared_sqlite_queue.SqliteSharing

    def careless() -> object:
        sql = proper()
        return attrs.evolve(
            sql, lease="SELECT 1 WHERE ? IS NOT NULL", ending=sql.ending.replace("payload, host,", "payload, NULL,")
        )

    patch.setattr(shared_sqlite_queue, "SqliteSharing", careless)


def _do_not_ask_for_the_budget(patch: Patch) -> None:
    patch.setattr(SharedSqliteCommit, "_granted", lambda _, batch: batch)


def _drop_tickets(patch: Patch) -> None:
    """Whoever waits for a task that is withdrawn is forgotten."""
    patch.setattr(Turn, "_leave", lambda *_: None)


def _stop_listening(patch: Patch) -> None:
    """An outcome is saved, and nobody is told."""
    patch.setattr(Ticket, "deliver", lambda *_: None)


@pytest.mark.parametrize(
    ("breaks", "store", "found"),
    [
        (_act_before_save, "memory", "save, then act"),
        (_act_before_save, "shared", "save, then act"),
        (_acknowledge_before_save, "sqlite", "nothing is lost"),
        (_ignore_the_epoch, "memory", "true outcomes"),
        (_remove_before_delivering, "memory|sqlite", "nothing is lost"),
        (_do_not_mend_what_was_torn, "memory|sqlite", "one outcome"),
        (_do_not_fence, "shared", "fencing"),
        (_do_not_ask_for_the_budget, "shared", "shared budget"),
        (_drop_tickets, "shared", "liveness"),
        (_stop_listening, "memory", "liveness"),
    ],
)
def test_a_broken_driver_is_found(
    breaks: Callable[[Patch], None], store: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    for seed in range(_WORLDS):
        run = simulate(seed, store=store)
        if found in {invariant for invariant, _ in run.violations}:
            return
    pytest.fail(f"not found in {_WORLDS} worlds")
