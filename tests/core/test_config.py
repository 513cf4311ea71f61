"""What a pool may be told: defaults, bounds, what is said about anything else, and what follows from it."""

from __future__ import annotations

import math
import sys
from typing import Any

import attrs
import pytest

from parking_lot_core import DEFAULT_DEVICE, PoolConfig
from parking_lot_core.config import Seconds, Units, UnitsByDevice, WeightByTenant, Whole

LARGEST = sys.float_info.max
PAST_FLOATS = 10**400


def test_a_pool_that_says_only_how_much_it_has_gets_ordinary_policies() -> None:
    assert attrs.asdict(PoolConfig(max_units=8)) == {
        "max_units": 8,
        "devices": {},
        "max_queue_depth": 100_000,
        "backfill_window": 60.0,
        "aging": None,
        "timeout": None,
        "run_timeout": None,
        "max_attempts": 3,
        "retry_backoff": 1.0,
        "retry_backoff_max": 300.0,
        "tenants": {},
    }


def test_a_policy_is_given_by_name_and_does_not_change() -> None:
    with pytest.raises(TypeError):
        PoolConfig(8)  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        PoolConfig(max_units=8).max_attempts = 4  # type: ignore[misc]


@pytest.mark.parametrize("said", [{}, {"max_units": 8, "devices": {"a": 1}}, {"devices": {}}, {"max_units": None}])
def test_units_are_said_in_exactly_one_way(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^max_units, devices: expected exactly one of them, got ") as refused:
        PoolConfig(**said)
    assert f"max_units={said.get('max_units')!r} and devices={said.get('devices', {})!r}" in str(refused.value)


def test_budgets_are_those_of_the_devices_in_order_or_of_the_only_one() -> None:
    assert PoolConfig(max_units=8).budgets == {DEFAULT_DEVICE: 8} == {"0": 8}
    assert list(PoolConfig(devices={"b": 2, "a": 1}).budgets.items()) == [("b", 2), ("a", 1)]


def test_budgets_are_a_copy() -> None:
    config = PoolConfig(devices={"a": 1})
    config.budgets["a"] = 5
    assert config.budgets == {"a": 1}


NUMBERS = ("backfill_window", "aging", "timeout", "run_timeout", "retry_backoff", "retry_backoff_max")
ABOVE_ZERO = ("aging", "timeout", "run_timeout")
ALLOWED: list[tuple[str, list[Any]]] = [
    ("max_units", [1, 10**30]),
    ("devices", [{"a": 1}, {"a": 1, "b": 10**30}]),
    ("max_queue_depth", [1, 10**9]),
    ("max_attempts", [1, 10**9]),
    ("tenants", [{}, {"": 1e-6}, {"ann": 1e6}, {"ann": 1, "bob": 0.5}]),
    ("backfill_window", [0, 0.0, math.inf]),
    ("retry_backoff", [0, 0.0]),
    ("retry_backoff_max", [0, 0.0]),
    *[(name, [None, 5e-324]) for name in ABOVE_ZERO],
    *[(name, [1, 0.25, LARGEST]) for name in NUMBERS],
]
REFUSED: list[tuple[str, list[Any], str]] = [
    ("max_units", [0, -1, True, 8.0, "8GB"], "an integer ≥ 1"),
    ("max_queue_depth", [0, -1, True, 8.0, None], "an integer ≥ 1"),
    ("max_attempts", [0, -1, True, 3.0, None], "an integer ≥ 1"),
    ("backfill_window", [-0.25, -1, math.nan, -math.inf, True, "60", None, PAST_FLOATS], "a number ≥ 0"),
    ("retry_backoff", [-0.25, math.inf, math.nan, True, "1", None, PAST_FLOATS], "a number ≥ 0"),
    ("retry_backoff_max", [-0.25, math.inf, math.nan, False, "1", None], "a number ≥ 0"),
    *[(name, [0, 0.0, -1, math.inf, math.nan, True, "1", PAST_FLOATS], "a number > 0") for name in ABOVE_ZERO],
    ("devices", [5, "a", ["a"], [("a", 1)]], "a mapping of device names to units"),
    ("tenants", [5, "a", ["a"], None], "a mapping of tenant names to weights"),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ALLOWED for value in values])
def test_what_a_pool_may_be_told(name: str, value: Any) -> None:
    units = {} if name in ("max_units", "devices") else {"max_units": 8}
    assert getattr(PoolConfig(**units, **{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "expected"), [(name, value, expected) for name, values, expected in REFUSED for value in values]
)
def test_what_it_may_not_be_told_is_named_with_what_is_allowed(name: str, value: Any, expected: str) -> None:
    units = {} if name in ("max_units", "devices") else {"max_units": 8}
    with pytest.raises(ValueError, match="expected") as refused:
        PoolConfig(**units, **{name: value})
    assert str(refused.value) == f"{name}: expected {expected}, got {value!r}"


@pytest.mark.parametrize("units", [0, -1, True, 2.0, "2", None])
def test_units_of_a_device_are_named_with_it(units: Any) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        PoolConfig(devices={"a": 1, "b": units})
    assert str(refused.value) == f"devices.b: expected an integer ≥ 1, got {units!r}"


@pytest.mark.parametrize("name", ["", 0, 7, None, b"a"])
def test_a_device_has_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        PoolConfig(devices={name: 1})
    assert str(refused.value) == f"devices: expected device names as non-empty strings, got {name!r}"


@pytest.mark.parametrize("weight", [0, 0.9e-6, 1.1e6, -1, math.nan, math.inf, True, "2", None])
def test_a_weight_is_named_with_its_tenant(weight: Any) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        PoolConfig(max_units=8, tenants={"ann": 1, "bob": weight})
    assert str(refused.value) == f"tenants.bob: expected a weight from 1e-06 to 1e+06, got {weight!r}"


# Readers of configuration files and generators of schemas ask the fields what they allow


def test_every_field_says_what_it_allows() -> None:
    checks: dict[str, Any] = {field.name: field.validator for field in attrs.fields(PoolConfig)}
    assert {name: check.expected for name, check in checks.items() if not isinstance(check, UnitsByDevice)} == {
        "max_units": "an integer ≥ 1",
        "max_queue_depth": "an integer ≥ 1",
        "backfill_window": "a number ≥ 0",
        "aging": "a number > 0",
        "timeout": "a number > 0",
        "run_timeout": "a number > 0",
        "max_attempts": "an integer ≥ 1",
        "retry_backoff": "a number ≥ 0",
        "retry_backoff_max": "a number ≥ 0",
        "tenants": "a weight from 1e-06 to 1e+06",
    }
    assert checks["devices"].units == Units(1)
    assert checks["max_units"] == Units(1, optional=True)


@pytest.mark.parametrize(
    ("check", "inside", "outside"),
    [
        (Seconds(0), [0, 1, LARGEST], [-0.5, math.inf, math.nan, PAST_FLOATS]),
        (Seconds(2), [2, 2.5], [1.75]),
        (Seconds(2, exclusive=True), [2.25], [2, 1]),
        (Seconds(0, infinite=True), [0, LARGEST, math.inf], [-math.inf, math.nan, PAST_FLOATS]),
        (WeightByTenant(), [1e-6, 1, 1e6], [9e-7, 1.1e6, math.nan]),
        (WeightByTenant(2, 3), [2, 3], [1.5, 3.5]),
    ],
)
def test_a_check_can_be_asked(check: Any, inside: list[float], outside: list[float]) -> None:
    assert all(check.allows(number) for number in inside)
    assert not any(check.allows(number) for number in outside)


def test_checks_are_values_with_plain_bounds() -> None:
    assert (Whole(3).minimum, Whole(3).optional, Whole(3).expected) == (3, False, "an integer ≥ 3")
    assert Seconds(1) == Seconds(1, exclusive=False, infinite=False, optional=False)
    assert (UnitsByDevice().units, WeightByTenant().minimum, WeightByTenant().maximum) == (Units(1), 1e-6, 1e6)
    for check in (Whole(1), Units(1), Seconds(1), UnitsByDevice(), WeightByTenant()):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(check, attrs.fields(type(check))[0].name, 9)


@pytest.mark.parametrize("check", [Whole(1, optional=True), Seconds(1, optional=True)])
def test_none_is_fine_where_a_field_is_optional(check: Any) -> None:
    field = attrs.fields(PoolConfig).max_units
    check(None, field, None)
    with pytest.raises(ValueError, match=r"^max_units: "):
        check(None, field, 0)
    with pytest.raises(ValueError, match=r"^max_units: "):
        attrs.evolve(check, optional=False)(None, field, None)


# Backoff


def test_the_backoff_doubles_up_to_its_ceiling() -> None:
    config = PoolConfig(max_units=1, retry_backoff=0.5, retry_backoff_max=5)
    assert [config.backoff(attempts) for attempts in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]


def test_without_a_ceiling_to_speak_of_the_backoff_stays_a_finite_number() -> None:
    """Doubling a thousand times would leave the range of floats; after sixty doublings it is long enough."""
    config = PoolConfig(max_units=1, retry_backoff=1.0, retry_backoff_max=LARGEST)
    assert config.backoff(61) == config.backoff(62) == config.backoff(10**9) == 2.0**60
    assert config.backoff(60) == 2.0**59
