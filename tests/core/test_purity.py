"""What the core may bring with it, and that the same events give the same bytes in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform == "emscripten", reason="a browser starts no processes")

IMPORTS = """
import sys
before = set(sys.modules)
import parking_lot_core
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - sys.stdlib_module_names))
"""

SAYS = """
import hashlib, random
from parking_lot_core import Scheduler
from parking_lot_core.testing.properties import transcript
from parking_lot_core.testing.worlds import Climate, Dice, make_world
digest = hashlib.sha256()
for seed in range(60):
    world = make_world(Dice(random.Random(seed).randrange), Climate(), 40)
    digest.update(transcript(Scheduler, world).encode())
print(digest.hexdigest())
"""


def answer(program: str, *, hash_seed: str) -> str:
    """What a fresh interpreter prints."""
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_core_brings_attrs_and_nothing_else() -> None:
    assert answer(IMPORTS, hash_seed="0").split() == ["attr", "attrs", "parking_lot_core"]


def test_determinism_under_every_hash_seed() -> None:
    said = {seed: answer(SAYS, hash_seed=seed) for seed in ("0", "1", "4242")}
    assert len(said["0"]) == 64
    assert len(set(said.values())) == 1, said
