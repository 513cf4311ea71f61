"""What a mutant has to get past: quick tests first. Runs in a child process that has imported nothing of the core.

Tests are called directly, without pytest, whose start alone would take longer than most mutants live: every test
function of a file, with each of its parameters. Slow ones are left out.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import random
import unittest
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import hypothesis

# Seconds of processor time after which a mutant is taken to hang: four times what the unchanged core needs, and more.
QUICK_SECONDS = 20
DEEP_SECONDS = 120

# The first worlds of ``tests/core/test_agreement.py``.
SEEDS = 1
LENGTH = 60

# Under ``tests.core``, in the order of what they cost: examples, properties of single parts, golden vectors, the line.
# A file that is not there yet is passed over. Those that are for some modules only say so.
TREE = ("band", "line", "nodes", "ranking")
QUICK: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("test_values", ()),
    ("test_config", ()),
    ("test_lifecycle", ()),
    ("test_scheduler", ()),
    ("test_dispatch", ()),
    ("test_dispatch_devices", ()),
    ("test_windows", ()),
    ("test_restore", ()),
    ("test_fair_share", ()),
    ("test_ranking", ()),
    ("test_devices", ()),
    ("test_cost", ()),
    ("test_books", ()),
    ("test_timers", ()),
    ("test_explain", ()),
    ("test_traces", ()),
    ("test_vectors:test_the_scheduler_answers_every_vector", ()),
    ("test_corners", ()),
    ("test_tree", TREE),
    (
        "test_line:test_a_short_line_answers_as_a_sorted_list_would,test_what_is_not_in_the_line_cannot_be_removed",
        TREE,
    ),
    ("test_views:test_sizes,test_positions_count_the_tasks_that_wait_for_units", ()),
    ("test_views", ("explain",)),
)
# More random worlds, and longer lines, for what has survived all else.
DEEP: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("test_line", TREE),
    ("test_agreement", ()),
    ("test_invariants", ()),
)
# Tests of the checks, not of the core.
LEFT_OUT = ("test_every_check_can_fail",)
FIXTURES = {"rewrite": False}

hypothesis.settings.register_profile(
    "mutation",
    database=None,
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
)


def agreement() -> None:
    """The scheduler against the model, as in ``test_agreement_in_fixed_worlds``. Raises whatever goes wrong."""
    from parking_lot_core import Scheduler
    from parking_lot_core.testing.agreement import agrees_with_model
    from parking_lot_core.testing.worlds import CLIMATES, Dice, make_world

    for seed in range(SEEDS):
        for climate in CLIMATES.values():
            agrees_with_model(Scheduler, make_world(Dice(random.Random(seed).randrange), climate, LENGTH))


def tests(suites: tuple[tuple[str, tuple[str, ...]], ...], changed: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Names of the tests for a mutant of the module ``changed``, and what to call."""
    hypothesis.settings.load_profile("mutation")
    for what, modules in suites:
        if modules and changed not in modules:
            continue
        name, _, only = what.partition(":")
        try:
            module = importlib.import_module(f"tests.core.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"tests.core.{name}":
                raise
            continue
        for test, call in _calls(module):
            if not only or test.split("[")[0] in only.split(","):
                yield f"{name}::{test}", call


def _calls(module: ModuleType) -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, found in vars(module).items():
        if isinstance(found, type) and issubclass(found, unittest.TestCase) and name.startswith("Test"):
            yield name, found("runTest").debug
        if not name.startswith("test_") or not callable(found) or name in LEFT_OUT:
            continue
        marks = getattr(found, "pytestmark", [])
        if not any(mark.name == "slow" for mark in marks):
            yield from _with_parameters(name, found, [mark.args for mark in marks if mark.name == "parametrize"])


def _with_parameters(
    name: str, test: Callable[..., Any], parameters: list[tuple[Any, ...]]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """One call for each combination of what ``pytest.mark.parametrize`` gives."""
    fixtures = {fixture: FIXTURES[fixture] for fixture in inspect.signature(test).parameters if fixture in FIXTURES}
    for number, chosen in enumerate(itertools.product(*(values for _, values, *_ in parameters))):
        given = dict(fixtures)
        for (names, *_), values in zip(parameters, chosen, strict=True):
            words = [word.strip() for word in names.split(",")] if isinstance(names, str) else list(names)
            values = values.values if hasattr(values, "marks") else values  # of ``pytest.param``
            given |= dict(zip(words, [values] if len(words) == 1 else values, strict=True))
        yield f"{name}[{number}]", lambda given=given: test(**given)


def stages(module: str, *, deep: bool) -> Iterator[tuple[int, str | None]]:
    """One killer after the other: the seconds of processor time that it may use; then what killed the mutant, if so."""
    yield QUICK_SECONDS, None
    killer = _failed("agreement", agreement) or _first_failure(QUICK, module)
    if killer is None and deep:
        yield DEEP_SECONDS, None
        killer = _first_failure(DEEP, module)
    yield 0, killer


def _first_failure(suites: tuple[tuple[str, tuple[str, ...]], ...], module: str) -> str | None:
    try:
        for name, call in tests(suites, module):
            if failed := _failed(name, call):
                return failed
    except Exception as error:
        return f"import: {type(error).__name__}"
    return None


def _failed(name: str, call: Callable[[], Any]) -> str | None:
    try:
        call()
    except BaseException as error:  # of pytest, too, which tells a failure with an exception of its own
        return f"{name}: {type(error).__name__}"
    return None
