"""Cursors and limits of mailboxes: clients hand back what they like, and every store answers alike."""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parking_lot_drivers.ports import Mailbox
from parking_lot_drivers.stores.memory import MemoryMailbox
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox
from parking_lot_drivers.stores.sqlite import SqliteMailbox
from parking_lot_drivers.testing.samples import BOX, delivery

NAMES = ("a", "b", "c")
WHOLE = st.integers() | st.sampled_from([0, 1, 2, 3, 4, -1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30])


async def filled(mailbox: Mailbox) -> list[int]:
    """Three outcomes; their cursors."""
    await mailbox.open()
    await mailbox.deliver([delivery(name) for name in NAMES])
    return [message.cursor for message in await mailbox.fetch(BOX)]


async def ask(asked: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        boxes: list[Mailbox] = [
            MemoryMailbox(),
            SqliteMailbox(folder / "one.lot", "pool"),
            SharedSqliteMailbox(folder / "many.lot", "pool"),
        ]
        for box in boxes:
            cursors = await filled(box)
            for after, limit in asked:
                found = await box.fetch(BOX, after=after, limit=limit)
                expected = [name for name, cursor in zip(NAMES, cursors, strict=True) if cursor > after][:limit]
                assert [message.delivery.task_id for message in found] == expected, type(box)
            await box.aclose()


@settings(max_examples=20)
@given(st.lists(st.tuples(WHOLE, WHOLE.map(abs).map(lambda limit: max(1, limit))), min_size=1, max_size=30))
@example([(2**63, 1), (-(2**70), 2), (0, 2**70)])
def test_any_cursor_and_any_limit(asked: list[tuple[int, int]]) -> None:
    anyio.run(ask, asked)
