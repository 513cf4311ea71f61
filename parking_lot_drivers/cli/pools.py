"""Pools as a person, or a script, reads them."""

from __future__ import annotations

import math
import shlex
from fractions import Fraction
from pathlib import Path
from typing import Any

import attrs
from rich import box
from rich.console import Console
from rich.table import Table

from parking_lot_core import PoolConfig
from parking_lot_core.config import Seconds
from parking_lot_drivers._databases import Address, mailbox_address, queue_address
from parking_lot_drivers.build import mailbox_file, queue_file
from parking_lot_drivers.config import (
    CommandSettings,
    ExecutorSettings,
    HostBudget,
    PoolSettings,
    Settings,
    SharedBudget,
)
from parking_lot_drivers.config.budgets import SCOPE
from parking_lot_drivers.config.problems import printable
from parking_lot_drivers.config.quantities import SECONDS
from parking_lot_drivers.config.sections import TYPE

_BUDGET = ("max_units", "devices")


def pools_as_table(settings: Settings, title: str) -> None:
    """Print the pools, a few lines each, to fit a terminal of 80 columns."""
    table = Table(title=title, box=box.HORIZONTALS, title_justify="left", title_style="bold", show_header=False)
    table.add_column(style="bold", overflow="fold", max_width=24)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, pool in settings.pools.items():
        shown_name = name
        for aspect, told in _aspects(pool, name).items():
            table.add_row(shown_name, aspect, printable(told))
            shown_name = ""
        table.add_section()
    Console(markup=False, highlight=False, emoji=False).print(table)


def _aspects(pool: PoolSettings, name: str) -> dict[str, str]:
    return {
        "budget": budget(pool),
        "queue": queue(pool, name),
        "mailbox": mailbox(pool, name),
        "executor": executor(pool.executor),
        "policy": policy(pool),
    }


def budget(pool: PoolSettings) -> str:
    """Units of each device, and who shares them."""
    if pool.max_units is not None:
        told = _counted(pool.max_units, pool.unit)
    else:
        told = ", ".join(f"{_counted(units, pool.unit)} on {device}" for device, units in pool.devices.items())
    return f"{told}, shared as {pool.budget.name}" if isinstance(pool.budget, SharedBudget) else told


def _counted(units: int, unit: str | None) -> str:
    return f"{units:,} {unit or ('unit' if units == 1 else 'units')}"


def queue(pool: PoolSettings, name: str) -> str:
    """Where the queue of the pool ``name`` lies."""
    named = getattr(pool.queue, "table", None) or getattr(pool.queue, "queue_name", None)
    return _store(pool.queue.tags[0], queue_file(pool, name), queue_address(pool, name), named)


def mailbox(pool: PoolSettings, name: str) -> str:
    """Where the mailbox of the pool ``name`` lies, and for how long outcomes do."""
    named, ttl = getattr(pool.mailbox, "table", None), getattr(pool.mailbox, "ttl", None)
    told = _store(pool.mailbox.tags[0], mailbox_file(pool, name), mailbox_address(pool, name), named)
    return told if ttl is None else f"{told}, for {duration(ttl)}"


def _store(tag: str, file: Path | None, address: Address | None, named: str | None) -> str:
    """One queue or mailbox. Database URLs are left out: they may hold passwords."""
    if file is not None:
        return f"{tag} {near(file)}"
    if address is None:
        return tag
    return f"{tag} {named}" + ("" if address.url is None else f" in {address.words()}")


def executor(settings: ExecutorSettings | None) -> str:
    """What runs the tasks."""
    if settings is None:
        return "none: the application gives one"
    what = shlex.join(settings.argv) if isinstance(settings, CommandSettings) else settings.target
    return f"{settings.tags[0]} {what}"


def policy(pool: PoolSettings) -> str:
    """Whatever differs from the defaults."""
    told = []
    for field in attrs.fields(PoolConfig):
        held = getattr(pool, field.name)
        if field.name in _BUDGET or held in (field.default, {}):
            continue
        if isinstance(field.validator, Seconds):
            held = duration(held)
        elif field.name == "tenants":
            held = ", ".join(f"{tenant or '(none)'} {weight:g}" for tenant, weight in held.items())
        told.append(f"{field.name} {held}")
    return "; ".join(told) or "defaults"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that needs no fraction."""
    if seconds == math.inf:
        return "infinity"
    exact = Fraction(str(seconds))
    for unit, factor in sorted(SECONDS.items(), key=lambda item: -item[1]):
        if exact and exact % factor == 0:
            return f"{exact / factor}{unit}"
    return f"{seconds:g}s"


def near(path: Path) -> str:
    """The path from here, if it lies below here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def pools_as_json(settings: Settings) -> dict[str, Any]:
    """The pools as a configuration would give them in full, except that database addresses are left out."""
    return {name: _section(pool) for name, pool in settings.pools.items()}


def _section(settings: Any) -> dict[str, Any]:
    key = SCOPE if isinstance(settings, HostBudget | SharedBudget) else TYPE
    section = {key: settings.tags[0]} if hasattr(settings, "tags") else {}
    for field in attrs.fields(type(settings)):
        held = getattr(settings, field.name)
        if held is None or held == {} or not field.repr:
            continue
        if attrs.has(type(held)):
            held = _section(held)
        elif isinstance(held, Path):
            held = str(held)
        elif held == math.inf:
            held = "infinity"
        section[field.name] = held
    return section
