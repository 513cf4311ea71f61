"""One worker: takes mutants from its standard input, one JSON object a line, and answers with what became of each.

``python -m tests.mutation.worker``, in a directory that holds ``parking_lot_core`` and ``tests``. A child is forked for
each mutant, from a process that has everything imported but the core.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Any

import cattrs.preconf.json  # noqa: F401 - what children need is imported once, here
import hypothesis.stateful
import hypothesis.strategies  # noqa: F401
import pytest  # noqa: F401

from tests.mutation import killers

MEMORY_MAX = 2 * 1024**3
WALL_SECONDS = 600
PACKAGE = "parking_lot_core"


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Gives one module another text."""

    def __init__(self, name: str, source: str) -> None:
        self.name = f"{PACKAGE}.{name}"
        self.source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self, origin="mutant") if fullname == self.name else None

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, f"mutant of {fullname}", "exec", dont_inherit=True)


def _limit_cpu(seconds: int) -> None:
    """From now on this process may use so many seconds more; then it is killed."""
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds + 1, resource.RLIM_INFINITY))


def _child(mutant: dict[str, Any], answer: int) -> None:
    """What the child does: it meets one killer after the other, and says what killed it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if mutant["source"]:
        sys.meta_path.insert(0, _Changed(mutant["module"], mutant["source"]))
    for seconds, killer in killers.stages(mutant["module"], deep=mutant["deep"]):
        if killer is not None:
            os.write(answer, killer.encode())
            return
        if seconds:
            _limit_cpu(seconds)
    os.write(answer, b"nothing")


def examine(mutant: dict[str, Any]) -> dict[str, Any]:
    """What killed the mutant (``by``; ``None`` if nothing did), and the wall-clock seconds that it took."""
    began = time.monotonic()
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(here)
        try:
            _child(mutant, there)
        except BaseException as error:
            os.write(there, f"error: {error!r}".encode())
        os._exit(0)
    os.close(there)
    said = _read(here)
    if said is None:
        os.kill(child, signal.SIGKILL)
    os.close(here)
    _, status = os.waitpid(child, 0)
    return {"by": _verdict(said, status), "seconds": time.monotonic() - began}


def _read(answer: int) -> str | None:
    """What the child says before it ends; ``None`` if it does not end."""
    said, ends = b"", time.monotonic() + WALL_SECONDS
    while True:
        ready, _, _ = select.select([answer], [], [], max(0.0, ends - time.monotonic()))
        if not ready:
            return None
        part = os.read(answer, 4096)
        if not part:
            return said.decode()
        said += part


def _verdict(said: str | None, status: int) -> str | None:
    if said is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        return "no end"
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return None if said == "nothing" else said


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(examine(json.loads(line))), flush=True)


if __name__ == "__main__":
    if PACKAGE in sys.modules:
        raise RuntimeError(f"{PACKAGE} is imported already: mutants would not be seen")
    main()
