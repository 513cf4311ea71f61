"""Every test of the contracts can fail: a stranger's project with broken stores and executors, and pytest run in it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from parking_lot_drivers.testing import ExecutorContract, StoreContract
from tests.testing_drivers.project import STRANGERS, Project, Result

MODULES = (
    "broken_saving",
    "broken_requests",
    "broken_rollback",
    "broken_mailbox",
    "broken_adoption",
    "broken_executors",
)


def _cases() -> dict[str, Any]:
    """The classes of the broken stores and executors, by module and name."""
    sys.path.insert(0, str(STRANGERS))
    try:
        modules = [importlib.import_module(name) for name in MODULES]
    finally:
        sys.path.remove(str(STRANGERS))
    return {
        f"{module.__name__}.{name}": case
        for module in modules
        for name, case in vars(module).items()
        if name.startswith("Test")
    }


CASES = _cases()


def _named(case: Any) -> tuple[str, ...]:
    return (*case.fails, *getattr(case, "passes", ()))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[tuple[str, str], list[Result]]:
    """What pytest says of the tests that are expected to fail, by case and name of the test."""
    project = Project(tmp_path_factory.mktemp("broken"))
    for name in ("lots", *MODULES):
        project.copy(f"{name}.py")
    # One event loop is enough to show that the tests can fail.
    project.write("conftest.py", 'import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n')
    wanted = [f"{name.replace('.', '.py::')}::{test}" for name, case in CASES.items() for test in _named(case)]
    found: dict[tuple[str, str], list[Result]] = {}
    for result in project.pytest(*wanted):
        found.setdefault((result.case, result.test), []).append(result)
    return found


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_fails(case: str, results: Mapping[tuple[str, str], list[Result]]) -> None:
    for test in _named(CASES[case]):
        of_this_test = results[case, test]
        if test not in CASES[case].fails:
            assert not any(result.failure or result.error or result.skipped for result in of_this_test)
            continue
        assert any(result.failure for result in of_this_test), f"{case} passes {test}"
        assert not [result.error for result in of_this_test if result.error], "a fixture failed, not the test"


def _tests_of(contract: type) -> set[str]:
    return {name for name in dir(contract) if name.startswith("test_")}


def test_every_test_of_the_contracts_is_failed_by_something() -> None:
    failed = {test for case in CASES.values() for test in case.fails}
    assert failed == _tests_of(StoreContract) | _tests_of(ExecutorContract)


@pytest.mark.parametrize("contract", [StoreContract, ExecutorContract])
def test_no_part_of_a_contract_hides_a_test_of_another(contract: type) -> None:
    names = [name for part in contract.__mro__ for name in vars(part) if name.startswith("test_")]
    assert len(names) == len(set(names))


def test_a_failed_assertion_shows_the_values_that_were_compared(
    results: Mapping[tuple[str, str], list[Result]],
) -> None:
    (result,) = results["broken_saving.TestLosesTheOrder", "test_tasks_are_loaded_in_the_order_of_their_sequence"]
    assert result.failure is not None
    assert "['a', 'b', 'c'] == ['c', 'b', 'a']" in result.failure
