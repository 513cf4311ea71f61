"""The README's section on Postgres, done as a reader would, on a real server."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REPOSITORY
from tests.cli.lots import ended

SECTION = re.search(r"^## Postgres\n(.*?)^## ", (REPOSITORY / "README.md").read_text(), flags=re.M | re.S)
assert SECTION is not None
TEXT = SECTION[1]


def block(mark: str, language: str) -> str:
    """The code block under this comment."""
    found = re.search(rf"^<!-- {mark} -->\n```{language}\n(.*?)^```$", TEXT, flags=re.M | re.S)
    assert found is not None, mark
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the section, and the variable that it sets."""
    monkeypatch.setenv("PARKING_LOT_DATABASE_URL", database_url)
    code, *_ = re.findall(r"^```python\n(.*?)^```$", TEXT, flags=re.M | re.S)
    (tmp_path / "my_agent.py").write_text(code)
    (tmp_path / "lot.json").write_text(block("file: lot.json", "json"))
    return tmp_path


def start(line: str, folder: Path) -> subprocess.Popen[str]:
    program, *arguments = shlex.split(line)
    assert program == "parking-lot"
    return subprocess.Popen(
        [sys.executable, "-m", "parking_lot_drivers", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize("number_of_hosts", [1, 4])
def test_the_section_on_postgres(folder: Path, number_of_hosts: int) -> None:
    migrate, work = block("commands: postgres, hosts", "sh").splitlines()
    made = ended(start(migrate, folder))
    assert made.returncode == 0, made.stderr
    hosts = [start(work, folder) for _ in range(number_of_hosts)]
    try:
        said = []
        for line in block("commands: postgres, clients", "sh").splitlines():
            done = ended(start(line, folder))
            assert done.returncode == 0, (line, done.stderr)
            said.append(done.stdout)
    finally:
        for host in hosts:
            host.send_signal(signal.SIGTERM)
        ends = [ended(host) for host in hosts]
    assert [end.returncode for end in ends] == [0] * number_of_hosts, ends[0].stderr
    assert said[:3] == ["42\n", "four\n", "8\n"]
    assert "2 ended" in said[3]
    assert [line.split()[3] for line in said[4].splitlines()[1:]] == ["Enqueue", "Start", "Deliver"]
    assert said[5] == "pool cloud: 0 outcomes, 0 archived tasks, 0 audit records\n"


def test_the_configurations_of_the_section_are_good() -> None:
    from parking_lot_drivers.config import settings_from

    shown = re.findall(r"^```json\n(.*?)^```$", TEXT, flags=re.M | re.S)
    assert [list(settings_from(json.loads(text)).pools) for text in shown] == [["cloud"], ["web"]]


def test_every_key_of_a_queue_is_told() -> None:
    from parking_lot_drivers.config import schema

    queues = schema()["properties"]["pools"]["additionalProperties"]["properties"]["queue"]["oneOf"]
    keys = {key for queue in queues[2:] for key in queue["properties"]} - {"type"}
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, flags=re.M)) == keys
