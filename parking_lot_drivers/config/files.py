"""Reading a configuration file: bytes to text to plain values. Every fault is told with its place in the file."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from parking_lot_drivers.config.problems import Fault, at_key
from parking_lot_drivers.errors import ConfigError, MissingExtra

SUFFIXES = (".json", ".yaml", ".yml")

_NO_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|(-?Infinity|NaN)')


class Unreadable(Fault):
    """Text that is not of its format."""


class Object(dict[str, Any]):
    """A mapping of a file, which remembers the keys that the file gives more than once."""

    repeated: tuple[str, ...] = ()

    @classmethod
    def of_pairs(cls, pairs: Sequence[tuple[str, Any]]) -> Object:
        """The mapping that a JSON parser found."""
        made = cls(pairs)
        made.repeated = twice(key for key, _ in pairs)
        return made


def twice(keys: Iterable[str]) -> tuple[str, ...]:
    """The keys that come more than once."""
    return tuple(key for key, times in Counter(keys).items() if times > 1)


def read_file(file: Path) -> object:
    """The file's contents as plain values. Raises ``ConfigError`` or ``MissingExtra``."""
    try:
        contents = _parse(_text(file), file.suffix.lower())
    except Unreadable as fault:
        raise ConfigError(f"{file}: {fault}") from None
    if repeats := [f"{path}: given more than once; keep one" for path in _repeats(contents, "", set())]:
        with noted(file):
            raise ConfigError(*repeats)
    return contents


@contextlib.contextmanager
def noted(file: Path) -> Iterator[None]:
    """Note on a ``ConfigError`` whose problems do not name the file that they are in that file."""
    try:
        yield
    except ConfigError as error:
        error.add_note(f"in {file}")
        raise


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise Unreadable("no such file") from None
    except IsADirectoryError:
        raise Unreadable("is a directory; name the configuration file in it") from None
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    if file.suffix.lower() not in SUFFIXES:
        raise Unreadable(f"expected a file name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = place(raw[: error.start].decode("utf-8", "replace"))
        raise Unreadable(f"{where}: expected UTF-8, got the byte 0x{raw[error.start]:02x}; save it as UTF-8") from None
    if not text.strip():
        raise Unreadable('the file is empty; it needs at least {"pools": {...}}')
    return text


def _parse(text: str, suffix: str) -> object:
    try:
        return _json(text) if suffix == ".json" else _yaml(text)
    except RecursionError:
        raise Unreadable("objects or lists are nested too deeply") from None


def _json(text: str) -> object:
    def refuse(_: str) -> NoReturn:
        found = next(m for m in _NO_JSON.finditer(text) if m[1])
        word = ' write "infinity" in quotes' if "Inf" in found[1] else ""
        raise Unreadable(f"{place(text[: found.start()])}: {found[1]} is not JSON;{word or ' give a number'}")

    try:
        return json.loads(text, object_pairs_hook=Object.of_pairs, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"line {error.lineno}, column {error.colno}: broken JSON: {error.msg.removesuffix(' starting at')}"
        ) from None
    except Unreadable:
        raise
    except ValueError:  # Python reads no integer past 4,300 digits
        raise Unreadable("broken JSON: an integer has thousands of digits") from None


def _yaml(text: str) -> object:
    try:
        from parking_lot_drivers.config._yaml import parse
    except ModuleNotFoundError:
        raise MissingExtra("a configuration in YAML", "pyyaml", "yaml") from None
    return parse(text)


def place(before: str) -> str:
    """``line 3, column 5``: the place that comes after the text ``before``."""
    return f"line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))}"


def _repeats(contents: object, path: str, seen: set[int]) -> Iterator[str]:
    """Paths of the keys that are given more than once.

    ``seen`` holds the ids of what was looked at: in YAML one object may stand in many places, or in itself.
    """
    if id(contents) in seen:
        return
    seen.add(id(contents))
    if isinstance(contents, Object):
        yield from (at_key(path, key) for key in contents.repeated)
    if isinstance(contents, Mapping):
        for key, value in contents.items():
            yield from _repeats(value, at_key(path, key), seen)
    elif isinstance(contents, list):
        for index, value in enumerate(contents):
            yield from _repeats(value, at_key(path, index), seen)
