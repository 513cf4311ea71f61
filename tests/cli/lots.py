"""A folder with a configuration and tasks, and the command run in it, in processes of their own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from parking_lot_drivers.cli import main
from tests.cli.conftest import REPOSITORY

#: Tasks log their start and end, one short line each, so that a test can tell what ran, when and under which host.
TASKS = """\
import os, time

def note(*words):
    with open(LOG, "a") as log:
        log.write(" ".join(map(str, words)) + "\\n")

def work(payload):
    note("start", payload["n"], payload.get("units", 1), os.getppid(), os.getpid())
    time.sleep(payload.get("s", 0.01))
    note("end", payload["n"], payload.get("units", 1), os.getppid(), os.getpid())
    if payload.get("print"):
        print("printed by", payload["n"])
    if "error" in payload:
        raise ValueError(payload["error"])
    return {"n": payload["n"]}
"""


class LotFolder:
    """``lot.json`` with the pool ``p`` in ``folder``, and what tasks logged there."""

    def __init__(self, folder: Path, *, executor: str = "thread", **pool: Any) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.results_file = folder / "results.jsonl"
        (folder / "lot_tasks.py").write_text(f"LOG = {str(self.log)!r}\n{TASKS}")
        section = {
            "max_units": 4,
            "max_attempts": 10,
            "retry_backoff": 0.01,
            "queue": {"type": "yaque", "path": "data"},
            "executor": {"type": executor, "target": "lot_tasks:work"},
            **pool,
        }
        (folder / "lot.json").write_text(json.dumps({"pools": {"p": section}}))
        self._started: list[subprocess.Popen[str]] = []

    def write_jobs(self, jobs: Iterable[object], name: str = "jobs.jsonl") -> None:
        """One line for each; texts are written as they are."""
        lines = [job if isinstance(job, str) else json.dumps(job) for job in jobs]
        (self.folder / name).write_text("".join(line + "\n" for line in lines), encoding="utf-8")

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Start the command. Output is kept unless ``options`` say otherwise."""
        process = subprocess.Popen(
            [sys.executable, "-m", "parking_lot_drivers", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "80"},
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8", **options},
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._started:
            process.kill()
            process.communicate()

    def start_batch(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """Start a batch over ``jobs.jsonl``."""
        return self.start("batch", "lot.json", "-i", "jobs.jsonl", "-o", "results.jsonl", *arguments, **options)

    def batch(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a batch over ``jobs.jsonl`` to its end."""
        return ended(self.start_batch(*arguments))

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return ended(self.start(*arguments))

    def run_here(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command in this process: quicker, and as good where nothing lives on after it."""
        words = list(map(str, arguments))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def results(self) -> list[dict[str, Any]]:
        """The results file, which must be whole."""
        text = self.results_file.read_text(encoding="utf-8")
        assert text == "" or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    def logged(self, word: str) -> list[list[int]]:
        """What tasks logged with ``word``: n, units, pid of the host, pid of the worker."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [[int(part) for part in line.split()[1:]] for line in lines if line.startswith(f"{word} ")]

    def most_units_at_a_time(self) -> int:
        """The most units that tasks of one host took, by the log, in which a run is never longer than it really was."""
        most, taken = 0, {}
        for line in self.log.read_text().splitlines():
            word, _, units, host, _ = line.split()
            taken[host] = taken.get(host, 0) + (int(units) if word == "start" else -int(units))
            most = max(most, taken[host])
        return most


MakeLot = Callable[..., LotFolder]


def _own_terminal() -> None:
    """Make standard input the controlling terminal, so that Ctrl-C arrives as a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


#: Options for a process whose standard input is a pseudo-terminal.
AT_A_TERMINAL = {"start_new_session": True, "preexec_fn": _own_terminal}


def ended(process: subprocess.Popen[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def until(condition: Callable[[], bool], timeout: float = 30) -> None:
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
