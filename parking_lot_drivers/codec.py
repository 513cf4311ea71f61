"""How payloads and results become bytes, and back: JSON, plus ``bytes`` values. Never pickle.

What comes back equals what went in, with three documented differences: tuples come back as lists, subclasses (an
``IntEnum``, a ``defaultdict``, a named tuple) as the plain type, and numbers keep their kind but not their object.

A ``bytes`` value travels as ``{"$bytes": "<base64>"}``. A dict of the caller's that looks like that gets one more
``$`` in front of its key, and loses it again on the way back, so nothing that a caller may send is ambiguous.

Ordinary values take one pass of the C encoder. Only a value that it cannot take, or whose text might hide something
that JSON would silently change, is walked in Python; the walk also finds the path for the error message.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from parking_lot_drivers.errors import PayloadNotEncodable

#: The deepest nesting of lists and dicts. Far below what any supported interpreter can decode, so that what one
#: process could encode, every other can decode.
DEPTH_MAX = 200

#: The most bytes of an encoded value. SQLite keeps 10^9, and a result that no store can keep would come back for ever.
BYTES_MAX = 2**29

_CONTAINERS = (dict, list, tuple)
_TAG = "$bytes"
_TAGGED_KEY = re.compile(r"\$+bytes")
_ALLOWED = "allowed are None, bool, int, finite float, str, bytes, list, tuple and dict with string keys"

# The C encoder writes int, bool and None keys as strings without complaint; this finds texts where that may have
# happened (or where a string merely looks like it, which costs a walk and nothing else).
_DOUBTFUL_KEY = re.compile(r'"(?:-?\d[^"]*|true|false|null)":')

# ASCII output carries lone surrogates (file names that are not UTF-8), which UTF-8 output cannot.
_utf8 = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_ascii = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


def encode(value: object, *, name: str = "payload") -> bytes:
    """``value`` as compact UTF-8 JSON. Equal values with equally ordered dicts give equal bytes.

    Allowed are ``None``, ``bool``, ``int``, finite ``float``, ``str``, ``bytes``, ``list``, ``tuple`` and ``dict`` with
    string keys, nested at most ``DEPTH_MAX`` deep, at most ``BYTES_MAX`` encoded. ``name`` is what error messages call
    the value.

    Raises ``PayloadNotEncodable`` naming the path inside the value, what stands there and what is allowed.
    """
    data = _encoded(value, name)
    if len(data) > BYTES_MAX:
        raise PayloadNotEncodable(
            f"{name}: expected at most {BYTES_MAX} bytes once encoded, got {len(data)}; put large data into files, and "
            f"their names into the {name}"
        )
    return data


def _encoded(value: object, name: str) -> bytes:
    try:
        text = _utf8(value)
    except (TypeError, ValueError, RecursionError):
        return _to_bytes(_checked(value, name))
    if _TAG in text or _DOUBTFUL_KEY.search(text) or _may_be_deep(value, text):
        return _to_bytes(_checked(value, name))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _ascii(value).encode("ascii")


def decode(data: bytes) -> Any:
    """The value that ``encode`` made ``data`` from.

    Raises ``ValueError`` if ``data`` is not something that ``encode`` makes.
    """
    text = data.decode()
    try:
        return _with_tags.decode(text) if _TAG in text else _plain.decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEPTH_MAX} levels") from None


def _to_bytes(safe: object) -> bytes:
    try:
        return _utf8(safe).encode()
    except UnicodeEncodeError:
        return _ascii(safe).encode("ascii")


def _may_be_deep(value: object, text: str) -> bool:
    """Whether the value is nested deeper than ``DEPTH_MAX``. Counting brackets settles it for all but large values."""
    if text.count("{") + text.count("[") <= DEPTH_MAX or not isinstance(value, _CONTAINERS):
        return False
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, _CONTAINERS)
        ]
        if not level:
            return False
    return True


class _Refused(Exception):
    """What cannot be encoded, and the path to it, innermost step first."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.path: list[str] = []


def _checked(value: object, name: str) -> object:
    """A copy of ``value`` that JSON keeps as it is, with bytes tagged. Raises ``PayloadNotEncodable``."""
    try:
        return _safe(value, set())
    except _Refused as refused:
        path = name + "".join(reversed(refused.path))
        raise PayloadNotEncodable(f"{path}: {refused.problem}") from None


def _safe(value: Any, inside: set[int]) -> object:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return _safe_int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise _Refused(f"cannot encode the float {value!r}: JSON has no such number; send None or a string instead")
    if isinstance(value, bytes):
        return {_TAG: base64.b64encode(value).decode("ascii")}
    if isinstance(value, _CONTAINERS):
        return _safe_container(value, inside)
    raise _Refused(f"cannot encode {_kind(value)}; {_ALLOWED}{_hint(value)}")


def _safe_int(value: int) -> int:
    try:
        int.__repr__(value)
    except ValueError:  # the interpreter bounds the length of integers that it converts
        raise _Refused(f"cannot encode an integer of {value.bit_length()} bits; send it as bytes or a string") from None
    return value


def _safe_container(value: Any, inside: set[int]) -> object:
    if id(value) in inside:
        raise _Refused("the value contains itself, which JSON cannot express")
    if len(inside) >= DEPTH_MAX:
        raise _Refused(f"nested deeper than {DEPTH_MAX} levels of lists and dicts")
    inside.add(id(value))
    try:
        return _safe_dict(value, inside) if isinstance(value, dict) else _safe_list(value, inside)
    finally:
        inside.discard(id(value))


def _safe_list(items: Any, inside: set[int]) -> list[object]:
    safe = []
    for index, item in enumerate(items):
        try:
            safe.append(_safe(item, inside))
        except _Refused as refused:
            refused.path.append(f"[{index}]")
            raise
    return safe


def _safe_dict(items: Mapping[Any, Any], inside: set[int]) -> dict[str, object]:
    safe: dict[str, object] = {}
    for key, item in items.items():
        if not isinstance(key, str):
            raise _Refused(f"cannot encode the key {_shown(key)} ({_kind(key)}); keys must be strings")
        try:
            safe[key] = _safe(item, inside)
        except _Refused as refused:
            refused.path.append(f".{key}" if key.isidentifier() else f"[{json.dumps(key)}]")
            raise
    if len(safe) == 1:
        (key,) = safe
        if _TAGGED_KEY.fullmatch(key):
            return {"$" + key: safe[key]}
    return safe


def _untag(pairs: dict[str, Any]) -> Any:
    if len(pairs) != 1:
        return pairs
    ((key, item),) = pairs.items()
    if not _TAGGED_KEY.fullmatch(key):
        return pairs
    if key != _TAG:
        return {key[1:]: item}
    if not isinstance(item, str):
        raise ValueError(f'expected base64 text under "{_TAG}", got {item!r}')
    return base64.b64decode(item, validate=True)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


_plain = json.JSONDecoder(parse_constant=_refuse_constant)
_with_tags = json.JSONDecoder(parse_constant=_refuse_constant, object_hook=_untag)


def _kind(value: object) -> str:
    return type(value).__qualname__


def _shown(key: object) -> str:
    try:
        shown = repr(key)
    except Exception:  # an integer of too many digits, or the caller's own class
        return "that is here"
    return shown if len(shown) <= 100 else shown[:100] + "…"


def _hint(value: object) -> str:
    """What to do instead, where that is known."""
    if hasattr(type(value), "__attrs_attrs__"):
        return ". It is an attrs class: make it plain data first, for example with cattrs.unstructure"
    if hasattr(type(value), "__dataclass_fields__"):
        return ". It is a dataclass: make it plain data first, for example with dataclasses.asdict"
    if hasattr(value, "tolist"):
        return ". Its tolist() method gives plain data"
    if hasattr(value, "isoformat"):
        return ". Its isoformat() method gives a string"
    return ""
