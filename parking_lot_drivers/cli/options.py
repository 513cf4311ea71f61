"""Arguments and options that several commands have, and how their texts are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from parking_lot_drivers.build import section_of
from parking_lot_drivers.config import Settings, load_settings
from parking_lot_drivers.config.quantities import seconds
from parking_lot_drivers.errors import ConfigError

FOREVER = "forever"


def duration(text: str) -> float:
    """Seconds, from ``30``, ``1.5``, ``90s``, ``15m`` or ``2h``."""
    try:
        read: float | None = float(text)
    except ValueError:
        read = seconds(text)
    if read is None or not 0 <= read < math.inf:
        raise typer.BadParameter(f"expected seconds ≥ 0, or text such as 90s, 15m, 2h; got {text!r}")
    return read


def patience(text: str) -> float:
    """How long to wait: like ``duration``, or ``forever``."""
    return math.inf if text == FOREVER else duration(text)


Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="Configuration file: .json, .yaml or .yml.")]
PoolName = Annotated[
    str | None, typer.Option("--pool", metavar="NAME", help="Name of the pool; not needed if there is only one.")
]
OnlyPool = Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Only this pool; by default all of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Grace = Annotated[
    float,
    typer.Option(
        parser=duration,
        metavar="SECONDS",
        help="How long running tasks may go on after Ctrl-C; then they are handed back.",
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(parser=patience, metavar="SECONDS", help=f"Wait for the outcome: 30, 5m, or {FOREVER}."),
]


def chosen_pool(config: Path, name: str | None) -> tuple[Settings, str]:
    """The settings, and the name of the pool that is meant. Raises ``ConfigError``."""
    settings = load_settings(config)
    if name is None:
        if len(settings.pools) > 1:
            raise ConfigError(f"{config} has several pools: choose one with --pool: {', '.join(settings.pools)}")
        name = next(iter(settings.pools))
    section_of(settings, name)
    return settings, name


def chosen_pools(config: Path, name: str | None) -> tuple[Settings, list[str]]:
    """The settings, and the names of the pools that are meant: all, unless one is named. Raises ``ConfigError``."""
    settings = load_settings(config)
    if name is None:
        return settings, list(settings.pools)
    section_of(settings, name)
    return settings, [name]
