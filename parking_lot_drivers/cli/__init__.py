"""The command line: ``parking-lot``, or ``python -m parking_lot_drivers``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from parking_lot_drivers.cli.exit_codes import ExitCode
from parking_lot_drivers.errors import MissingExtra


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. ``arguments`` are those of the process unless given."""
    try:
        from parking_lot_drivers.cli.app import run
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        print(f"error: {MissingExtra('the command line', 'typer', 'cli')}", file=sys.stderr)
        return ExitCode.BAD_USAGE
    if os.getcwd() not in sys.path:  # noqa: PTH109 - an entry of sys.path is text
        sys.path.append(os.getcwd())  # noqa: PTH109 - so that targets here are found, as with python -m
    return run(sys.argv[1:] if arguments is None else list(arguments))
