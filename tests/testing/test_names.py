"""The public names of the kit, and what it does where Hypothesis is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

import parking_lot_core.testing as kit
from tests.test_packaging import ROOT, without_extras

BLOCKED = """
class NoHypothesis:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"hypothesis", "pytest"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NoHypothesis())
"""


@pytest.mark.parametrize("name", kit.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(kit, name) is getattr(kit, name)
    assert name in dir(kit)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'verfy'"):
        kit.verfy  # noqa: B018


def test_names_and_modules_do_not_get_into_each_others_way() -> None:
    """A module that is imported becomes an attribute of its package, whatever ``__getattr__`` says."""
    code = "import parking_lot_core.testing as t; [getattr(t, name) for name in t.__all__]; "
    code += "print(callable(t.verify), callable(t.examine), callable(t.watch), t.worlds.Climate is t.Climate)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["True"] * 4, done.stderr


def test_most_of_the_kit_needs_nothing_optional() -> None:
    code = """
from parking_lot_core import Scheduler
from parking_lot_core.testing import Model, Story, Watched, broken, checks, properties, verify
verify(Scheduler, seeds=range(3))
try:
    verify(broken.Overcommits, holds={"Budget"})
except AssertionError as found:
    print(found)
"""
    done = without_extras(BLOCKED + code)
    assert done.stdout.startswith("Budget: "), done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "from parking_lot_core.testing import SchedulerMachine",
        "from parking_lot_core.testing.machine import SchedulerMachine",
        "from parking_lot_core.testing import strategies",
        "from parking_lot_core.testing.strategies import worlds",
    ],
)
def test_what_needs_hypothesis_names_the_extra(code: str) -> None:
    done = without_extras(BLOCKED + code)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "needs the package hypothesis, which is not installed" in last
    assert "pip install 'prometheus-parking-lot[testing]'" in last
