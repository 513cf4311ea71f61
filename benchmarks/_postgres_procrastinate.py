"""procrastinate: LISTEN/NOTIFY, one query for each job that is fetched and one for each that ends.

Finished jobs stay in its table, as they do by default; what a task returns is only logged, not stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from procrastinate import App, PsycopgConnector

from benchmarks._postgres_peer import SETTLE_S, Client, Payload, Peer, Task

_NAME = "bench.echo"
_CLIENT_CONNECTIONS = 20  # 64 submitters get on faster than with 4, no faster with more
_WORKER_CONNECTIONS = 4  # the default, and no slower than more


def _app(url: str, connections: int = _WORKER_CONNECTIONS) -> App:
    return App(connector=PsycopgConnector(conninfo=url, min_size=connections, max_size=connections))


async def _install(url: str) -> None:
    async with _app(url).open_async() as app:
        await app.schema_manager.apply_schema_async()


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Client]:
    async with _app(url, _CLIENT_CONNECTIONS).open_async() as app:

        async def submit(payload: Payload) -> object:
            return await app.configure_task(_NAME).defer_async(payload=payload)

        async def submit_many(payloads: Sequence[Payload]) -> object:
            return await app.configure_task(_NAME).batch_defer_async(*({"payload": each} for each in payloads))

        yield Client(submit, submit_many)


@asynccontextmanager
async def _worker(url: str, run: Task, concurrency: int | None) -> AsyncIterator[None]:
    async with _app(url).open_async() as app:

        @app.task(name=_NAME)
        async def echo(payload: Payload) -> Payload:
            return await run(payload)

        worker = asyncio.create_task(
            app.run_worker_async(concurrency=concurrency or 1, install_signal_handlers=False)  # 1 is its default
        )
        try:
            await asyncio.sleep(SETTLE_S)
            yield
        finally:
            worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await worker


PEER = Peer(
    install=_install,
    client=_client,
    worker=_worker,
    unfinished="SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))",
    finished="SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'",
    lives_1=1_500,
    lives_4=2_000,
    unlimited=False,
)
