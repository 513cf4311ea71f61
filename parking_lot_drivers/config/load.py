"""From a file, or a mapping, to settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from cattrs.errors import BaseValidationError

from parking_lot_drivers.config.files import noted, read_file
from parking_lot_drivers.config.problems import Fault, lines
from parking_lot_drivers.config.settings import SETTINGS, Settings
from parking_lot_drivers.errors import ConfigError


def load_settings(path: str | os.PathLike[str]) -> Settings:
    """Read a configuration file: JSON (``.json``) or YAML (``.yaml``, ``.yml``), in UTF-8.

    Raises ``ConfigError`` with every fault found, and ``MissingExtra`` for YAML where PyYAML is not installed.
    """
    file = Path(path)
    contents = read_file(file)
    with noted(file):
        return settings_from(contents, base=file.parent)


def settings_from(mapping: object, base: str | os.PathLike[str] = ".") -> Settings:
    """Settings from what a JSON or YAML parser made of a file.

    ``base`` is the directory at which relative paths start. Raises ``ConfigError`` with every fault found.
    """
    try:
        settings: Settings = SETTINGS.structure(mapping)
    except (Fault, BaseValidationError) as faults:
        raise ConfigError(*lines(faults)) from None
    anchored: Settings = _anchored(settings, Path(base).absolute())
    return anchored


def _anchored(section: Any, directory: Path) -> Any:
    """The same settings with every path in them absolute."""
    changes: dict[str, Any] = {}
    for field in attrs.fields(type(section)):
        held = getattr(section, field.name)
        if isinstance(held, Path):
            changes[field.name] = directory / held
        elif attrs.has(type(held)):
            changes[field.name] = _anchored(held, directory)
        elif isinstance(held, Mapping):
            changes[field.name] = {k: _anchored(v, directory) if attrs.has(type(v)) else v for k, v in held.items()}
    return attrs.evolve(section, **changes)
