"""How commands speak: results on standard output, errors as plain lines on standard error, or all of it as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from parking_lot_drivers.errors import ConfigError, ParkingLotError


def print_json(value: object) -> None:
    """One JSON value on standard output."""
    print(json.dumps(value, indent=2))


def note(text: str) -> None:
    """Tell a person something on standard error that is no error."""
    print(f"note: {text}", file=sys.stderr)


def print_error(error: ParkingLotError, *, as_json: bool, exit_code: int) -> None:
    """Say what went wrong: a line for each problem or, with ``as_json``, one object on standard output."""
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    if as_json:
        print_json(error_object(type(error).__name__, problems, exit_code))
        return
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    for note in getattr(error, "__notes__", ()):
        print(f"({note})", file=sys.stderr)


def error_object(kind: str, problems: tuple[str, ...], exit_code: int) -> dict[str, Any]:
    """What a script reads when a command fails."""
    return {"error": {"type": kind, "problems": list(problems)}, "exit_code": int(exit_code)}
