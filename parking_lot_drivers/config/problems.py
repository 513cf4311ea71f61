"""How a fault in a configuration is said: where, what was expected, what was given."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from cattrs.errors import AttributeValidationNote, BaseValidationError, IterableValidationNote

_TEXT_MAX = 60
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$-]+")


class _Missing:
    """Stands where a configuration gives nothing, so that what was expected there can be said."""


MISSING = _Missing()


class Fault(ValueError):
    """One fault, at the place that the notes of the groups around it tell."""


class Unfit(Fault):
    """A value that is not what its place asks for."""

    def __init__(self, expected: str, given: object, hint: str = "") -> None:
        super().__init__(f"expected {expected}, got {shown(given)}{hint}")


def unknown_key(key: object, allowed: Iterable[str]) -> Exception:
    """The fault of a key that is none of ``allowed``, placed at that key."""
    known = sorted(allowed)
    advice = suggestion(key, known) or f"; allowed: {', '.join(known)}"
    return placed(Fault(f"unknown key{advice}"), key)


def suggestion(given: object, allowed: Iterable[str]) -> str:
    """``; did you mean …?`` with the nearest of ``allowed``, or nothing if none is near."""
    near = difflib.get_close_matches(str(given), list(allowed), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def placed(error: Exception, key: object) -> Exception:
    """The same error, marked as belonging to ``key`` (a list index or a mapping's key) of what encloses it."""
    place: int | str = key if isinstance(key, int) and not isinstance(key, bool) else str(key)
    error.__notes__ = [*getattr(error, "__notes__", []), IterableValidationNote(f"at {place!r}", place, None)]
    return error


def lines(error: Exception, path: str = "") -> Iterator[str]:
    """Every fault in ``error``, one line each, the path first."""
    if isinstance(error, BaseValidationError):
        for inner in error.exceptions:
            assert isinstance(inner, Exception)
            key = _key(inner)
            yield from lines(inner, path if key is None else at_key(path, key))
    else:
        yield f"{path or 'top level'}: {error}"


def is_placed(error: BaseException) -> bool:
    """Whether the error says to which key of its group it belongs."""
    return _key(error) is not None


def at_key(path: str, key: object) -> str:
    """The path of a list index, or of a mapping's key, of what lies at ``path``."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    step = key if isinstance(key, str) and _PLAIN_KEY.fullmatch(key) else shown(key)
    return f"{path}.{step}" if path else str(step)


def _key(error: BaseException) -> str | int | None:
    """The key that leads from a group to one of its errors."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, IterableValidationNote):
            return note.index
        if isinstance(note, AttributeValidationNote):
            return note.name
    return None


def shown(given: object) -> str:
    """A value as a person wrote it, on one short line, safe to print on a terminal."""
    if given is MISSING:
        return "nothing"
    if given is None or isinstance(given, bool):
        return json.dumps(given)
    if isinstance(given, str):
        return _quoted(given)
    if isinstance(given, int):
        return str(given) if given.bit_length() < 200 else "an integer of more than 60 digits"
    if isinstance(given, float):
        return f"{given:.15g}" if math.isfinite(given) else str(given).replace("inf", "infinity")
    if isinstance(given, Mapping):
        return "an object" if given else "an empty object"
    if isinstance(given, (list, tuple)):
        return "a list" if given else "an empty list"
    return f"a {type(given).__name__}"


def _quoted(text: str) -> str:
    if len(text) > _TEXT_MAX:
        text = text[:_TEXT_MAX] + "…"
    return printable(json.dumps(text, ensure_ascii=False))


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey instead of showing."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
