"""Payloads as PGMQ messages, which are ``jsonb``, and back.

A payload that is a JSON object is the message itself, so that other PGMQ clients can read and send it. What is no
object, or would not survive ``jsonb`` (which drops the sign of -0.0, turns 1e22 into a whole number and cannot keep a
zero character), is wrapped: ``{"$json": value}`` or ``{"$base64": "…"}``. What comes back equals what went in; only
the keys of objects may come back in another order.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NoReturn

_JSON = "$json"
_BASE64 = "$base64"

# Where one of these stands in compact JSON text, also inside a string, the value may not survive.
_FRAGILE = re.compile(r"\\u0000|\d[eE]\+|-0(?:\.0)?(?![.\d])")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def as_message(payload: bytes) -> str:
    """The payload as JSON text of an object that ``jsonb`` keeps."""
    try:
        text = payload.decode()
        value = _decode(text)
        # Equal text means: compact, no key twice, and every number as Python writes it.
        kept = not _FRAGILE.search(text) and _encode(value) == text
    except (ValueError, RecursionError):
        kept = False
    if not kept:
        return _encode({_BASE64: base64.b64encode(payload).decode("ascii")})
    if not isinstance(value, dict):
        return f'{{"{_JSON}":{text}}}'
    return text if _wrapped(value) is None else _encode({_BASE64: base64.b64encode(payload).decode("ascii")})


def as_payload(message: str) -> bytes:
    """The payload of a message, given as JSON text. A message that only looks wrapped is its own payload."""
    value = _decode(message)
    key = _wrapped(value)
    if key == _BASE64 and isinstance(value[key], str):
        try:
            return base64.b64decode(value[key], validate=True)
        except ValueError:  # no base64, which the message of another client need not be
            pass
    if key == _JSON:
        value = value[key]
    text = _encode(value)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half surrogate pairs, which a server with another encoding may have kept
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _wrapped(value: Any) -> str | None:
    """The key under which an object wraps a payload, if that is how it looks."""
    if isinstance(value, dict) and len(value) == 1:
        (key,) = value
        if key in (_JSON, _BASE64):
            return str(key)
    return None
