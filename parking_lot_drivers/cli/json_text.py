"""Reading JSON that people and programs hand to commands: strictly, with words that say what is wrong and where."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from parking_lot_drivers.config.problems import shown


def read_json(text: bytes | str) -> Any:
    """The value. Raises ``ValueError`` for anything that is not strict JSON in UTF-8, and for keys given twice."""
    try:
        return _decode(text.decode() if isinstance(text, bytes) else text)
    except UnicodeDecodeError as error:
        bad = error.object[error.start]
        raise ValueError(f"expected UTF-8, got the byte 0x{bad:02x} at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        where = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"broken JSON at {where}: {error.msg.removesuffix(' starting at')}") from None
    except RecursionError:
        raise ValueError("objects or lists are nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is given more than once; keep one")
    return made


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; give a number")


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python reads no integer past 4,300 digits
        raise ValueError("an integer has thousands of digits; give it as text") from None


_decode = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer).decode
