"""Gives mutants to workers, and says which of them survived."""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.mutation.mutants import Mutant, Site, modules, mutants
from tests.mutation.survivors import Listed, listed

ROOT = Path(__file__).parents[2]
# What the killers need, copied, so that a long run is not disturbed by work on the tree.
COPIED = ("parking_lot_core", "tests/core", "tests/vectors", "tests/mutation")
SINGLE = ("pyproject.toml", "tests/__init__.py", "tests/conftest.py")
UNCHANGED = {"module": "", "source": "", "deep": False}


@attrs.frozen
class Verdict:
    """What became of one mutant: ``by`` names what killed it; ``None`` if nothing did."""

    mutant: Mutant
    by: str | None
    seconds: float


@attrs.frozen(kw_only=True)
class Result:
    """What a run found.

    Attributes:
        mutants: how many were examined, the listed ones included.
        killed: how many of them some test noticed.
        survived: those that no test noticed, and that are not on the list.
        listed: how many are on the list of those that change nothing.
        stale: entries of the list that were killed after all, or that no longer are in the code (full runs only).
        verdicts: what became of each.
        seconds: how long it took.
    """

    mutants: int
    killed: int
    survived: tuple[Mutant, ...]
    listed: int
    stale: tuple[Listed, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float

    @property
    def score(self) -> float:
        """Killed / all that are not on the list; 1 where there are none."""
        real = self.killed + len(self.survived)
        return self.killed / real if real else 1.0

    @property
    def raw_score(self) -> float:
        """Killed / all."""
        return self.killed / self.mutants if self.mutants else 1.0


def run(
    *,
    sample: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    names: Iterable[str] = (),
    jobs: int = 1,
    deep: bool = False,
    report: Callable[[Verdict], None] | None = None,
) -> Result:
    """Examine all mutants of the core, or of the modules ``names``; or ``sample`` of them, chosen by ``seed``.

    After ``seconds`` no further mutant is begun. Mutants that are on the list are examined only in a run of all of
    them. ``deep`` goes on with random worlds where the quick tests find nothing. ``report`` hears of each mutant as it
    ends. Raises ``RuntimeError`` if the unchanged core does not pass.
    """
    began = time.monotonic()
    sites = [site for module in modules(names) for site in module.sites()]
    known = {entry.key: entry for entry in listed()}
    chosen: Iterable[Mutant] = mutants(sites)
    if sample is not None:
        chosen = _some(sites, sample, random.Random(seed))
    until = None if seconds is None else began + seconds
    on_list: list[Mutant] = []

    def worth_running() -> Iterator[Mutant]:
        for mutant in chosen:
            if until is not None and time.monotonic() >= until:
                return
            if mutant.key in known:
                on_list.append(mutant)
                if sample is not None:
                    continue
            yield mutant

    verdicts = tuple(_examined(worth_running(), jobs, deep, report))
    survived = tuple(v.mutant for v in verdicts if v.by is None and v.mutant.key not in known)
    killed_though_listed = {v.mutant.key for v in verdicts if v.by is not None and v.mutant.key in known}
    seen = {mutant.key for mutant in on_list}
    mine = [entry for key, entry in known.items() if not names or key.module in names]
    complete = sample is None and until is None
    stale = [entry for entry in mine if entry.key in killed_though_listed or (complete and entry.key not in seen)]
    killed = sum(v.by is not None and v.mutant.key not in known for v in verdicts)
    return Result(
        mutants=killed + len(survived) + len(on_list),
        killed=killed,
        survived=survived,
        listed=len(on_list),
        stale=tuple(stale),
        verdicts=verdicts,
        seconds=time.monotonic() - began,
    )


def _some(sites: list[Site], count: int, rng: random.Random) -> Iterator[Mutant]:
    """``count`` mutants, or all if there are no more, in random order."""
    rng.shuffle(sites)
    for made, mutant in enumerate(mutants(sites)):
        if made == count:
            return
        yield mutant


def _examined(
    chosen: Iterator[Mutant], jobs: int, deep: bool, report: Callable[[Verdict], None] | None
) -> Iterator[Verdict]:
    """Verdicts, as they come. Each worker has a thread that waits for it."""
    done: queue.Queue[Verdict | Exception | None] = queue.Queue()
    turn = threading.Lock()

    def serve(worker: Worker) -> None:
        try:
            while True:
                with turn:
                    mutant = next(chosen, None)
                if mutant is None:
                    break
                answer = worker.ask({"module": mutant.module, "source": mutant.source, "deep": deep})
                done.put(Verdict(mutant, answer["by"], answer["seconds"]))
        except Exception as error:
            done.put(error)
        done.put(None)

    with _workers(jobs) as workers:
        threads = [threading.Thread(target=serve, args=(worker,), daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        for _ in threads:
            while (verdict := done.get()) is not None:
                if isinstance(verdict, Exception):
                    raise verdict
                if report is not None:
                    report(verdict)
                yield verdict


class Worker:
    """A process that examines one mutant after the other (``worker.py``)."""

    def __init__(self, folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"}
        environment.pop("PARKING_LOT_TEST_DEPTH", None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.worker"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, mutant: dict[str, Any]) -> dict[str, Any]:
        """What killed the mutant. Raises ``RuntimeError`` if the tests cannot be run at all."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(mutant) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("a worker died")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def _workers(jobs: int) -> Iterator[list[Worker]]:
    """Workers that have seen that the unchanged core passes."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder, ExitStack() as stack:
        _copy(Path(folder))
        workers = []
        for _ in range(jobs):
            workers.append(Worker(Path(folder)))
            stack.callback(workers[-1].close)
        answer = workers[0].ask(UNCHANGED)
        if answer["by"] is not None:
            raise RuntimeError(f"the unchanged core does not pass: {answer['by']}")
        yield workers


def _copy(folder: Path) -> None:
    for name in COPIED:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in SINGLE:
        shutil.copy(ROOT / name, folder / name)
