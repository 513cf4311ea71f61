"""Outcomes as a person, or a script, reads them."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any

from parking_lot_core import OutcomeStatus
from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.cli.output import note, print_json
from parking_lot_drivers.cli.words import span
from parking_lot_drivers.codec import encode
from parking_lot_drivers.config.problems import printable
from parking_lot_drivers.handle import TaskResult


def as_json_value(value: object) -> Any:
    """A result as plain JSON: bytes are ``{"$bytes": "<base64>"}``, as in a store."""
    return json.loads(encode(value, name="result"))


def outcome_as_json(result: TaskResult) -> dict[str, Any]:
    """One outcome."""
    told: dict[str, Any] = {"id": result.task_id, "status": result.status.value}
    if result.succeeded:
        told["result"] = as_json_value(result.value)
    else:
        told["error"] = result.error
    return told | {
        "submitted_at": result.submitted_at,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "cursor": result.cursor,
    }


def print_outcome(task_id: str, result: TaskResult | None, *, as_json: bool) -> ExitCode:
    """Print the result of one task, or say on standard error why there is none. Returns the exit code."""
    if result is None:
        code = ExitCode.NOT_YET
        if as_json:
            print_json({"id": task_id, "status": None, "exit_code": code})
        else:
            note(f"task {task_id} has no outcome yet")
        return code
    code = ExitCode.OK if result.succeeded else ExitCode.TASKS_FAILED
    if as_json:
        print_json(outcome_as_json(result) | {"exit_code": code})
    elif result.succeeded:
        print(json.dumps(as_json_value(result.value), indent=2, ensure_ascii=False))
    else:
        print(f"error: {ended_words(task_id, result.status, result.error)}", file=sys.stderr)
    return code


def ended_words(task_id: str, status: OutcomeStatus, error: str | None) -> str:
    """How a task ended, in a line."""
    was = "was " if status in (OutcomeStatus.CANCELLED, OutcomeStatus.REJECTED, OutcomeStatus.LOST) else ""
    return f"task {task_id} {was}{status.value.replace('_', ' ')}" + (f": {error}" if error else "")


def print_outcomes(results: Sequence[TaskResult]) -> None:
    """Two lines for each, the second cut to the width of a terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    margin = " " * (len(str(results[-1].cursor)) + 2)
    now = time.time()
    for result in results:
        ran = "" if result.started_at is None else f"ran {span(result.finished_at - result.started_at)}, "
        status = result.status.value.replace("_", " ")
        cursor = str(result.cursor).rjust(len(margin) - 2)
        print(f"{cursor}  {printable(result.task_id)}  {status}  {ran}{span(now - result.finished_at)} ago")
        said = encode(result.value).decode() if result.succeeded else result.error
        if said:
            print(_cut(margin + printable(said), width))


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 1] + "…"
