"""DBOS: workflows on a queue that its workers poll. What a workflow returns is stored, and finished rows stay.

No Conductor, no cloud, no telemetry: it is given no keys and no endpoints. Its calls are synchronous beneath and run
in threads.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy
from dbos import DBOS, DBOSClient
from dbos import EnqueueOptions as Options

from benchmarks._postgres_peer import SUBMITTERS, Client, Payload, Peer, Task

_NAME = "bench"
_POLLING_S = 0.01  # its default is 1 s, at which a worker with 64 places would end at most 64 tasks per second, and
# a task would wait half a second on average
_CONNECTIONS = 20  # its default for a worker; a client has 5
_OPTIONS: Options = {"workflow_name": "echo", "queue_name": _NAME}


async def _install(url: str) -> None:
    await asyncio.to_thread(DBOS.migrate, url)


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Client]:
    threads = ThreadPoolExecutor(SUBMITTERS)  # asyncio's default has fewer than there are submitters
    asyncio.get_running_loop().set_default_executor(threads)
    client = await asyncio.to_thread(
        DBOSClient, system_database_url=url, application_name=_NAME, system_database_pool_size=_CONNECTIONS
    )
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"))

    async def submit(payload: Payload) -> object:
        return await client.enqueue_async(_OPTIONS, payload)

    def together(payloads: Sequence[Payload]) -> None:
        """It has no call for many, but takes part in a transaction of the caller."""
        with engine.begin() as connection:
            for payload in payloads:
                client.enqueue_in_transaction(connection, _OPTIONS, payload)

    async def submit_many(payloads: Sequence[Payload]) -> object:
        return await asyncio.to_thread(together, payloads)

    try:
        yield Client(submit, submit_many)
    finally:
        await asyncio.to_thread(client.destroy)
        engine.dispose()


@asynccontextmanager
async def _worker(url: str, run: Task, concurrency: int | None) -> AsyncIterator[None]:
    config: Any = {
        "name": _NAME,
        "system_database_url": url,
        "application_version": "1",
        "executor_id": str(os.getpid()),
        "sys_db_pool_size": _CONNECTIONS,
        "run_migrations": False,
        "enable_otlp": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)

    @DBOS.workflow(name="echo")
    async def echo(payload: Payload) -> Payload:
        return await run(payload)

    await asyncio.to_thread(DBOS.launch)
    try:
        await DBOS.register_queue_async(_NAME, worker_concurrency=concurrency, polling_interval_sec=_POLLING_S)
        await asyncio.sleep(1.5)  # it looks for new queues once a second
        yield
    finally:
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)


PEER = Peer(
    install=_install,
    client=_client,
    worker=_worker,
    unfinished="SELECT EXISTS (SELECT FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING'))",
    finished="SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'",
    lives_1=1_500,
    lives_4=1_500,
    unlimited=True,
)
