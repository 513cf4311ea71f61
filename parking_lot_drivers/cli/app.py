"""The commands, and the one place that turns whatever they raise into a message and an exit code."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from typing import Annotated

import typer

from parking_lot_drivers.cli.exit_codes import MEANINGS, ExitCode, exit_code_of
from parking_lot_drivers.cli.output import error_object, print_error, print_json
from parking_lot_drivers.errors import ParkingLotError

DISTRIBUTION = "prometheus-parking-lot"

#: Each command is the function of that name in the module of that name. Only those that are asked for are imported.
COMMANDS = {
    "check": "Check a configuration and show its pools.",
    "schema": "Print the JSON Schema of configurations.",
    "batch": "Run a list of jobs, and write one result for each.",
    "work": "Run what others submit to a lot.",
    "submit": "Put a task into a lot.",
    "status": "Show where a task stands, or a whole lot.",
    "fetch": "Show how tasks ended.",
    "cancel": "Ask for a task to be stopped.",
    "top": "Watch a lot.",
    "migrate": "Make or upgrade tables in Postgres.",
    "prune": "Delete what ended long ago.",
    "audit": "Show what happened to tasks.",
    "replay": "Replay a trace of arrivals in virtual time.",
}

_EXIT_CODES = "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())


def run(arguments: list[str]) -> int:
    """Run the command that ``arguments`` name. Returns its exit code; nothing that is foreseen raises."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows no ≥ still gets its message
    as_json = "--json" in arguments
    try:
        code = _app(arguments)(args=arguments, prog_name="parking-lot", standalone_mode=False)
        if code == ExitCode.INTERRUPTED and not isinstance(code, ExitCode):  # typer has caught the KeyboardInterrupt
            raise KeyboardInterrupt
        sys.stdout.flush()
        return int(code or ExitCode.OK)
    except typer.TyperException as error:
        _print_usage_error(error, as_json=as_json)
        return ExitCode.BAD_USAGE
    except ParkingLotError as error:
        code = exit_code_of(error)
        print_error(error, as_json=as_json, exit_code=code)
        return code
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except (BrokenPipeError, SystemExit) as end:  # typer and rich make the one of the other
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK  # whoever reads our output, such as head, has read enough
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.BAD_USAGE
    except Exception:
        traceback.print_exc()
        print("error: this is a bug in parking-lot; please report it with the lines above", file=sys.stderr)
        return ExitCode.BUG


def _app(arguments: list[str]) -> typer.Typer:
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help appears in half the time
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=f"\b\nExit codes:\n{_EXIT_CODES}",
    )
    app.callback()(_parking_lot)
    for name, summary in COMMANDS.items():
        if name in arguments:
            function = getattr(importlib.import_module(f"parking_lot_drivers.cli.{name}"), name)
        else:
            function = _not_asked_for
        app.command(name, short_help=summary)(function)
    return app


def _not_asked_for() -> None:
    """Stands in for a command in the list of commands."""


def _version(asked: bool) -> None:
    if not asked:
        return
    import importlib.metadata

    try:
        typer.echo(f"parking-lot {importlib.metadata.version(DISTRIBUTION)}")
    except importlib.metadata.PackageNotFoundError:
        typer.echo("parking-lot, run from its sources")
    raise typer.Exit


def _parking_lot(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Run tasks under a budget of resource units, and park what does not fit."""


def _print_usage_error(error: typer.TyperException, *, as_json: bool) -> None:
    if as_json:
        print_json(error_object("UsageError", (error.format_message(),), ExitCode.BAD_USAGE))
        return
    print(f"error: {error.format_message()}", file=sys.stderr)
    context = getattr(error, "ctx", None)
    if context is not None:
        print(f"{context.get_usage()}\nFor help: {context.command_path} --help", file=sys.stderr)
