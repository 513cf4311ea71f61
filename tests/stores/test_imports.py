"""What the stores need installed, and what they do without."""

from __future__ import annotations

import subprocess
import sys

WITHOUT_SQLALCHEMY = "import sys; sys.modules['sqlalchemy'] = None\n"


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_without_sqlalchemy_the_error_names_the_extra() -> None:
    program = """
from parking_lot_drivers.errors import MissingExtra
try:
    import parking_lot_drivers.stores.sqlite
except MissingExtra as error:
    print(error)
"""
    assert "SQLAlchemy, which is not installed: pip install 'prometheus-parking-lot[local]'" in run(
        WITHOUT_SQLALCHEMY + program
    )


def test_the_memory_store_needs_neither_sqlalchemy_nor_sqlite() -> None:
    program = """
sys.modules['sqlite3'] = None
import anyio
from parking_lot_core import Checkpoint
from parking_lot_drivers.ports import Batch
from parking_lot_drivers.stores.memory import MemoryQueue, MemoryMailbox

async def main():
    queue = MemoryQueue()
    await queue.open()
    await queue.save(Batch(checkpoint=Checkpoint()))
    print(queue.adopt(MemoryMailbox()), len((await queue.load()).tasks))

anyio.run(main)
"""
    assert run(WITHOUT_SQLALCHEMY + program).split() == ["True", "0"]


def test_importing_the_package_imports_no_store() -> None:
    program = "import sys, parking_lot_drivers.stores; print('sqlalchemy' in sys.modules, 'sqlite3' in sys.modules)"
    assert run(program).split() == ["False", "False"]
