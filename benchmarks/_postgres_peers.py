"""Other queues on Postgres, on one server and on the same terms: each commit flushed, 300-byte payloads.

``python -m benchmarks._postgres_peers [NAME ...]`` prints the figures of some of them, or of all. Each measure has an
empty database. A *life* is submitted, started and ended; the workers are processes of their own, with up to 64 tasks at
once. ``lives_unlimited`` is the same without that limit, where a library can do that: it is faster for some.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, cast

import psycopg

from benchmarks._peers import PAYLOAD
from benchmarks._postgres_peer import CONCURRENCY, SUBMITTERS, Client, Payload, Peer, Task
from benchmarks._postgres_server import fresh_database, server

PEERS = ("procrastinate", "pgqueuer", "dbos")
_MODULES = {"ours": "ours:POSTGRES", "ours_pgmq": "ours:PGMQ"}
_SECONDS = 1.0  # of submitting alone, together and in batches
_BATCH = 500
_PICKUPS = 200
_PAUSE_S = 0.01
_WARM_UP = 10
_LIMIT_S = 60.0
_ROOT = Path(__file__).parents[1]


def peer_rates(url: str) -> dict[str, float]:
    """Rates and delays of every peer, under its name: ``procrastinate_submits_per_s_1`` and so on."""
    return {f"{name}_{key}": figure for name in PEERS for key, figure in rates_of(name, url).items()}


def rates_of(name: str, url: str) -> dict[str, float]:
    """Rates and delays of one peer, on the server of this URL."""
    peer = _peer(name)
    found: dict[str, float] = peer.run(_submits(peer, _fresh(peer, url)))
    for concurrency, key in ((CONCURRENCY, "lives_per_s"), (None, "lives_unlimited_per_s")):
        if concurrency is not None or peer.unlimited:
            for workers, count in ((1, peer.lives_1), (4, peer.lives_4)):
                own = _fresh(peer, url)
                with _workers(name, own, workers, concurrency):
                    found[f"{key}_{workers}"] = peer.run(_lives(peer, own, count))
    own = _fresh(peer, url)
    with _workers(name, own, 1, CONCURRENCY) as latencies:
        peer.run(_elsewhere(peer, own))
    found |= _cuts("pickup", latencies)
    return found | _cuts("pickup_same_process", peer.run(_here(peer, _fresh(peer, url))))


def lives_of(
    name: str,
    url: str,
    *,
    prepare: Callable[[str], None] | None = None,
    beside: Callable[[str], AbstractContextManager[None]] = nullcontext,
) -> float:
    """Lives per second with one worker, in a database that was prepared, while something goes on beside."""
    peer = _peer(name)
    own = _fresh(peer, url)
    if prepare is not None:
        prepare(own)
    with _workers(name, own, 1, CONCURRENCY), beside(own):
        return float(peer.run(_lives(peer, own, peer.lives_1)))


def _peer(name: str) -> Peer:
    module, _, attribute = _MODULES.get(name, f"{name}:PEER").partition(":")
    return cast(Peer, getattr(importlib.import_module(f"benchmarks._postgres_{module}"), attribute))


def _fresh(peer: Peer, url: str) -> str:
    own = fresh_database(url)
    peer.run(peer.install(own))
    return own


def _cuts(key: str, latencies: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(latencies, n=100)
    return {f"{key}_p50_ms": cuts[49] * 1e3, f"{key}_p99_ms": cuts[98] * 1e3}


async def _submits(peer: Peer, url: str) -> dict[str, float]:
    """Submissions per second, with no worker: one after another, 64 at once, in batches."""
    async with peer.client(url) as client:
        many = client.submit_many
        await client.submit(PAYLOAD)
        found = {
            "submits_per_s_1": await _spread(1, lambda: client.submit(PAYLOAD)),
            f"submits_per_s_{SUBMITTERS}": await _spread(SUBMITTERS, lambda: client.submit(PAYLOAD)),
        }
        if many is not None:
            found["submit_many_per_s"] = _BATCH * await _spread(1, lambda: many([PAYLOAD] * _BATCH))
        return found


async def _spread(submitters: int, one: Callable[[], Awaitable[object]]) -> float:
    """Calls per second, by so many tasks at once."""
    start = time.perf_counter()
    done = 0

    async def share() -> None:
        nonlocal done
        while time.perf_counter() - start < _SECONDS:
            await one()
            done += 1

    await asyncio.gather(*(share() for _ in range(submitters)))
    return done / (time.perf_counter() - start)


async def _lives(peer: Peer, url: str, count: int) -> float:
    """Tasks per second from the first submission until the last has ended, with workers that wait already."""
    with psycopg.connect(url, autocommit=True) as watch:
        async with peer.client(url) as client:
            await _warm_up(client)
            await _until_idle(peer, watch)
            before = _ask(watch, peer.finished)
            start = time.perf_counter()
            await _submit_all(client, count)
            await _until_idle(peer, watch)
            seconds = time.perf_counter() - start
        if (ended := _ask(watch, peer.finished) - before) != count:
            raise RuntimeError(f"{ended} of {count} tasks have ended well")
    return count / seconds


async def _submit_all(client: Client, count: int) -> None:
    if client.submit_many is not None:
        for first in range(0, count, _BATCH):
            await client.submit_many([PAYLOAD] * min(_BATCH, count - first))
        return
    left = iter(range(count))

    async def share() -> None:
        for _ in left:
            await client.submit(PAYLOAD)

    await asyncio.gather(*(share() for _ in range(SUBMITTERS)))


async def _until_idle(peer: Peer, watch: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while _ask(watch, peer.unfinished):
        if time.monotonic() > deadline:
            raise TimeoutError("the workers do not end their tasks")
        await asyncio.sleep(0.02)


def _ask(watch: psycopg.Connection[Any], query: str) -> int:
    row = watch.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


async def _warm_up(client: Client) -> None:
    for _ in range(_WARM_UP):
        await client.submit(PAYLOAD)
        await asyncio.sleep(_PAUSE_S)
    await asyncio.sleep(0.5)


async def _pick_up(client: Client) -> None:
    """Tasks that know when they were submitted, one at a time, for a worker with nothing else to do."""
    await _warm_up(client)
    for _ in range(_PICKUPS):
        await client.submit({**PAYLOAD, "at": time.time()})
        await asyncio.sleep(_PAUSE_S)


async def _elsewhere(peer: Peer, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as watch:
        async with peer.client(url) as client:
            await _pick_up(client)
            await _until_idle(peer, watch)


async def _here(peer: Peer, url: str) -> list[float]:
    latencies: list[float] = []
    with psycopg.connect(url, autocommit=True) as watch:
        async with peer.worker(url, _echo(latencies), CONCURRENCY), peer.client(url) as client:
            await _pick_up(client)
            await _until_idle(peer, watch)
    return latencies


def _echo(latencies: list[float]) -> Task:
    async def echo(payload: Payload) -> Payload:
        now = time.time()
        if "at" in payload:
            latencies.append(now - payload["at"])
        return payload

    return echo


@contextmanager
def _workers(name: str, url: str, count: int, concurrency: int | None) -> Iterator[list[float]]:
    """So many worker processes, up and listening. The list has what they measured, once they have ended."""
    latencies: list[float] = []
    command = [sys.executable, "-m", "benchmarks._postgres_peers", "--worker", name, url, str(concurrency or 0)]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
            )
            for _ in range(count)
        ]
        try:
            for process in processes:
                if cast(IO[str], process.stdout).readline() != "ready\n":
                    raise RuntimeError(f"a worker of {name} did not start")
            yield latencies
            for process in processes:
                latencies += json.loads(process.communicate("", timeout=_LIMIT_S)[0])
        finally:
            for process in processes:
                process.kill()


async def _work(peer: Peer, url: str, concurrency: int | None) -> list[float]:
    """A worker process: works until its standard input ends."""
    latencies: list[float] = []
    async with peer.worker(url, _echo(latencies), concurrency):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    return latencies


def main(arguments: list[str]) -> None:
    """Be a worker, or measure the peers that are named."""
    if arguments[:1] == ["--worker"]:
        peer = _peer(arguments[1])
        print(json.dumps(peer.run(_work(peer, arguments[2], int(arguments[3]) or None))), flush=True)
        return
    with server() as url:
        for name in arguments or PEERS:
            start = time.monotonic()
            for key, figure in rates_of(name, url).items():
                print(f"{name}_{key}  {figure:,.1f}", flush=True)
            print(f"({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
