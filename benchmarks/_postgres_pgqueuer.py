"""PgQueuer: LISTEN/NOTIFY, jobs fetched and ended in batches; all its tables durable, which is its default.

A finished job's row moves to its log table, as it does by default; what a task returns is not stored. On asyncpg and
uvloop, as its own command line runs it, with the autovacuum settings that it offers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks._postgres_peer import SETTLE_S, Client, Payload, Peer, Task

_NAME = "echo"
_CONNECTIONS = 5  # its default, and faster than more: a commit that notifies waits for those before it
_BATCH = 100  # of fetching and of ending. Its default is 10, which is slower; 300 is hardly faster


def _encode(payload: Payload) -> bytes:
    return json.dumps(payload).encode()


async def _install(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        queries = Queries.from_asyncpg_connection(connection)
        await queries.install()
        await queries.optimize_autovacuum()
    finally:
        await connection.close()


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Client]:
    async with asyncpg.create_pool(url, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool:
        queries = Queries.from_asyncpg_pool(pool)

        async def submit(payload: Payload) -> object:
            return await queries.enqueue(_NAME, _encode(payload))

        async def submit_many(payloads: Sequence[Payload]) -> object:
            return await queries.enqueue(
                [_NAME] * len(payloads), [_encode(payload) for payload in payloads], [0] * len(payloads)
            )

        yield Client(submit, submit_many)


@asynccontextmanager
async def _worker(url: str, run: Task, concurrency: int | None) -> AsyncIterator[None]:
    batch = _BATCH if concurrency is None else min(_BATCH, concurrency // 2)  # it accepts no more under a limit
    async with asyncpg.create_pool(url, min_size=_CONNECTIONS, max_size=_CONNECTIONS) as pool:
        queuer = PgQueuer.from_asyncpg_pool(pool)

        @queuer.entrypoint(_NAME)
        async def echo(job: Job) -> None:
            await run(json.loads(job.payload or b""))

        worker = asyncio.create_task(queuer.run(batch_size=batch, max_concurrent_tasks=concurrency))
        try:
            await asyncio.sleep(SETTLE_S)
            yield
        finally:
            queuer.shutdown.set()
            with contextlib.suppress(asyncio.CancelledError):
                await worker


PEER = Peer(
    install=_install,
    client=_client,
    worker=_worker,
    unfinished="SELECT EXISTS (SELECT FROM pgqueuer)",
    finished="SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'",
    lives_1=20_000,
    lives_4=25_000,
    unlimited=True,
    run=uvloop.run,
)
