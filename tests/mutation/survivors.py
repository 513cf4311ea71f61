"""The list of mutants that change nothing that anybody could notice: ``survivors.toml``."""

from __future__ import annotations

import tomllib
from pathlib import Path

import attrs

from tests.mutation.mutants import Key, Mutant, modules

PATH = Path(__file__).with_name("survivors.toml")


@attrs.frozen
class Listed:
    """One entry: a mutant, and why it changes nothing."""

    key: Key
    reason: str


def listed(path: Path = PATH) -> list[Listed]:
    """All entries. Raises ``ValueError`` where one is incomplete or comes twice."""
    entries = []
    for group in tomllib.loads(path.read_text(encoding="utf-8")).get("because", []):
        for fields in group["mutants"]:
            entries.append(Listed(Key(**fields), group["reason"]))
    keys = [entry.key for entry in entries]
    for entry in entries:
        if not entry.reason.strip():
            raise ValueError(f"{path.name}: expected a reason for {entry.key}")
        if keys.count(entry.key) > 1:
            raise ValueError(f"{path.name}: {entry.key} is listed twice")
    return entries


def in_the_code(entries: list[Listed]) -> list[Mutant]:
    """The mutants that the entries mean, as the code stands now."""
    wanted = {entry.key for entry in entries}
    places = {(key.module, key.scope, key.before) for key in wanted}
    found = {}
    for module in modules(sorted({key.module for key in wanted})):
        for site in module.sites():
            line = " ".join(module.lines[site.line - 1].split())
            near = any(name == module.name and scope == site.scope and line in before for name, scope, before in places)
            mutant = site.mutant() if near else None
            if mutant is not None and mutant.key in wanted:
                found[mutant.key] = mutant
    return list(found.values())
