"""``parking-lot batch`` as people run it: in processes of its own, killed, stopped, run again, run twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.lots import AT_A_TERMINAL, MakeLot, alive, ended, until


def job(n: int, units: int = 1, **payload: Any) -> dict[str, Any]:
    return {"units": units, "payload": {"n": n, "units": units, **payload}}


def test_results_summary_and_exit_code(make_lot: MakeLot) -> None:
    lot = make_lot(max_attempts=1)
    lot.write_jobs([job(0), "", job(1, 4, error="no such thing"), job(2, print=True), "[1]", job(3, 5)])
    done = lot.batch()
    assert done.returncode == 1
    assert {result["line"]: result["status"] for result in lot.results()} == {
        1: "succeeded",
        3: "failed",
        4: "succeeded",
        5: "invalid",
        6: "invalid",
    }
    first, *rest = done.stdout.splitlines()
    assert first == "5 of 5 lines ended, with results in results.jsonl:"
    assert sorted(line.strip() for line in rest[:3]) == ["1 failed", "2 invalid", "2 succeeded"]
    assert rest[3].startswith("5 results in ")
    assert "line 5: expected a JSON object" in done.stderr
    assert "line 6: the task needs 5 units, and the largest device has 4" in done.stderr
    assert "printed by 2" in done.stderr


def test_all_is_well_and_a_script_reads_json(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.write_jobs(job(n, print=True) for n in range(5))
    done = lot.batch("--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["seconds"] > 0
    assert told["results_per_s"] == pytest.approx(5 / told["seconds"], rel=0.1)
    assert {key: told[key] for key in ("lines", "results", "results_from_earlier_runs", "by_status", "exit_code")} == {
        "lines": 5,
        "results": 5,
        "results_from_earlier_runs": 0,
        "by_status": {"succeeded": 5},
        "exit_code": 0,
    }
    again = json.loads(lot.batch("--json").stdout)
    assert (again["results"], again["results_from_earlier_runs"]) == (5, 5)
    assert len(lot.logged("start")) == 5


def test_what_others_submitted_is_left_to_them(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.run_here("submit", "lot.json", json.dumps({"n": 9}), "--delay", "1h", "--id", "later")
    lot.run_here("submit", "lot.json", json.dumps({"n": 8}), "--id", "now")
    lot.write_jobs([job(0, s=0.3)])
    done = lot.batch()
    assert done.returncode == 0
    assert "note: the lot holds 1 other task: parking-lot work lot.json --pool p" in done.stderr
    assert [result["line"] for result in lot.results()] == [1]
    assert json.loads(lot.run_here("fetch", "lot.json", "now").stdout) == {"n": 8}
    assert "it is not to start for 59 min" in lot.run_here("status", "lot.json", "later").stdout


def test_nothing_to_do_is_fine(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.write_jobs(["", "  "])
    done = lot.batch()
    assert (done.returncode, lot.results()) == (0, [])
    assert done.stdout.startswith("0 of 0 lines ended")


def test_killed_twice_it_finishes_in_the_third_run(make_lot: MakeLot) -> None:
    lot = make_lot(executor="process")
    pick = random.Random(7)
    jobs = [job(n, pick.randint(1, 4), s=pick.uniform(0, 0.03)) for n in range(240)]
    lot.write_jobs(jobs)
    for part in (0.2, 0.5):
        running = lot.start_batch(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        enough = part * len(jobs) + pick.randint(0, 40)
        until(lambda enough=enough: len({n for n, *_ in lot.logged("end")}) >= enough)  # type: ignore[misc]
        running.send_signal(signal.SIGKILL)
        assert running.wait() == -signal.SIGKILL
        until(lambda: not any(alive(worker) for *_, worker in lot.logged("start")))
    done = lot.batch()
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "240 of 240 lines ended, with results in results.jsonl:",
    )
    results = lot.results()
    assert sorted(result["line"] for result in results) == list(range(1, 241))
    assert len({result["id"] for result in results}) == 240
    assert [result["result"]["n"] for result in sorted(results, key=lambda r: r["line"])] == list(range(240))
    assert lot.most_units_at_a_time() <= 4
    assert len({host for _, _, host, _ in lot.logged("start")}) == 3
    # Only what was running when a host died has run twice.
    assert len(lot.logged("start")) <= 240 + 2 * 4
    log, whole = lot.log.read_text(), lot.results_file.read_bytes()
    assert lot.batch().returncode == 0
    assert (lot.log.read_text(), lot.results_file.read_bytes()) == (log, whole)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_order_and_the_next_run_goes_on(make_lot: MakeLot, stop: signal.Signals) -> None:
    lot = make_lot(executor="process")
    lot.write_jobs(job(n, s=0.15) for n in range(24))
    running = lot.start_batch("--json")
    until(lambda: len(lot.logged("end")) >= 6)
    running.send_signal(stop)
    done = ended(running)
    assert done.returncode == 130
    assert "stopping: what runs has 10 s to finish" in done.stderr
    told = json.loads(done.stdout)
    assert told["exit_code"] == 130
    assert 6 <= told["results"] < 24
    # What was running has finished, and its result is in the file.
    assert len(lot.logged("start")) == len(lot.logged("end")) == told["results"] == len(lot.results())
    assert lot.batch().returncode == 0
    assert len(lot.results()) == 24
    assert len(lot.logged("start")) == 24


def test_what_does_not_finish_in_its_grace_is_handed_back(make_lot: MakeLot) -> None:
    lot = make_lot(executor="process", max_attempts=1)
    lot.write_jobs([job(0), job(1, s=1.5)])
    running = lot.start_batch("--grace", "0.1")
    until(lambda: len(lot.logged("end")) >= 1 and len(lot.logged("start")) == 2)
    running.send_signal(signal.SIGINT)
    done = ended(running)
    assert done.returncode == 130
    assert "1 of 2 lines ended" in done.stdout
    assert "run the same command again to continue" in done.stderr
    assert lot.batch().returncode == 0  # the run that was cut short does not count as an attempt
    assert sorted(result["line"] for result in lot.results()) == [1, 2]


def test_a_second_signal_leaves_at_once_and_loses_nothing(make_lot: MakeLot) -> None:
    lot = make_lot(executor="process")
    lot.write_jobs([job(0), job(1, s=2)])
    running = lot.start_batch("--grace", "50")
    until(lambda: len(lot.logged("end")) >= 1 and len(lot.logged("start")) == 2)
    running.send_signal(signal.SIGINT)
    assert running.stderr is not None
    assert "stopping" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    assert ended(running, timeout=1.5).returncode == 130
    until(lambda: not any(alive(worker) for *_, worker in lot.logged("start")))
    assert lot.batch().returncode == 0
    assert sorted(result["line"] for result in lot.results()) == [1, 2]


def test_a_torn_file_and_a_mended_line(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.write_jobs([job(0), '{"payload": ', job(2)])
    assert lot.batch().returncode == 1
    with lot.results_file.open("ab") as file:
        file.write(b'{"id":"line-12')
    lot.write_jobs([job(0), job(1), job(2)])
    done = lot.batch("--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert {result["line"]: result["result"]["n"] for result in lot.results()} == {1: 0, 2: 1, 3: 2}
    assert len(lot.results()) == 3
    assert sorted(n for n, *_ in lot.logged("start")) == [0, 1, 2]


def test_a_lost_results_file_is_written_again_from_the_mailbox(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.write_jobs(job(n) for n in range(30))
    lot.batch()
    before = sorted(lot.results(), key=lambda result: result["line"])
    lot.results_file.unlink()
    assert lot.batch().returncode == 0
    assert sorted(lot.results(), key=lambda result: result["line"]) == before
    assert len(lot.logged("start")) == 30


def test_two_batches_on_one_lot(make_lot: MakeLot, tmp_path: Path) -> None:
    lot = make_lot(executor="process")
    lot.write_jobs([job(0), job(1, s=60), job(2)])
    lot.write_jobs([job(99)], "other.jsonl")
    first = lot.start_batch("--grace", "0")
    until(lambda: len(lot.logged("end")) == 2)
    second = lot.run("batch", "lot.json", "-i", "other.jsonl", "-o", "other.results.jsonl")
    same = lot.batch("--json")
    assert second.returncode == same.returncode == 3
    assert second.stdout == ""
    assert second.stderr.startswith("error: ")
    assert f"is scheduled by process {first.pid} on " in second.stderr
    assert json.loads(same.stdout)["error"]["type"] == "StoreInUse"
    assert not (tmp_path / "other.results.jsonl").exists()
    first.send_signal(signal.SIGINT)
    assert ended(first).returncode == 130
    assert sorted(result["line"] for result in lot.results()) == [1, 3]
    assert 99 not in {n for n, *_ in lot.logged("start")}


def test_standard_input_is_a_job_list_too(make_lot: MakeLot) -> None:
    lot = make_lot()
    text = "".join(json.dumps(job(n)) + "\n" for n in range(5))
    for runs in (1, 2):
        process = lot.start("batch", "lot.json", "--input", "-", "--output", "results.jsonl", stdin=subprocess.PIPE)
        out, err = process.communicate(text, timeout=60)
        assert (process.returncode, err) == (0, ""), runs
        assert out.startswith("5 of 5 lines ended")
    assert sorted(result["line"] for result in lot.results()) == [1, 2, 3, 4, 5]
    assert len(lot.logged("start")) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-i", "missing.jsonl", "-o", "r.jsonl"], 2, "missing.jsonl: No such file or directory: name a file"),
        (["-i", ".", "-o", "r.jsonl"], 2, ".: Is a directory: name a file with one JSON object a line"),
        (["-i", "jobs.jsonl", "-o", "jobs.jsonl"], 2, "jobs.jsonl is the input too: name another output"),
        (["-i", "jobs.jsonl", "-o", "sub/r.jsonl"], 2, "sub/r.jsonl: there is no directory sub: make it"),
        (["-i", "jobs.jsonl", "-o", "lot.json"], 2, "lot.json, line 1: not a results file of a batch"),
        (["-i", "jobs.jsonl", "-o", "r.jsonl", "--pool", "q"], 2, 'pools: no pool is named "q"'),
        (["-i", "jobs.jsonl", "-o", "r.jsonl", "--grace", "soon"], 2, "expected seconds ≥ 0, or text such as 90s"),
        (["-i", "jobs.jsonl"], 2, "Missing option '--output'"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(
    make_lot: MakeLot, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    lot = make_lot()
    lot.write_jobs([job(0)])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    done = lot.run_here("batch", "lot.json", *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_results_of_another_list_are_refused(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.write_jobs([job(0)])
    assert lot.batch().returncode == 0
    whole = lot.results_file.read_bytes()
    lot.write_jobs([job(1)])
    done = lot.batch()
    assert done.returncode == 2
    assert "results.jsonl holds 1 results, and none is of a task in the input: name another output" in done.stderr
    assert lot.results_file.read_bytes() == whole
    assert len(lot.logged("start")) == 1


@pytest.mark.parametrize(
    ("stores", "message"),
    [
        ({"queue": {"type": "in_memory"}}, "pool p keeps its queue in memory: if this run is killed"),
        ({"mailbox": {"type": "in_memory"}}, "pool p keeps outcomes in memory: if this run is killed"),
    ],
)
def test_a_pool_in_memory_comes_with_a_warning(make_lot: MakeLot, stores: dict[str, Any], message: str) -> None:
    lot = make_lot(**stores)
    lot.write_jobs([job(0)])
    done = lot.batch()
    assert done.returncode == 0
    assert f"note: {message}" in done.stderr
    assert [result["line"] for result in lot.results()] == [1]


def test_plain_lines_now_and_then(make_lot: MakeLot) -> None:
    lot = make_lot()
    lot.write_jobs(job(n, s=1.5) for n in range(16))
    done = lot.batch()
    [told, *_] = [line for line in done.stderr.splitlines() if line.startswith("0:05  ")]
    assert " of 16 (" in told
    for part in ("units 4/4", "running 4", "parked ", "done ", "failed 0", "ETA 0:0"):
        assert part in told


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_bar_on_a_terminal_and_ctrl_c(make_lot: MakeLot) -> None:
    import os
    import pty

    lot = make_lot(executor="process")
    lot.write_jobs(job(n, s=0.1) for n in range(60))
    ours, theirs = pty.openpty()
    running = lot.start_batch(stdin=theirs, stdout=theirs, stderr=theirs, **AT_A_TERMINAL)
    os.close(theirs)
    seen = b""
    while b"done 1" not in seen or b"ETA 0:0" not in seen:
        seen += os.read(ours, 10_000)
    os.write(ours, b"\x03")
    while True:
        try:
            seen += os.read(ours, 10_000)
        except OSError:  # nobody has the terminal any more
            break
    assert running.wait(30) == 130
    text = seen.decode()
    assert "units 4/4" in text
    assert " of 60 (" in text
    assert "ETA 0:0" in text
    assert "stopping: what runs has 10 s to finish" in text
    assert "run the same command again to continue" in text
    # Ctrl-C reached this process only, not the workers: their tasks have finished.
    assert len(lot.logged("start")) == len(lot.logged("end")) == len(lot.results())
