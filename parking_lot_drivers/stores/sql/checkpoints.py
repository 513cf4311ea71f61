"""The scheduler's checkpoint as one small text, and back."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any

from parking_lot_core import Checkpoint, DeviceRecord
from parking_lot_drivers.stores.sql.columns import Undecodable
from parking_lot_drivers.stores.sql.rows import COUNT_MAX, TAG_MAX

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """JSON; times are written so that they read back exactly."""
    # By hand, because every commit has one: a third of the time that json takes.
    return (
        f'{{"now":{checkpoint.now!r},"next_sequence":{checkpoint.next_sequence},'
        f'"virtual_time":{checkpoint.virtual_time},"finish_tags":{_list(checkpoint.finish_tags)},'
        f'"passed_over":{_list(checkpoint.passed_over)},"devices":{_devices(checkpoint.devices)}}}'
    )


def _list(pairs: tuple[object, ...]) -> str:
    return _encode(pairs) if pairs else "[]"


@lru_cache(maxsize=16)
def _devices(devices: tuple[DeviceRecord, ...]) -> str:
    return _encode(
        [(record.device, record.configured, record.capacity, record.capacity_max) for record in devices],
    )


def decode_checkpoint(text: object) -> Checkpoint:
    """Raises ``Undecodable`` for anything that ``encode_checkpoint`` would not have written."""
    try:
        found = json.loads(text)  # type: ignore[arg-type]
        return Checkpoint(
            now=_moment(found["now"]),
            next_sequence=_whole(found["next_sequence"], 1, COUNT_MAX),
            virtual_time=_whole(found["virtual_time"], 0, TAG_MAX),
            finish_tags=tuple((_is(str, tenant), _whole(tag)) for tenant, tag in found["finish_tags"]),
            passed_over=tuple((_is(str, task_id), _moment(since)) for task_id, since in found["passed_over"]),
            devices=tuple(_device(*record) for record in found["devices"]),
        )
    except (TypeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        raise Undecodable(f"checkpoint: {error!r:.200}") from error


def share_rows(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """The pool's virtual time and the finish tags of its tenants, as rows of ``parking_lot_shares``."""
    clock = [{"is_clock": True, "tenant": "", "tag": checkpoint.virtual_time}] if checkpoint.virtual_time else []
    return clock + [{"is_clock": False, "tenant": tenant, "tag": tag} for tenant, tag in checkpoint.finish_tags]


def _device(device: Any, configured: Any, capacity: Any, capacity_max: Any) -> DeviceRecord:
    return DeviceRecord(
        device=_is(str, device),
        configured=_whole(configured),
        capacity=_whole(capacity),
        capacity_max=_whole(capacity_max),
    )


def _moment(found: Any) -> float:
    seconds = float(_is(float, found))
    if not math.isfinite(seconds):
        raise ValueError(f"expected seconds since the Unix epoch, got {seconds!r}")
    return seconds


def _whole(found: Any, minimum: int = 0, maximum: float = math.inf) -> int:
    number: int = _is(int, found)
    if not minimum <= number <= maximum:
        raise ValueError(f"expected an integer from {minimum} to {maximum}, got {number!r:.80}")
    return number


def _is(kind: type, found: Any) -> Any:
    if type(found) is not kind and not (kind is float and type(found) is int):
        raise TypeError(f"expected {kind.__name__}, got {found!r:.80}")
    return found
