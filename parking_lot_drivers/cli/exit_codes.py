"""What the exit codes of ``parking-lot`` mean, and which error gives which."""

from __future__ import annotations

from enum import IntEnum

from parking_lot_drivers.errors import StoreError, TaskError


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    TASKS_FAILED = 1
    BAD_USAGE = 2
    STORE_PROBLEM = 3
    NOT_YET = 4
    BUG = 70
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "all went well",
    ExitCode.TASKS_FAILED: "some tasks did not succeed, or lines of a job list are invalid",
    ExitCode.BAD_USAGE: "bad usage, configuration, input or output",
    ExitCode.STORE_PROBLEM: "queue or mailbox cannot be used",
    ExitCode.NOT_YET: "a task has no outcome yet",
    ExitCode.BUG: "a bug in parking-lot",
    ExitCode.INTERRUPTED: "interrupted",
}


def exit_code_of(error: BaseException) -> ExitCode:
    """The code with which a command ends that raised ``error``, one of this library's own."""
    if isinstance(error, StoreError):
        return ExitCode.STORE_PROBLEM
    if isinstance(error, TaskError):
        return ExitCode.TASKS_FAILED
    return ExitCode.BAD_USAGE
