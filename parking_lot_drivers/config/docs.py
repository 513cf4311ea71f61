"""What the docstrings of settings classes say about each field. A schema repeats it, so that nobody writes it twice."""

from __future__ import annotations

import inspect
import re

_FIELD = re.compile(r"    (\w+): (.*)")


def summary(cls: type) -> str:
    """First paragraph of the docstring, on one line; empty where docstrings were optimised away."""
    return _plain(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0])


def descriptions(cls: type) -> dict[str, str]:
    """Text by field name, from the ``Attributes:`` sections of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        _, _, section = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes:\n")
        name = ""
        for line in section.splitlines():
            if not line.startswith("    "):
                break
            if match := _FIELD.fullmatch(line):
                name = match[1]
                found[name] = _plain(match[2])
            elif name:
                found[name] += " " + _plain(line.strip())
    return found


def _plain(text: str) -> str:
    """The same text for readers of JSON: null instead of None, and no markup."""
    return " ".join(text.replace("``None``", "null").replace("``", "").split())
