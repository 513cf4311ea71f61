"""A process that saves batch after batch: ``python -m tests.stores.saver FILE``. Names each batch once it is saved.

Batch ``n`` adds task n, starts task n - 1, and ends task n - 2: removed, its outcome delivered.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from parking_lot_drivers.ports import Batch, StoredTask
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from parking_lot_drivers.testing.samples import BOX, batch, delivery, parked, running


def name(number: int) -> str:
    """The id of a task."""
    return f"t{number:06}"


def payload(number: int) -> bytes:
    """Its payload: small, or (one in seven) of many pages."""
    return name(number).encode() * (5000 if number % 7 == 0 else 10)


def nth(number: int) -> Batch:
    """Batch number ``number``, from 1."""
    ended = [name(number - 2)] if number > 2 else []
    return batch(
        added=[StoredTask(parked(name(number), number), payload(number), BOX)],
        changed=[running(parked(name(number - 1), number - 1))] if number > 1 else [],
        removed=ended,
        delivered=[delivery(task_id) for task_id in ended],
        next_sequence=number + 1,
    )


async def main(file: Path) -> None:
    """Go on after what is there, until somebody ends this process."""
    queue, mailbox = SqliteQueue(file, "pool"), SqliteMailbox(file, "pool")
    await queue.open()
    await mailbox.open()
    assert queue.adopt(mailbox)
    checkpoint = (await queue.load()).checkpoint
    number = checkpoint.next_sequence if checkpoint is not None else 1
    while True:
        await queue.save(nth(number))
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
