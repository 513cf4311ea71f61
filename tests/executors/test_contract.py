"""Every executor of this project under the contract that authors of executors run on theirs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import ClassVar

import pytest

from parking_lot_drivers.executors import (
    CommandExecutor,
    CommandFailed,
    CoroutineExecutor,
    ProcessExecutor,
    ThreadExecutor,
)
from parking_lot_drivers.ports import TaskExecutor, failure_text
from parking_lot_drivers.testing import ExecutorContract, behaviours
from parking_lot_drivers.testing.samples import context


class FunctionContract(ExecutorContract):
    """What our own executors of Python functions do beyond the contract: the very words of their errors."""

    @pytest.mark.parametrize(
        ("behaviour", "payload", "text"),
        [
            ("fail", "a.png", "ValueError: no such picture: a.png"),
            ("fail_oddly", "Unprintable", "Unprintable: (its message cannot be printed)"),
            ("fail_oddly", "CancelledError", "CancelledError"),
            ("fail_oddly", "empty", "ValueError"),
            ("fail_oddly", "long", "ValueError: " + "x" * 9988 + " (cut)"),
            ("leave", "now", "SystemExit: bye now"),
        ],
    )
    async def test_what_a_failure_says(self, behaviour: str, payload: str, text: str) -> None:
        async with self.make(behaviour) as executor:
            with pytest.raises(Exception) as caught:  # noqa: PT011 (one of them cannot be matched)
                await executor.execute(payload, context())
        assert failure_text(caught.value) == text


class TestCoroutine(FunctionContract):
    without: ClassVar[Mapping[str, str]] = {
        "interrupt": "Ctrl-C on the event loop is the pool's end",
        "die": "its tasks run in this process",
    }
    at_once = 200

    def executor(self, behaviour: str) -> TaskExecutor:
        return CoroutineExecutor(behaviours.coroutine(behaviour))


class TestThread(FunctionContract):
    without: ClassVar[Mapping[str, str]] = {"die": "its tasks run in this process"}
    at_once = 200

    def executor(self, behaviour: str) -> TaskExecutor:
        return ThreadExecutor(getattr(behaviours, behaviour))


class TestProcess(FunctionContract):
    at_once = 4

    def executor(self, behaviour: str) -> TaskExecutor:
        return ProcessExecutor(f"parking_lot_drivers.testing.behaviours:{behaviour}")


NOTHING_BUT_A_CODE = "a program has an exit code, and nothing else to say of its end"
TICK = 'for n in 0 1 2 3 4 5 6 7 8 9; do for m in $(seq 50); do printf . >> "$1"; sleep 0.02; done; done'


class TestCommand(ExecutorContract):
    without: ClassVar[Mapping[str, str]] = {
        "fail_for_good": NOTHING_BUT_A_CODE,
        "fail_oddly": NOTHING_BUT_A_CODE,
        "leave": NOTHING_BUT_A_CODE,
        "interrupt": NOTHING_BUT_A_CODE,
        "who": "a program does not look into Python's context variables",
    }
    at_once = 4

    def executor(self, behaviour: str) -> TaskExecutor:
        quick = {"echo": ["cat"], "echo_later": ["sleep {seconds}; cat"], "tick": [TICK, "{file}"]}
        if behaviour not in quick:
            return CommandExecutor([sys.executable, "-m", "parking_lot_drivers.testing.behaviours", behaviour])
        script, *words = quick[behaviour]
        return CommandExecutor(["/bin/sh", "-c", script, "sh", *words])

    async def test_what_a_failure_says(self) -> None:
        async with self.make("fail") as executor:
            with pytest.raises(CommandFailed, match=r"(?s)exit code 1.*no such picture: a\.png") as caught:
                await executor.execute("a.png", context())
        assert caught.value.code == 1
