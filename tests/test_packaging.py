"""What an installation without extras can do, and says about the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# Stands for an environment where the optional packages are not installed.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"anyio", "sqlalchemy", "trio", "yaml", "typer", "rich", "magika", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Run code as if nothing but attrs and cattrs were installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_core_needs_nothing_optional() -> None:
    done = without_extras("import parking_lot_core as c; print(c.Scheduler(c.PoolConfig(max_units=1)).devices[0].free)")
    assert done.stdout.strip() == "1", done.stderr


def test_the_pool_names_the_extra_that_it_needs() -> None:
    done = without_extras("from parking_lot_drivers import ResourcePool")
    assert "ResourcePool needs the package anyio" in done.stderr
    assert "pip install 'prometheus-parking-lot[local]'" in done.stderr


def test_the_command_line_names_the_extra_that_it_needs() -> None:
    done = without_extras("from parking_lot_drivers.cli import main; sys.exit(main(['--help']))")
    assert done.returncode == 2
    assert "prometheus-parking-lot[cli]" in done.stderr
    assert "Traceback" not in done.stderr
