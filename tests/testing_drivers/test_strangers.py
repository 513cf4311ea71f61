"""The page for authors works as printed, on a store and an executor of somebody else's; mistakes are explained."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from tests.testing_drivers.project import ROOT, Project, Result

PAGE = (ROOT / "parking_lot_drivers/testing/README.md").read_text()
#: In the order of the page.
NAMES = ("test_my_store", "test_my_mailbox", "test_my_executor")
BLOCKS = dict(zip(NAMES, re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S), strict=True))

MEMORY_LOT = """
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.testing import Lot, MailboxContract, QueueContract, StoreContract
"""

WITHOUT_PYTEST = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pytest":
            raise ModuleNotFoundError("No module named 'pytest'", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with the stranger's store and executor."""
    project = Project(tmp_path)
    project.copy("my_store.py")
    project.copy("my_executor.py")
    return project


def faults(results: list[Result]) -> list[str]:
    return [f"{each.case}.{each.test}: {each.failure or each.error}" for each in results if each.failure or each.error]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_works_as_printed(name: str, project: Project) -> None:
    assert len([line for line in BLOCKS[name].splitlines() if line]) <= 10
    project.write(f"{name}.py", BLOCKS[name])
    results = project.pytest()
    assert faults(results) == []
    loops = Counter("trio" if each.parameters.startswith("trio") else "asyncio" for each in results)
    assert loops["asyncio"] == loops["trio"] >= 20
    skipped = {each.test for each in results if each.skipped}
    assert skipped == (
        {
            "test_a_worker_that_dies_is_told_and_the_executor_goes_on",
            "test_cancelling_stops_the_task_and_the_executor_goes_on",
        }
        if name == "test_my_executor"
        else set()
    )


def test_every_behaviour_is_on_the_page() -> None:
    from parking_lot_drivers.testing.behaviours import BEHAVIOURS

    assert re.findall(r"^\| `(\w+)` \|.*\|.*\|$", PAGE.partition("| behaviour |")[2], flags=re.M) == list(BEHAVIOURS)


def test_every_part_of_the_store_contract_is_on_the_page() -> None:
    from parking_lot_drivers.testing import StoreContract

    parts = [
        part.__name__ for part in StoreContract.__mro__ if [name for name in vars(part) if name.startswith("test_")]
    ]
    assert sorted(re.findall(r"^\| `(\w+Contract)` \|", PAGE, flags=re.M)) == sorted(parts)


def test_a_queue_beside_a_mailbox_of_another_kind(project: Project) -> None:
    project.write(
        "test_apart.py",
        MEMORY_LOT
        + """
from my_store import JsonQueue

class Apart(Lot):
    together = False

    def __init__(self, folder):
        super().__init__(folder)
        self._mailbox = MemoryMailbox()

    def queue(self):
        return JsonQueue(self.folder / "lot.json")

    def mailbox(self):
        return self._mailbox

class TestApart(StoreContract):
    lot_type = Apart

class QueueOnly(Lot):
    def queue(self):
        return JsonQueue(self.folder / "lot.json")

class TestQueueOnly(QueueContract):
    lot_type = QueueOnly
""",
    )
    results = project.pytest("-k", "asyncio and not (waiting or loading)")
    assert faults(results) == []
    assert {each.test for each in results if each.skipped} == {
        "test_a_failed_save_delivers_nothing",
        "test_an_adopted_mailbox_gets_the_outcomes_of_saved_batches",
        "test_outcomes_outlive_the_object",
        "test_pruning_is_not_seen_in_the_overview",
        "test_readers_never_see_a_task_beside_its_outcome",
    }


MISTAKES = {
    "no lot_type": (
        "class TestIt(StoreContract):\n    pass\n",
        r"TestIt: no store to try; set lot_type to a subclass of parking_lot_drivers\.testing\.Lot",
    ),
    "no queue": (
        "class MyLot(Lot):\n    pass\nclass TestIt(QueueContract):\n    lot_type = MyLot\n",
        r"MyLot\.queue: write it, .* subclass MailboxContract",
    ),
    "no mailbox": (
        "class MyLot(Lot):\n    pass\nclass TestIt(MailboxContract):\n    lot_type = MyLot\n",
        r"MyLot\.mailbox: write it, .* subclass QueueContract",
    ),
    "one object that is said to be several": (
        "QUEUE = MemoryQueue()\nclass MyLot(Lot):\n    def queue(self):\n        return QUEUE\n"
        "class TestIt(QueueContract):\n    lot_type = MyLot\n",
        r"MyLot\.queue returned the same object twice, and MyLot\.shared is True; return a new object each time, or",
    ),
    "no executor": (
        "from parking_lot_drivers.testing import ExecutorContract\nclass TestIt(ExecutorContract):\n    pass\n",
        r"TestIt\.executor: write it, to return an executor whose tasks behave as parking_lot_drivers\.testing\.beh",
    ),
    "an unknown behaviour": (
        "from parking_lot_drivers.testing import ExecutorContract\n"
        "class TestIt(ExecutorContract):\n    without = {'dye': 'no'}\n",
        r"TestIt\.without: no such behaviour: dye; there are echo, echo_later,",
    ),
}


def test_mistakes_are_explained(project: Project) -> None:
    for number, (code, _) in enumerate(MISTAKES.values()):
        project.write(f"test_mistake_{number}.py", MEMORY_LOT + code)
    wanted = "another_object or new_lot or unknown_task or permanent_failure_stays_one"
    results = project.pytest("-k", f"asyncio and ({wanted})")
    for number, (mistake, (_, message)) in enumerate(MISTAKES.items()):
        said = faults([each for each in results if each.case.startswith(f"test_mistake_{number}.")])
        assert [each for each in said if re.search(message, each)], (mistake, said)


def test_without_pytest_the_error_names_the_extra(project: Project) -> None:
    names = ("StoreContract", "ExecutorContract")
    code = f"""
from parking_lot_drivers.errors import MissingExtra
import parking_lot_drivers.testing as testing
for name in {names}:
    try:
        getattr(testing, name)
    except MissingExtra as error:
        print(error)
import parking_lot_drivers.testing.behaviours, parking_lot_drivers.testing.samples
"""
    shown = project.run(WITHOUT_PYTEST + code).splitlines()
    assert shown == [
        f"{name} needs the package pytest, which is not installed: pip install 'prometheus-parking-lot[testing]'"
        for name in names
    ]


def test_the_extra_brings_what_the_contracts_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {re.split(r"[>=]", needed)[0] for needed in extras["testing"]} == {
        "prometheus-parking-lot[local,trio]",
        "pytest",
        "hypothesis",
    }


def test_worker_processes_of_the_tests_do_not_import_pytest(project: Project) -> None:
    code = "import sys, parking_lot_drivers.testing.behaviours; print(*{'pytest', 'anyio'} & sys.modules.keys())"
    assert project.run(code).split() == []
