"""Runs: one seed, one run; many seeds, a summary."""

from __future__ import annotations

import hashlib
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from tests.simulator.plan import Plan, draw, short
from tests.simulator.virtual import OnAsyncio, OnTrio
from tests.simulator.world import World

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
        gaps: how many gaps the first host came to.
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

    @property
    def digest(self) -> str:
        """SHA-256 of the trace."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    @property
    def again(self) -> str:
        """How to see it once more."""
        return f"python -m tests.simulator --seed {self.seed} --store '{self.store}' --backend {self.backend} --trace"


def play(plan: Plan, backend: str = "asyncio") -> Run:
    """Run one world. Raises what broke the simulator itself."""
    logger = logging.getLogger("parking_lot")
    silent, logger.disabled = logger.disabled, True
    try:
        with tempfile.TemporaryDirectory(prefix="parking-lot-") as folder:
            loop = BACKENDS[backend](plan.seed)
            world = World(plan, loop, Path(folder))
            try:
                loop.run(world.run)
            finally:
                world.over = True
                world.close()
    finally:
        logger.disabled = silent
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
    )


def simulate(
    seed: int,
    *,
    backend: str = "asyncio",
    store: str | None = None,
    hosts: int | None = None,
    seconds: float | None = None,
) -> Run:
    """Run the world of a seed; what is given is not drawn from it."""
    return play(draw(seed, kind=store, hosts=hosts, seconds=seconds), backend)
