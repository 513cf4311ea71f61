"""A project of a stranger's, in a folder of its own, in which pytest is run as a stranger would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import attrs

ROOT = Path(__file__).parent.parent.parent
STRANGERS = Path(__file__).parent / "strangers"


@attrs.frozen
class Result:
    """What pytest says of one test: ``case`` is module and class, ``test`` is without parameters."""

    case: str
    test: str
    failure: str | None
    error: str | None
    skipped: str | None
    parameters: str


class Project:
    """Files, and pytest with warnings as errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")

    def write(self, name: str, text: str) -> None:
        """A file of the project."""
        (self.folder / name).write_text(text)

    def copy(self, name: str) -> None:
        """A file of the project, from ``strangers``."""
        shutil.copy(STRANGERS / name, self.folder)

    def run(self, code: str) -> str:
        """Run a program; what it prints."""
        return self._run([sys.executable, "-W", "error", "-c", code], {0})

    def pytest(self, *arguments: str) -> list[Result]:
        """Run pytest. Fails if it could not run the tests."""
        report = self.folder / "report.xml"
        options = ["-q", "--tb=short", f"--junitxml={report}", "-p", "no:cacheprovider"]
        self._run([sys.executable, "-m", "pytest", *options, *arguments], {0, 1})
        return [_result(case) for case in ET.parse(report).iter("testcase")]

    def _run(self, command: list[str], codes: set[int]) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.pop("PYTEST_ADDOPTS", None)
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode in codes, done.stdout[-5000:] + done.stderr[-5000:]
        return done.stdout


def _result(case: ET.Element) -> Result:
    name = str(case.get("name"))
    return Result(
        case=str(case.get("classname")),
        test=name.partition("[")[0],
        parameters=name.partition("[")[2].rstrip("]"),
        failure=_text(case.find("failure")),
        error=_text(case.find("error")),
        skipped=_text(case.find("skipped")),
    )


def _text(element: ET.Element | None) -> str | None:
    return None if element is None else f"{element.get('message')}\n{element.text}"
