"""That mutants are what they should be, that the list of survivors is about the code as it stands, and some mutants."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cosmic_ray")
pytest.importorskip("resource")

from cosmic_ray.mutating import mutate_code

from tests.mutation.mutants import Key, Module, mutants
from tests.mutation.operators import OPERATORS
from tests.mutation.runner import UNCHANGED, Worker
from tests.mutation.survivors import in_the_code, listed

ROOT = Path(__file__).parents[2]
SAMPLE = 60
SAMPLE_SECONDS = 60

EXAMPLE = '''
"""A module."""

from typing import TypeAlias

Number: TypeAlias = int | float


class Counter:
    """Counts."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count: int | None = 0

    @property
    def done(self) -> bool:
        """Whether it has counted to three."""
        return self.count is not None and self.count >= 3

    def add(self, numbers: list[int]) -> int:
        if numbers and all(numbers):
            self.count = max(self.count, 1)
        for number in numbers:
            self.count = self.count + number
        return self.count
'''


def changes() -> list[tuple[str, str]]:
    return [(mutant.key.before, mutant.key.after) for mutant in mutants(Module("example", EXAMPLE).sites())]


@pytest.mark.parametrize("operator", OPERATORS.values())
def test_operators_do_as_their_examples_say(operator: Any) -> None:
    for example in operator.examples():
        assert mutate_code(example.pre_mutation_code, operator(), example.occurrence) == example.post_mutation_code


def test_mutants_make_the_mistakes_that_people_make() -> None:
    made = changes()
    for before, after in [
        ("if numbers and all(numbers):", "if numbers or all(numbers):"),
        ("if numbers and all(numbers):", "if all(numbers):"),
        ("if numbers and all(numbers):", "if False:"),
        ("if numbers and all(numbers):", "if numbers and any(numbers):"),
        ("for number in numbers:", "for number in []:"),
        ("self.count = max(self.count, 1)", "pass"),
        ("self.count = max(self.count, 1)", "self.count = min(self.count, 1)"),
        ("self.count = max(self.count, 1)", "self.count = max(self.count, 2)"),
        ("self.count = self.count + number", "self.count = self.count - number"),
        ("return self.count", "return None"),
        ("return self.count is not None and self.count >= 3", "return self.count is not None and self.count > 3"),
        ("@property def done(self) -> bool:", "def done(self) -> bool:"),
    ]:
        assert (before, after) in made


def test_what_does_not_run_is_not_changed() -> None:
    assert not [
        before for before, _ in changes() if "TypeAlias" in before or "__slots__" in before or "module" in before
    ]
    assert [after for before, after in changes() if before == "self.count: int | None = 0"] == [
        "pass",
        "self.count: int | None = 1",
        "self.count: int | None = -1",
    ]


def test_every_mutant_is_a_program_with_one_change() -> None:
    for mutant in mutants(Module("example", EXAMPLE).sites()):
        compile(mutant.source, "mutant", "exec")
        changed = set(mutant.source.split("\n")) ^ set(EXAMPLE.split("\n"))
        assert 1 <= len(changed) <= 4, mutant


def test_a_line_that_comes_twice_is_numbered() -> None:
    twice = "def f(a):\n    a.x = 1\n    a.y = 2\n    a.x = 1\n"
    keys = [mutant.key for mutant in mutants(Module("example", twice).sites()) if mutant.key.after == "pass"]
    assert [(key.before, key.nth) for key in keys] == [("a.x = 1", 1), ("a.y = 2", 1), ("a.x = 1", 2)]


def test_what_is_on_the_list_is_in_the_code() -> None:
    entries = listed()
    found = {mutant.key for mutant in in_the_code(entries)}
    assert not [str(entry.key) for entry in entries if entry.key not in found]


def test_the_list_takes_no_entry_without_a_reason_and_none_twice(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    one = '{ module = "m", scope = "f", before = "a", after = "b" }'
    path.write_text(f'[[because]]\nreason = "it is so"\nmutants = [{one}]\n')
    assert [(entry.key, entry.reason) for entry in listed(path)] == [(Key("m", "f", "a", "b"), "it is so")]
    path.write_text(f'[[because]]\nreason = " "\nmutants = [{one}]\n')
    with pytest.raises(ValueError, match="expected a reason"):
        listed(path)
    path.write_text(f'[[because]]\nreason = "it is so"\nmutants = [{one}, {one}]\n')
    with pytest.raises(ValueError, match="twice"):
        listed(path)


@pytest.mark.slow
def test_a_worker_tells_mutants_that_are_noticed_from_those_that_are_not() -> None:
    worker = Worker(ROOT)
    try:
        assert worker.ask(UNCHANGED)["by"] is None
        text = (ROOT / "parking_lot_core" / "timers.py").read_text(encoding="utf-8")
        assert worker.ask({"module": "timers", "source": text + "\n_UNUSED = 1\n", "deep": False})["by"] is None
        wrong = text.replace("<= now", "< now")
        assert worker.ask({"module": "timers", "source": wrong, "deep": False})["by"].startswith("agreement: ")
        hangs = text + "\nwhile True:\n    pass\n"
        assert worker.ask({"module": "timers", "source": hangs, "deep": False})["by"] == "no end"
        assert worker.ask({"module": "timers", "source": "1 +", "deep": False})["by"] == "agreement: SyntaxError"
    finally:
        worker.close()


@pytest.mark.slow
def test_some_mutants_and_none_survives() -> None:
    """All of them take too long for every day: ``python -m tests.mutation``."""
    command = [
        sys.executable,
        "-m",
        "tests.mutation",
        "--sample",
        str(SAMPLE),
        "--seconds",
        str(SAMPLE_SECONDS),
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert figures["mutants_killed"] > 0
    assert figures["mutants_survived"] == []
