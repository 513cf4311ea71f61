"""The same digest over all golden vectors: under every hash seed, and on every supported Python that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attr
import attrs
import pytest

ROOT = Path(__file__).parents[1]
GOLDEN = (ROOT / "tests" / "vectors" / "digest.txt").read_text(encoding="ascii").strip()
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
pytestmark = pytest.mark.skipif(sys.platform == "emscripten", reason="a browser starts no processes")


@pytest.fixture(scope="module")
def nothing_but_attrs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the one dependency of the core, which is pure Python, for interpreters that lack it."""
    folder = tmp_path_factory.mktemp("attrs")
    for module in (attr, attrs):
        assert module.__file__ is not None
        source = Path(module.__file__).parent
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def digest(python: str, libraries: Path, *, hash_seed: str) -> str:
    """What a fresh interpreter makes of the vectors. ``-S``: it sees no package of its own."""
    environment = {
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join((str(libraries), str(ROOT))),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if "SYSTEMROOT" in os.environ:  # without which Python does not start on Windows
        environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
    done = subprocess.run(
        [python, "-S", "-m", "tests.vectors", "--digest"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@cache
def interpreter(version: str) -> str | None:
    """A Python of this version, such as ``3.12``: this one, one on the path, or one that pyenv has built."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    return next((found for found in _candidates(version) if _is(found, version)), None)


def _candidates(version: str) -> Iterator[str]:
    if (on_path := shutil.which(f"python{version}")) is not None:
        yield on_path
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from (str(found) for found in sorted(pyenv.glob(f"{version}.*/bin/python")))


def _is(python: str, version: str) -> bool:
    """Whether it starts and says that it is of this version; a shim of pyenv may do neither."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and done.stdout.strip() == version


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_the_digest_is_the_same_under_every_hash_seed(nothing_but_attrs: Path, hash_seed: str) -> None:
    assert digest(sys.executable, nothing_but_attrs, hash_seed=hash_seed) == GOLDEN


@pytest.mark.parametrize("version", SUPPORTED)
def test_the_digest_is_the_same_on_every_python(nothing_but_attrs: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    assert digest(python, nothing_but_attrs, hash_seed="77") == GOLDEN


def test_a_supported_python_is_never_forgotten() -> None:
    """The list above is the one that the package promises."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"Programming Language :: Python :: {version}"' in text for version in SUPPORTED)
    assert text.count('"Programming Language :: Python :: 3.') == len(SUPPORTED)
