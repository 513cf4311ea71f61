"""The page for strangers works as printed: each block is run as it stands, and prints what stands below it.

``pytest tests/testing/test_page.py --rewrite`` writes down what the blocks print. A person reads the difference.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from parking_lot_core.testing.invariants import INVARIANTS
from tests.test_documents import ROOT, run

PAGE = ROOT / "parking_lot_core/testing/README.md"


@attrs.frozen
class Block:
    """A program on the page; what it prints according to the page, if the page says so; whether pytest runs it."""

    code: str
    printed: str
    for_pytest: bool


def blocks() -> list[Block]:
    """The fenced blocks, each program with the output that follows before the next program."""
    found: list[Block] = []
    marked = False
    for mark, language, text in re.findall(r"^(<!-- run with pytest -->)$|^```(\w+)\n(.*?)^```$", page(), re.M | re.S):
        if mark:
            marked = True
        elif language == "python":
            found.append(Block(text, "", marked))
            marked = False
        elif language == "text":
            found[-1] = attrs.evolve(found[-1], printed=text)
    return found


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


BLOCKS = blocks()


@pytest.mark.parametrize("number", [n for n, block in enumerate(BLOCKS) if not block.for_pytest])
def test_a_block_prints_what_stands_below_it(number: int, tmp_path: Path, rewrite: bool) -> None:
    block = BLOCKS[number]
    printed = run(block.code, tmp_path).rstrip("\n") + "\n"
    if rewrite and block.printed:
        PAGE.write_text(page().replace(f"```text\n{block.printed}```", f"```text\n{printed}```", 1), encoding="utf-8")
    elif block.printed:
        assert printed == block.printed


@pytest.mark.parametrize("number", [n for n, block in enumerate(BLOCKS) if block.for_pytest])
def test_a_block_for_pytest_passes(number: int, tmp_path: Path) -> None:
    (tmp_path / "test_block.py").write_text(BLOCKS[number].code)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_block.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_page_has_what_it_promises() -> None:
    """Twenty lines, and of every kind of program one; the policy and its verification are no more than that."""
    assert [block.for_pytest for block in BLOCKS].count(True) == 1
    assert len([block for block in BLOCKS if block.printed]) == 4
    lines = [line for line in BLOCKS[0].code.splitlines() if line]
    assert len(lines) <= 20, lines


def test_the_table_is_what_the_code_says() -> None:
    rows = [f"| `{name}` | {one.says} |" for name, one in INVARIANTS.items()]
    assert "\n".join(["| name | says |", "|---|---|", *rows]) + "\n\n" in page()
    assert [one.number for one in INVARIANTS.values()] == list(range(1, 15))


@pytest.mark.parametrize("name", re.findall(r"\]\(([\w./]+\.(?:py|md))\)", page()))
def test_links_lead_somewhere(name: str) -> None:
    assert (PAGE.parent / name).exists()
