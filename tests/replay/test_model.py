"""What requests cost, how long they run, and who gets which priority."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import pytest

from parking_lot_core import Priority
from parking_lot_drivers.replay import DEFAULT_SHARES, MODELS, Arrival, KVCache, RequestModel


def request(context: int, generated: int, row: int = 1) -> Arrival:
    return Arrival(row, 0.0, context, generated)


def test_bytes_per_token_are_the_published_ones() -> None:
    kib = {name: cache.bytes_per_token / 1024 for name, cache in MODELS.items()}
    # 800 KiB for 13B with 16-bit values is the figure of the PagedAttention paper.
    assert kib == {"llama-2-7b": 512, "llama-2-13b": 800, "llama-2-70b": 320}
    assert KVCache(layers=1, kv_heads=1, head_size=1, value_bytes=1).bytes_per_token == 2


def test_units_are_the_key_value_cache_rounded_up() -> None:
    model = RequestModel(kv_bytes_per_token=512 * 1024, unit_bytes=2**30)
    assert [model.units(request(tokens, 0)) for tokens in (0, 1, 2048, 2049, 4096, 4097)] == [1, 1, 1, 2, 2, 3]
    assert model.units(request(2000, 49)) == 2


def test_units_agree_with_exact_fractions(arrivals: list[Arrival]) -> None:
    model = RequestModel(kv_bytes_per_token=MODELS["llama-2-13b"].bytes_per_token, unit_bytes=10**9)
    for arrival in arrivals[:500]:
        tokens = arrival.context_tokens + arrival.generated_tokens
        assert model.units(arrival) == math.ceil(Fraction(tokens * 819_200, 10**9))


def test_run_time_is_reading_plus_writing() -> None:
    model = RequestModel(prefill_tokens_per_s=1000, decode_tokens_per_s=50)
    assert model.run_s(request(2000, 100)) == 2 + 2


def test_priorities_follow_the_shares_and_stay_with_the_row(arrivals: list[Arrival]) -> None:
    model = RequestModel()
    counts = Counter(model.priority(arrival) for arrival in arrivals)
    total = sum(DEFAULT_SHARES.values())
    for priority, share in DEFAULT_SHARES.items():
        expected = len(arrivals) * share / total
        # Four standard deviations of a binomial draw.
        assert abs(counts[priority] - expected) < 4 * math.sqrt(expected)
    # Written down once: a change would silently give every published figure another meaning.
    first = "".join(model.priority(arrival).name[0] for arrival in arrivals[:12])
    assert first == "NNNNNNHNHNNN"


def test_a_share_of_zero_gives_none(arrivals: list[Arrival]) -> None:
    model = RequestModel(shares={Priority.HIGH: 1, Priority.LOW: 0})
    assert {model.priority(arrival) for arrival in arrivals} == {Priority.HIGH}


def test_failures_follow_their_rate_and_differ_between_attempts(arrivals: list[Arrival]) -> None:
    model = RequestModel(failure_rate=0.25)
    first = [model.fails(arrival, 1) for arrival in arrivals]
    assert sum(first) / len(first) == pytest.approx(0.25, abs=0.015)
    assert first != [model.fails(arrival, 2) for arrival in arrivals]
    assert not any(RequestModel().fails(arrival, 1) for arrival in arrivals)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kv_bytes_per_token", 0, "expected an integer ≥ 1, got 0"),
        ("kv_bytes_per_token", 1.5, "expected an integer ≥ 1, got 1.5"),
        ("unit_bytes", True, "expected an integer ≥ 1, got True"),
        ("prefill_tokens_per_s", 0, "expected tokens per second > 0, got 0"),
        ("decode_tokens_per_s", math.inf, "expected tokens per second > 0, got inf"),
        ("decode_tokens_per_s", "fast", "expected tokens per second > 0, got 'fast'"),
        ("failure_rate", 1, "expected a number ≥ 0 and < 1, got 1"),
        ("failure_rate", math.nan, "expected a number ≥ 0 and < 1, got nan"),
        ("shares", {}, "expected a share ≥ 0 by priority, one of them > 0"),
        ("shares", {Priority.LOW: 0}, "one of them > 0"),
        ("shares", {Priority.LOW: -1, Priority.HIGH: 2}, "expected a share ≥ 0"),
        ("shares", {"low": 1}, "expected a share ≥ 0 by priority"),
    ],
)
def test_bad_assumptions_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"{field}: .*{message}"):
        RequestModel(**{field: value})


def test_a_bad_cache_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="kv_heads: expected an integer ≥ 1, got 0"):
        KVCache(layers=1, kv_heads=0, head_size=1)
