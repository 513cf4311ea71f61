"""This library's queues on Postgres, as the benchmark sees the others: results stored, every move on the audit trail.

The defaults of a configuration, but for the units of a worker, one for each task at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvloop

from benchmarks._postgres_peer import Client, Payload, Peer, Task
from parking_lot_core import PoolConfig
from parking_lot_drivers.client import LotClient, NewTask
from parking_lot_drivers.pool import ResourcePool
from parking_lot_drivers.ports import TaskQueue
from parking_lot_drivers.stores.pgmq import PgmqQueue
from parking_lot_drivers.stores.postgres import PostgresMailbox, PostgresQueue

_POOL = "bench"
_UNITS_MANY = 1_000_000

MakeQueue = Callable[[str], TaskQueue]


def _policy(units: int | None) -> PoolConfig:
    return PoolConfig(max_units=units or _UNITS_MANY, max_queue_depth=10_000_000)


def _table(url: str) -> TaskQueue:
    return PostgresQueue(url, _POOL)


def _pgmq(url: str) -> TaskQueue:
    return PgmqQueue(url, _POOL, queue_name=_POOL)


async def _install(make: MakeQueue, url: str) -> None:
    async with LotClient(make(url), PostgresMailbox(url, _POOL), _POOL, _policy(None)):
        pass


@asynccontextmanager
async def _client(make: MakeQueue, url: str) -> AsyncIterator[Client]:
    async with LotClient(make(url), PostgresMailbox(url, _POOL), _POOL, _policy(None)) as client:

        async def submit_many(payloads: Sequence[Payload]) -> object:
            return await client.submit_many([NewTask(payload) for payload in payloads])

        yield Client(client.submit, submit_many)


@asynccontextmanager
async def _worker(make: MakeQueue, url: str, run: Task, concurrency: int | None) -> AsyncIterator[None]:
    async def work(payload: Any) -> object:
        return await run(payload)

    mailbox = PostgresMailbox(url, _POOL)
    async with ResourcePool(_policy(concurrency), work, queue=make(url), mailbox=mailbox, name=_POOL):
        yield


def _peer(make: MakeQueue, unfinished: str) -> Peer:
    return Peer(
        install=partial(_install, make),
        client=partial(_client, make),
        worker=partial(_worker, make),
        unfinished=unfinished,
        finished="SELECT count(*) FROM parking_lot_results WHERE status = 'succeeded'",
        lives_1=15_000,
        lives_4=20_000,
        unlimited=True,
        run=uvloop.run,
    )


# Tasks that are larger than any device wait for ever, and are there to be in the way.
POSTGRES = _peer(_table, f"SELECT EXISTS (SELECT FROM parking_lot_tasks WHERE units <= {_UNITS_MANY})")
PGMQ = _peer(_pgmq, f"SELECT EXISTS (SELECT FROM pgmq.q_{_POOL})")
