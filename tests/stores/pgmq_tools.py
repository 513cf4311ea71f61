"""A PGMQ queue, its pools, and another client of it: what the tests of ``PgmqQueue`` share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from pgmq import Message, PGMQueue
from psycopg_pool import ConnectionPool

from parking_lot_core import PoolConfig
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.stores.pgmq import PgmqQueue
from parking_lot_drivers.stores.postgres import PostgresMailbox
from tests.drivers.tools import SOON

NAME = "inference"


@contextmanager
def client(url: str) -> Iterator[PGMQueue]:
    """Another client of the queue."""
    with ConnectionPool(url, min_size=1, max_size=1) as pool:
        yield PGMQueue(pool=pool, init_extension=False)


def queue_at(url: str, **settings: Any) -> PgmqQueue:
    return PgmqQueue(url, "pool", **{"queue_name": NAME, "poll": 0.05, **settings})


@asynccontextmanager
async def opened(url: str, *, schedule: bool = True, **settings: Any) -> AsyncIterator[PgmqQueue]:
    queue = queue_at(url, **settings)
    await queue.open(schedule=schedule)
    try:
        yield queue
    finally:
        await queue.aclose()


def pool_at(url: str, work: Any, *, units: int = 4, **settings: Any) -> ResourcePool:
    queue, mailbox = queue_at(url, **settings), PostgresMailbox(url, "pool")
    return ResourcePool(PoolConfig(max_units=units), work, queue=queue, mailbox=mailbox, name="pool", grace=5.0)


async def outcomes(pool: ResourcePool, count: int) -> list[Any]:
    """The results in the mailbox without a name, once there are so many."""
    with anyio.fail_after(SOON):
        while len(found := await pool.mailbox.fetch(limit=1000)) < count:  # noqa: ASYNC110
            await anyio.sleep(0.01)
    return [each.value for each in found]


async def shown(queue: PgmqQueue) -> list[str]:
    """The tasks that the window shows; with several hosts, those that are others' to start first come last."""
    window = await queue.window(10)
    return [task.id for task, _ in [*window.tasks, *window.others]]


def seen(other: PGMQueue, *, vt: int = 0) -> list[int]:
    """What another client reads."""
    return [message.msg_id for message in read(other, vt=vt)]


def read(other: PGMQueue, *, vt: int = 0) -> list[Message]:
    """Its messages. The client gives one as it is, and none as ``None``."""
    found = other.read(NAME, vt=vt, qty=10)
    return found if isinstance(found, list) else [found] if found else []
