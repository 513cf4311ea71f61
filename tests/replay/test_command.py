"""``parking-lot replay`` as a person, or a script, runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from parking_lot_core import PoolConfig
from parking_lot_drivers.cli import main
from parking_lot_drivers.replay import Arrival, replay
from tests.replay.conftest import CONFIG, TRACE


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Standard output of a command that ends with this exit code; standard error if it fails."""
    assert main(["replay", *arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    answer = json.loads(run(capsys, *arguments, "--json"))
    assert isinstance(answer, dict)
    return answer


EXAMPLE = (str(TRACE), "--config", str(CONFIG))


def test_the_json_holds_the_figures_of_the_library(capsys: pytest.CaptureFixture[str], arrivals: list[Arrival]) -> None:
    answer = run_json(capsys, *EXAMPLE, "--limit", "800", "--units", "16,24")
    assert [one["capacity"] for one in answer["replays"]] == [16, 24]
    for one in answer["replays"]:
        policy = PoolConfig(max_units=one["capacity"], timeout=30, backfill_window=2)
        expected = replay(policy, arrivals[:800]).as_dict()
        changing = {"wall_s", "events_per_s"}
        assert {k: v for k, v in one.items() if k not in changing} == {
            k: v for k, v in json.loads(json.dumps(expected)).items() if k not in changing
        }
        assert one["events_per_s"] == pytest.approx(one["events"] / one["wall_s"])


def test_the_table_compares_the_budgets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plot = tmp_path / "plot.html"
    out = run(capsys, *EXAMPLE, "--limit", "800", "--units", "16,24,32", "--plot", str(plot))
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]] for cells in map(_cells, out.splitlines()) if cells
    }
    assert rows["requests"] == ["800", "800", "800"]
    assert rows["device 0: most in use"] == ["16 of 16", "24 of 24", "30 of 32"]
    assert {f"wait, {name}, p95" for name in ("all", "critical", "high", "normal", "low")} < set(rows)
    assert "16 units" in out
    assert "Assumed: 524,288 bytes of KV cache per token" in out
    assert "800 requests" in plot.read_text(encoding="utf-8")


def _cells(line: str) -> list[str]:
    return line.split("│") if line.startswith("│") else []


def test_without_units_the_pool_of_the_config_is_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    answer = run_json(capsys, *EXAMPLE, "--limit", "100")
    assert [one["capacity"] for one in answer["replays"]] == [16]
    assert answer["model"]["unit_bytes"] == 2**30


def test_assumptions_can_be_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "lot.json"
    config.write_text(json.dumps({"pools": {"a": {"max_units": 64}, "b": {"devices": {"x": 9, "y": 5}}}}))
    options = ["--limit", "300", "--model", "llama-2-13b", "--unit", "GB", "--speed", "2", "--decode", "40"]
    options += ["--prefill", "5000", "--shares", "high=1,low=3", "--failure-rate", "0.1"]
    answer = run_json(capsys, str(TRACE), "--config", str(config), "--pool", "b", *options)
    assert answer["speed"] == 2
    assert answer["model"] == {
        "kv_bytes_per_token": 819_200,
        "unit_bytes": 10**9,
        "prefill_tokens_per_s": 5000,
        "decode_tokens_per_s": 40,
        "shares": {"high": 1, "low": 3},
        "failure_rate": 0.1,
    }
    (one,) = answer["replays"]
    assert [use["device"] for use in one["devices"]] == ["x", "y"]
    assert one["retries"] > 0
    assert one["wait_s_by_priority"]["critical"]["count"] == 0 < one["wait_s_by_priority"]["low"]["count"]


def test_the_figures_do_not_depend_on_the_hash_seed() -> None:
    def figures(seed: str) -> Any:
        command = [sys.executable, "-m", "parking_lot_drivers", "replay", *EXAMPLE, "--limit", "500", "--json"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        (one,) = json.loads(out)["replays"]
        return {k: v for k, v in one.items() if k not in ("wall_s", "events_per_s")}

    assert figures("1") == figures("2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--units", "0"], "--units: expected integers ≥ 1 with commas between them, as in 16,24,32; got '0'"),
        (["--units", "16;24"], "got '16;24'"),
        (["--speed", "0"], "--speed: speed: expected a number > 0, got 0"),
        (["--speed", "nan"], "--speed: speed: expected a number > 0, got nan"),
        (["--limit", "0"], "--limit"),
        (["--plot", "plot.pdf"], "--plot: plot: expected a file name that ends in .png or .html, got 'plot.pdf'"),
        (["--plot", "none/plot.png"], "expected a file in a folder that exists, got 'none/plot.png'"),
        (["--model", "gpt"], "--model: expected one of llama-2-7b, llama-2-13b, llama-2-70b, got 'gpt'"),
        (["--unit", "GiBs"], "--unit: expected one of B, "),
        (["--shares", "low"], "--shares: expected shares such as critical=5,high=15,normal=60,low=20, got 'low'"),
        (["--shares", "low=-1"], "expected a share ≥ 0 by priority"),
        (["--decode", "0"], "decode_tokens_per_s: expected tokens per second > 0, got 0"),
        (["--failure-rate", "1"], "failure_rate: expected a number ≥ 0 and < 1, got 1"),
        (["--pool", "disk"], 'no pool is named "disk"; there are gpu'),
    ],
)
def test_bad_arguments_are_named(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in run(capsys, *EXAMPLE, *arguments, code=2)


def test_bad_files_are_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 00:00:01,some,2\n")
    err = run(capsys, str(trace), "--config", str(CONFIG), code=2)
    assert f"{trace}, line 2, column ContextTokens: expected an integer from 0 to 999,999,999, got 'some'" in err
    assert "none.json" in run(capsys, str(TRACE), "--config", str(tmp_path / "none.json"), code=2)


def test_which_pool_and_which_budget_must_be_clear(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = tmp_path / "lot.json"
    config.write_text(json.dumps({"pools": {"a": {"max_units": 8}, "b": {"devices": {"x": 9, "y": 5}}}}))
    arguments = (str(TRACE), "--config", str(config))
    assert "has several pools; name one of a, b" in run(capsys, *arguments, code=2)
    err = run(capsys, *arguments, "--pool", "b", "--units", "16", code=2)
    assert "--units: replaces max_units, and the pool has devices instead: x, y" in err
