"""The JSON Schema of configuration files, drawn from the settings classes."""

from __future__ import annotations

from typing import Any

from parking_lot_drivers.config.settings import SETTINGS


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a configuration file, as a value that ``json.dumps`` takes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "parking-lot configuration",
    } | SETTINGS.schema()
