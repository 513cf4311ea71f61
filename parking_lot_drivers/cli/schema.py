"""``parking-lot schema``: the JSON Schema of configuration files, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it to this file.", show_default="standard output")
    ] = None,
) -> None:
    """Print the JSON Schema of configurations, for editors that check while you type.

    A JSON file names it with the key "$schema" at its top; a YAML file with a first line such as
    "# yaml-language-server: $schema=lot.schema.json".
    """
    from parking_lot_drivers.config import schema as drawn

    text = json.dumps(drawn(), indent=2)
    if output is None:
        typer.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
