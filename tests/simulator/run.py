"""Runs: one seed, one run; many seeds, a summary."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import trio

from tests.simulator.plan import Plan, draw
from tests.simulator.virtual import OnAsyncio, OnTrio, Stuck, uncollected
from tests.simulator.world import World

# A world takes some tenths of a second.
_PATIENCE_S = 30.0

BACKENDS = {"asyncio": OnAsyncio, "trio": OnTrio}


@attrs.frozen(kw_only=True)
class Run:
    """What came of one world.

    Attributes:
        seed, backend, store, hosts: which world it was.
        violations: ``(invariant, what happened)``.
        seconds: how long it lasted, in virtual seconds.
        faults: how many of each kind were injected.
        trace: what happened, a line each.
        gaps: how many gaps the first host came to while there were faults.
        given: options of the command line that were not drawn from the seed.
    """

    seed: int
    backend: str
    store: str
    hosts: int
    violations: list[tuple[str, str]]
    seconds: float
    faults: Counter[str]
    trace: list[str]
    gaps: int
    given: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the trace."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    @property
    def again(self) -> str:
        """The command that shows it once more."""
        return f"python -m tests.simulator --seed {self.seed} --backend {self.backend} {self.given}--trace"

    def text(self) -> str:
        """The trace, for people: tasks by their keys."""
        text = "\n".join(self.trace)
        for spec in draw(self.seed).specs:
            text = text.replace(spec.task_id, spec.key)
        return text


@attrs.define(kw_only=True)
class Summary:
    """What came of many worlds.

    Attributes:
        seeds_run: how many worlds were run.
        simulated_s: how long they lasted together, in virtual seconds.
        real_s: how long that took.
        faults_injected: how many of each kind.
        failures: runs with violations.
    """

    seeds_run: int = 0
    simulated_s: float = 0.0
    real_s: float = 0.0
    faults_injected: Counter[str] = attrs.field(factory=Counter)
    failures: list[Run] = attrs.field(factory=list)

    @property
    def simulated_hours_per_minute(self) -> float:
        """Virtual hours in a real minute."""
        return (self.simulated_s / 3600) / (self.real_s / 60) if self.real_s else 0.0

    @property
    def violations(self) -> int:
        """In all runs."""
        return sum(len(run.violations) for run in self.failures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seeds_run": self.seeds_run,
            "simulated_s": round(self.simulated_s, 3),
            "real_s": round(self.real_s, 3),
            "simulated_hours_per_minute": round(self.simulated_hours_per_minute, 3),
            "faults_injected": dict(sorted(self.faults_injected.items())),
            "violations": self.violations,
            "failures": [
                {"seed": run.seed, "backend": run.backend, "again": run.again, "violations": run.violations}
                for run in self.failures
            ],
        }


def _folder() -> str | None:
    """Where files cost least: nothing here has to outlive a power cut."""
    memory = "/dev/shm"
    return memory if os.access(memory, os.W_OK) else None


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Interrupt a task that never gives way to others: it holds up virtual time."""

    def interrupt(*_: object) -> None:
        raise Stuck(f"after {_PATIENCE_S:g} s of computing, somebody still does not give way")

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, _PATIENCE_S, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def play(plan: Plan, backend: str = "asyncio", given: str = "") -> Run:
    """Run one world. Raises what broke the simulator itself, and ``ValueError`` for an unknown backend."""
    if backend not in BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    logger = logging.getLogger("parking_lot")
    silent, logger.disabled = logger.disabled, True
    try:
        with uncollected():
            return _play(plan, backend, given)
    finally:
        logger.disabled = silent


def _play(plan: Plan, backend: str, given: str) -> Run:
    with tempfile.TemporaryDirectory(prefix="parking-lot-", dir=_folder()) as folder:
        loop = BACKENDS[backend](plan.seed)
        world = World(plan, loop, Path(folder))
        try:
            with _patience():
                loop.run(world.run)
        except (Stuck, trio.TrioInternalError) as error:
            stuck = error if isinstance(error, Stuck) else error.__cause__
            if not isinstance(stuck, Stuck):
                raise
            world.observer.violation("liveness", f"{stuck}, at {world.now():.5f} s")
        finally:
            world.over = True
            world.close()
    if world.errors:
        raise world.errors[0]
    return Run(
        seed=plan.seed,
        backend=backend,
        store=plan.kind,
        hosts=plan.hosts,
        violations=world.observer.violations,
        seconds=world.now(),
        faults=world.faults,
        trace=world.trace,
        gaps=world.gaps,
        given=given,
    )


def simulate(
    seed: int,
    *,
    backend: str = "asyncio",
    store: str | None = None,
    hosts: int | None = None,
    seconds: float | None = None,
) -> Run:
    """Run the world of a seed; what is given is not drawn from it.

    ``store``: a kind of ``stores.KINDS``. ``hosts``: of stores that hosts share. ``seconds``: of the part with faults.
    """
    options = {"store": store, "hosts": hosts, "seconds": seconds}
    given = "".join(f"--{name} '{value}' " for name, value in options.items() if value is not None)
    return play(draw(seed, kind=store, hosts=hosts, seconds=seconds), backend, given)


def run_seeds(
    seeds: Iterable[int],
    *,
    backends: Iterable[str] = ("asyncio",),
    store: str | None = None,
    hosts: int | None = None,
    seconds: float | None = None,
    progress: Callable[[Run], None] | None = None,
) -> Summary:
    """Run the worlds of many seeds, each on every backend. ``progress`` hears of each run."""
    summary = Summary()
    begun = time.perf_counter()
    chosen = tuple(backends)
    for seed in seeds:
        for backend in chosen:
            run = simulate(seed, backend=backend, store=store, hosts=hosts, seconds=seconds)
            summary.seeds_run += 1
            summary.simulated_s += run.seconds
            summary.faults_injected += run.faults
            if run.violations:
                summary.failures.append(run)
            if progress is not None:
                progress(run)
    summary.real_s = time.perf_counter() - begun
    return summary
