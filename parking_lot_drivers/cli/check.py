"""``parking-lot check``: whether a configuration would run here, and what it says."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parking_lot_drivers.cli.output import print_json
from parking_lot_drivers.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from parking_lot_drivers.config import Settings


def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration file: .json, .yaml or .yml.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Check a configuration and show its pools.

    All of it is read, and each executor is started and stopped, so that its target is imported or its command looked
    for. No queue or mailbox is opened, and no task runs.
    """
    from parking_lot_drivers.cli.pools import pools_as_json, pools_as_table
    from parking_lot_drivers.config import load_settings
    from parking_lot_drivers.config.files import noted

    settings = load_settings(config)
    with contextlib.redirect_stdout(sys.stderr):  # a target may print when it is imported
        problems = [problem for name in settings.pools for problem in _problems(settings, name)]
    if problems:
        with noted(config):
            raise ConfigError(*problems)
    if as_json:
        print_json({"config": str(config), "pools": pools_as_json(settings)})
    else:
        pools_as_table(settings, title=str(config))


def _problems(settings: Settings, name: str) -> list[str]:
    """What keeps this pool from running here, over all of its parts."""
    from parking_lot_drivers.build import build_mailbox, build_queue, try_executor

    parts: list[Callable[[Settings, str], object]] = [build_queue, build_mailbox]
    if settings.pools[name].executor is not None:
        parts.append(try_executor)
    problems: list[str] = []
    for part in parts:
        try:
            part(settings, name)
        except ConfigError as error:
            problems += error.problems
        except MissingExtra as error:
            problems.append(f"pools.{name}: {error}")
    return list(dict.fromkeys(problems))
