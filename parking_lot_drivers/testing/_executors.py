"""The executor that the contract of executors works on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from parking_lot_drivers.ports import TaskExecutor
from parking_lot_drivers.testing.behaviours import BEHAVIOURS


class WithAnExecutor:
    """Tests of an executor. A subclass writes ``executor``, and may set the rest."""

    pytestmark = pytest.mark.anyio

    #: Behaviours that the tasks of this executor cannot have, each with the reason. What needs them is not tried.
    without: ClassVar[Mapping[str, str]] = {}
    #: How long a task that is told to stop may take to, in seconds.
    stop_within: ClassVar[float] = 5.0
    #: How many tasks the executor runs at one time where many are tried.
    at_once: ClassVar[int] = 10

    def executor(self, behaviour: str) -> TaskExecutor:
        """An executor, not entered, whose tasks behave like the function of this name in ``testing.behaviours``."""
        raise NotImplementedError(
            f"{type(self).__name__}.executor: write it, to return an executor whose tasks behave as "
            f"parking_lot_drivers.testing.behaviours.{behaviour} does"
        )

    def make(self, behaviour: str) -> TaskExecutor:
        """The executor for a test; skips the test where the behaviour cannot be had."""
        unknown = self.without.keys() - BEHAVIOURS.keys()
        if unknown:
            raise pytest.UsageError(
                f"{type(self).__name__}.without: no such behaviour: {', '.join(sorted(unknown))}; "
                f"there are {', '.join(BEHAVIOURS)}"
            )
        if behaviour in self.without:
            pytest.skip(f"not tried: {behaviour}: {self.without[behaviour]}")
        return self.executor(behaviour)


async def wait_until(condition: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Wait for what happens in another thread or process, and fail if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"after {seconds} s, still not so: {what}")
        await anyio.sleep(0.01)


def size(file: Path) -> int:
    """How many bytes were written to the file; none, if it is not there."""
    return file.stat().st_size if file.exists() else 0
