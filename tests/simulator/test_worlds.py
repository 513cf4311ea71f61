"""Worlds of many seeds, and the worlds in which there is a death at each gap."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator import Run, run_seeds, simulate
from tests.simulator.__main__ import main
from tests.simulator.plan import short
from tests.simulator.run import BACKENDS, play
from tests.simulator.stores import KINDS

_ROOT = Path(__file__).parents[2]


def told(summary: object) -> str:
    """What to print of failures."""
    return "\n".join(f"{run.again}\n    {run.violations[:3]}" for run in summary.failures)  # type: ignore[attr-defined]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_worlds_are_without_fault(backend: str) -> None:
    summary = run_seeds(range(15), backends=[backend])
    assert not summary.failures, told(summary)
    assert summary.seeds_run == 15
    assert summary.simulated_s > 60
    assert summary.faults_injected["kill"] > 0
    assert summary.faults_injected["commit lied"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(4))
def test_many_worlds_are_without_fault(part: int) -> None:
    for backend, count in (("asyncio", 400), ("trio", 125)):
        summary = run_seeds(range(1000 * part, 1000 * part + count), backends=[backend])
        assert not summary.failures, told(summary)


GAPS = [(kind, hosts) for kind in KINDS for hosts in ([1, 2] if kind.startswith("shared") else [1])]


def _die_at_each_gap(kind: str, hosts: int, backend: str) -> None:
    gaps = play(short(kind, hosts, 0), backend).gaps
    assert gaps > 40
    for gap in range(1, gaps + 1):
        run = play(short(kind, hosts, gap), backend)
        assert not run.violations, (gap, run.violations, run.trace)
        assert run.faults.total() == 1, (gap, run.faults)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_death_at_each_gap_loses_nothing(backend: str) -> None:
    _die_at_each_gap("memory", 1, backend)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "hosts"), [pair for pair in GAPS if pair[0] != "memory"])
def test_a_death_at_each_gap_loses_nothing_in_any_store(kind: str, hosts: int, backend: str) -> None:
    _die_at_each_gap(kind, hosts, backend)


_SEEDS = {kind: seed for seed, kind in enumerate(KINDS)}


def digests() -> str:
    """Of one world of each kind, on each backend."""
    return "\n".join(
        simulate(seed, backend=backend, store=kind).digest for kind, seed in _SEEDS.items() for backend in BACKENDS
    )


def test_a_seed_is_one_run_byte_for_byte_also_in_another_process_under_another_seed_of_the_hash() -> None:
    here = digests()
    assert len(set(here.split())) == 2 * len(_SEEDS)
    assert digests() == here
    there = subprocess.run(
        [sys.executable, "-c", "from tests.simulator.test_worlds import digests; print(digests())"],
        cwd=_ROOT,
        env=os.environ | {"PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert there == here + "\n"


#: A world in which the clock jumps.
JUMPS = 8


def test_both_backends_run_the_same_world() -> None:
    one, other = (simulate(JUMPS, backend=backend, store="sqlite") for backend in BACKENDS)

    def fate(run: Run) -> list[str]:
        return [line for line in run.trace if "  clock  " in line or "no more faults" in line]

    assert fate(one) == fate(other)
    assert len(fate(one)) > 1
    assert one.digest != other.digest


def test_the_command_line_tells_what_it_has_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "2", "--store", "memory", "--backend", "both", "--json"]) == 0
    out = capsys.readouterr().out
    assert '"seeds_run": 4' in out
    assert '"violations": 0' in out
    assert main(["--seed", "1", "--store", "memory", "--trace"]) == 0
    out = capsys.readouterr().out
    assert "host-0.1     is open" in out
    assert "no more faults" in out
    assert main(["--seeds", "1", "--seconds", "2"]) == 0
    assert "virtual hours per minute" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trace"], "expected together with --seed"),
        (["--seconds", "0"], "expected a number > 0, got 0"),
        (["--seeds", "0"], "invalid integer ≥ 1 value: '0'"),
        (["--store", "cloud"], "invalid choice: 'cloud'"),
    ],
)
def test_bad_arguments_are_told(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert words in capsys.readouterr().err
