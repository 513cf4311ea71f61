"""``python -m benchmarks proof``: what it counts, and that it says so when something is wrong."""

from __future__ import annotations

import json

import pytest

from parking_lot_core.testing import broken
from parking_lot_core.testing.explore import WORLDS

bounds = pytest.importorskip("benchmarks._proof_bounds")
proof = pytest.importorskip("benchmarks.proof")
command = pytest.importorskip("benchmarks.__main__")


def test_it_explores_and_simulates_within_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["proof", "--json", "--states", "200", "--seeds", "2", "--only", "explore", "--only", "simulate"]
    assert command.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {
        *("states_explored", "states_per_s", "seeds_run", "simulated_hours_per_minute", "faults_injected", "violations")
    }
    assert 200 <= found["states_explored"] < 2_000
    assert found["states_per_s"] > 0
    assert found["seeds_run"] == 2
    assert found["simulated_hours_per_minute"] > 0
    assert all(type(count) is int for count in found["faults_injected"].values())
    assert found["violations"] == 0


def test_figures_stand_beside_their_goals(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["proof", "--states", "50", "--only", "explore"]) == 0
    shown = capsys.readouterr().out
    assert "goal ≥ 1,000,000: missed" in shown
    assert "goal ≤ 0: met" in shown


def test_what_is_wrong_is_counted_and_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def explored(given: object) -> object:
        return proof.explored(given, broken.StartsTwice, [WORLDS["window"]])

    monkeypatch.setitem(proof._PARTS, "explore", explored)
    assert command.main(["proof", "--states", "500", "--only", "explore"]) == 1
    said = capsys.readouterr()
    assert "goal ≤ 0: missed" in said.out
    assert "config " in said.err
    assert "submit " in said.err


@pytest.mark.slow
def test_it_examines_mutants(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["proof", "--json", "--mutants", "2", "--only", "mutate"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mutants"] == 2
    assert found["mutants_killed"] <= 2
    assert found["mutation_score"] == found["mutants_killed"] / 2


def test_bounds_as_they_are_typed() -> None:
    assert _read() == proof.Bounds()
    assert _read("--states", "7") == proof.Bounds(states=7, explore_seconds=None)
    assert _read("--states", "7", "--explore-seconds", "2.5") == proof.Bounds(states=7, explore_seconds=2.5)
    assert _read("--mutants", "0") == proof.Bounds(mutants=None, mutate_seconds=None)
    assert _read("--seeds", "3", "--first-seed", "9") == proof.Bounds(seeds=3, first_seed=9, simulate_seconds=None)


def _read(*words: str) -> object:
    return bounds.read(command._parser().parse_args(["proof", *words]))


@pytest.mark.parametrize("words", [["--states", "-1"], ["--explore-seconds", "inf"], ["--only", "dance"], ["more"]])
def test_bounds_that_are_none(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["proof", *words])
    assert "error:" in capsys.readouterr().err
