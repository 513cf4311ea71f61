"""What a traced request costs, how long it runs and how urgent it is.

These are assumptions, not measurements, and each of them can be set. Put in the figures of your own model and card.

**Units.** A request holds its key-value cache from start to finish, as large as it is at the end:
``units = ceil((context + generated) tokens × bytes per token / bytes per unit)``, at least 1. The bytes per token are
``2 × layers × KV heads × head size × bytes per value`` (a key and a value vector for each head of each layer); the
formula is that of Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention",
SOSP 2023, section 3, who count 800 KB for a 13B model.

**Run time.** ``context tokens / prefill rate + generated tokens / decode rate``, whatever else runs beside it.

**Priority.** The trace has none. Each request gets one by the hash of its row number, in the given shares, so that the
same row has the same priority in every replay.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import attrs

from parking_lot_core import Priority
from parking_lot_drivers.replay.trace import Arrival


def _whole(_: object, attribute: Any, given: Any) -> None:
    if type(given) is not int or given < 1:
        raise ValueError(f"{attribute.name}: expected an integer ≥ 1, got {given!r}")


def _rate(_: object, attribute: Any, given: Any) -> None:
    if not _is_number(given) or not 0 < given < math.inf:
        raise ValueError(f"{attribute.name}: expected tokens per second > 0, got {given!r}")


def _fraction(_: object, attribute: Any, given: Any) -> None:
    if not _is_number(given) or not 0 <= given < 1:
        raise ValueError(f"{attribute.name}: expected a number ≥ 0 and < 1, got {given!r}")


def _shares(_: object, attribute: Any, given: Any) -> None:
    good = isinstance(given, Mapping) and all(
        isinstance(priority, Priority) and _is_number(share) and 0 <= share < math.inf
        for priority, share in given.items()
    )
    if not good or not sum(given.values()) > 0:
        raise ValueError(f"{attribute.name}: expected a share ≥ 0 by priority, one of them > 0, got {given!r}")


def _is_number(given: object) -> bool:
    return isinstance(given, (int, float)) and not isinstance(given, bool)


@attrs.frozen(kw_only=True)
class KVCache:
    """Shape of a transformer's key-value cache. All are whole numbers ≥ 1. Raises ``ValueError``."""

    layers: int = attrs.field(validator=_whole)
    kv_heads: int = attrs.field(validator=_whole)
    head_size: int = attrs.field(validator=_whole)
    value_bytes: int = attrs.field(default=2, validator=_whole)

    @property
    def bytes_per_token(self) -> int:
        """Bytes that one token takes, over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_size * self.value_bytes


MODELS: Mapping[str, KVCache] = {
    "llama-2-7b": KVCache(layers=32, kv_heads=32, head_size=128),
    "llama-2-13b": KVCache(layers=40, kv_heads=40, head_size=128),
    "llama-2-70b": KVCache(layers=80, kv_heads=8, head_size=128),
}
"""Shapes published with the models (Touvron et al., "Llama 2", 2023), with 16-bit values."""

DEFAULT_MODEL = "llama-2-7b"

DEFAULT_SHARES: Mapping[Priority, float] = {
    Priority.CRITICAL: 5,
    Priority.HIGH: 15,
    Priority.NORMAL: 60,
    Priority.LOW: 20,
}


@attrs.frozen(kw_only=True)
class RequestModel:
    """Turns the token counts of a request into units, run time, priority and, if asked for, failures.

    Attributes:
        kv_bytes_per_token: bytes of key-value cache for one token (≥ 1).
        unit_bytes: bytes that one unit of the pool stands for (≥ 1).
        prefill_tokens_per_s: rate at which a request's context is read (> 0).
        decode_tokens_per_s: rate at which a request's answer is written (> 0).
        shares: how many requests get each priority, relative to each other.
        failure_rate: share of the attempts that fail at their end (≥ 0, < 1), picked by row and attempt number.

    Raises ``ValueError`` naming the field, the value and what is allowed.
    """

    kv_bytes_per_token: int = attrs.field(default=MODELS[DEFAULT_MODEL].bytes_per_token, validator=_whole)
    unit_bytes: int = attrs.field(default=2**30, validator=_whole)
    prefill_tokens_per_s: float = attrs.field(default=10_000.0, validator=_rate)
    decode_tokens_per_s: float = attrs.field(default=100.0, validator=_rate)
    shares: Mapping[Priority, float] = attrs.field(default=DEFAULT_SHARES, validator=_shares)
    failure_rate: float = attrs.field(default=0.0, validator=_fraction)

    def units(self, arrival: Arrival) -> int:
        """Units that the request holds while it runs (≥ 1)."""
        tokens = arrival.context_tokens + arrival.generated_tokens
        return max(1, -(-tokens * self.kv_bytes_per_token // self.unit_bytes))

    def run_s(self, arrival: Arrival) -> float:
        """Seconds that the request runs (≥ 0)."""
        prefill_s = arrival.context_tokens / self.prefill_tokens_per_s
        return prefill_s + arrival.generated_tokens / self.decode_tokens_per_s

    def priority(self, arrival: Arrival) -> Priority:
        """Priority class of the request: the same for the same row and shares."""
        point = _hash_fraction(f"priority {arrival.row}") * sum(self.shares.values())
        ranked = sorted(((priority, share) for priority, share in self.shares.items() if share > 0), reverse=True)
        for priority, share in ranked:
            if point < share:
                return priority
            point -= share
        return ranked[-1][0]

    def fails(self, arrival: Arrival, attempt: int) -> bool:
        """Whether attempt number ``attempt`` (≥ 1) of the request fails."""
        return _hash_fraction(f"failure {arrival.row} {attempt}") < self.failure_rate


def _hash_fraction(text: str) -> float:
    """A number in [0, 1) that depends on ``text`` alone, on every machine."""
    digest = hashlib.blake2b(text.encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56
