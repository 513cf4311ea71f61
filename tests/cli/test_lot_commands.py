"""``submit``, ``status``, ``fetch``, ``cancel``, ``top`` and ``work``, each in a process of its own, on one lot."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.lots import AT_A_TERMINAL, LotFolder, MakeLot, ended, until

NO_HOST = "note: no process serves this lot now; one that does: parking-lot work lot.json --pool p\n"


@pytest.fixture
def served(make_lot: MakeLot) -> Iterator[LotFolder]:
    """A lot with a process that serves it."""
    lot = make_lot(executor="process", max_attempts=1)
    worker = lot.start("work", "lot.json", "--plain", "--grace", "0")
    until(lambda: _host(lot) is not None)
    yield lot
    worker.send_signal(signal.SIGTERM)
    assert ended(worker).returncode == 0


def _host(lot: LotFolder) -> Any:
    done = lot.run_here("status", "lot.json", "--json")
    return json.loads(done.stdout).get("host") if done.returncode == 0 else None


def submitted(lot: LotFolder, payload: object, *options: str) -> str:
    done = lot.run_here("submit", "lot.json", json.dumps(payload), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_a_host_a_task_is_safe_and_runs_later(make_lot: MakeLot) -> None:
    lot = make_lot()
    done = lot.run("submit", "lot.json", '{"n": 1}', "--units", "3", "--id", "one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", NO_HOST)
    told = lot.run("status", "lot.json", "one")
    assert told.stdout.startswith("task one was posted ")
    assert "no process serves this lot now" in told.stdout
    overview = lot.run("status", "lot.json")
    assert "host   none: nothing starts before work or batch serves this lot" in overview.stdout
    assert "0 running, 0 parked, 0 ended, 1 posted" in overview.stdout
    none_yet = lot.run("fetch", "lot.json", "one")
    assert (none_yet.returncode, none_yet.stdout) == (4, "")
    assert "task one has no outcome yet" in none_yet.stderr
    worked = lot.run("work", "lot.json", "--until-empty", "--json")
    assert worked.returncode == 0
    told_json = json.loads(worked.stdout)
    assert (told_json["by_status"], told_json["left"]) == ({"succeeded": 1}, 0)
    fetched = lot.run("fetch", "lot.json", "one")
    assert (fetched.returncode, json.loads(fetched.stdout), fetched.stderr) == (0, {"n": 1}, "")


def test_a_task_from_submission_to_outcome(served: LotFolder) -> None:
    done = served.run("submit", "lot.json", '{"n": 1}', "--wait", "30")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"n": 1})
    assert "is in the lot; waiting for its outcome" in done.stderr
    (served.folder / "payload.json").write_text('{"n": 2, "error": "no such thing"}')
    failed = served.run_here("submit", "lot.json", "@payload.json", "--id", "bad", "--tenant", "acme", "--wait", "30")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "error: task bad failed: ValueError: no such thing" in failed.stderr
    told = served.run_here("fetch", "lot.json", "bad", "--json")
    assert told.returncode == 1
    outcome = json.loads(told.stdout)
    assert (outcome["id"], outcome["status"], outcome["error"]) == ("bad", "failed", "ValueError: no such thing")
    words = served.run_here("status", "lot.json", "bad").stdout
    assert words.startswith("task bad failed: ValueError: no such thing, ")
    assert "its last run took " in words
    listed = served.run_here("fetch", "lot.json", "--tenant", "acme")
    assert listed.stdout.splitlines()[0].startswith("2  bad  failed  ran ")
    assert listed.stdout.splitlines()[1] == "   ValueError: no such thing"
    after = served.run_here("fetch", "lot.json", "--tenant", "acme", "--after", "2")
    assert (after.returncode, after.stdout, after.stderr) == (0, "", "note: no outcomes past cursor 2\n")
    waited = served.run_here("fetch", "lot.json", "--tenant", "acme", "--after", "2", "--wait", "0.2", "--json")
    assert (waited.returncode, json.loads(waited.stdout)) == (4, {"outcomes": [], "after": 2})


def test_the_same_key_is_the_same_task(served: LotFolder) -> None:
    first = submitted(served, {"n": 1}, "--key", "k")
    again = served.run_here("submit", "lot.json", '{"n": 1}', "--key", "k", "--wait", "30", "--json")
    assert json.loads(again.stdout)["id"] == first
    assert submitted(served, {"n": 1}, "--key", "k") == first
    assert len(served.logged("start")) == 1


def test_what_waits_and_why_and_a_cancel(served: LotFolder) -> None:
    submitted(served, {"n": 1, "s": 60}, "--units", "3", "--id", "long")
    until(lambda: len(served.logged("start")) == 1)
    submitted(served, {"n": 2}, "--units", "2", "--id", "next", "--timeout", "90m", "--priority", "high")
    until(lambda: "has been parked" in served.run_here("status", "lot.json", "next").stdout)
    words = served.run_here("status", "lot.json", "next").stdout
    assert "it is next on device 0, which is 1 units short" in words
    assert "it expires in 1 h " in words
    assert "with 3 units of device 0, in attempt 1" in served.run_here("status", "lot.json", "long").stdout
    told = json.loads(served.run_here("status", "lot.json", "next", "--json").stdout)
    assert (told["state"], told["task"]["priority"], told["explanation"]["units_short"]) == ("parked", "high", 1)
    picture = served.run("top", "lot.json", "--once").stdout
    assert "█" * 30 + "░" * 10 in picture
    assert "3 of 4 units" in picture
    assert "1 running, 1 parked, 0 ended" in picture
    assert max(map(len, picture.splitlines())) <= 80
    told = json.loads(served.run_here("top", "lot.json", "--json").stdout)
    assert told["devices"] == [{"name": "0", "capacity": 4, "used": 3, "free": 1}]
    assert [task["id"] for task in told["running"]] == ["long"]
    assert [task["id"] for task in told["waiting"]] == ["next"]
    late = served.run_here("fetch", "lot.json", "next", "--wait", "0.1")
    assert (late.returncode, late.stdout) == (4, "")
    cancelled = served.run_here("cancel", "lot.json", "long", "--wait", "30")
    assert (cancelled.returncode, cancelled.stdout) == (0, "task long: cancelled\n")
    assert served.run_here("fetch", "lot.json", "next", "--wait", "30").returncode == 0
    again = served.run_here("cancel", "lot.json", "long")
    assert (again.returncode, again.stdout) == (0, "task long had ended: cancelled\n")
    failed = served.run_here("fetch", "lot.json", "long")
    assert (failed.returncode, failed.stderr) == (1, "error: task long was cancelled\n")


def test_a_second_host_is_refused(served: LotFolder) -> None:
    done = served.run("work", "lot.json")
    assert (done.returncode, done.stdout) == (3, "")
    assert "is scheduled by process " in done.stderr


def test_a_host_that_was_killed_is_known_to_be_gone(make_lot: MakeLot) -> None:
    lot = make_lot(executor="process")
    submitted(lot, {"n": 1, "s": 60}, "--id", "a")
    worker = lot.start("work", "lot.json", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(lot.logged("start")) == 1)
    worker.kill()
    worker.wait()
    words = lot.run_here("status", "lot.json", "a").stdout
    assert "was running when its host went away; the next one runs it again" in words
    assert "no process serves this lot now" in words
    asked = lot.run_here("cancel", "lot.json", "a")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "asked to stop task a\n", NO_HOST)
    done = lot.run("work", "lot.json", "--until-empty")
    assert done.returncode == 1
    assert done.stdout.startswith("1 task ended in ")
    assert "1 cancelled" in done.stdout or "1 lost" in done.stdout


def test_ctrl_c_ends_a_host_in_order(make_lot: MakeLot) -> None:
    lot = make_lot(executor="process", max_units=1)
    for n in range(3):
        submitted(lot, {"n": n, "s": 0.5})
    worker = lot.start("work", "lot.json")
    until(lambda: len(lot.logged("start")) == 1)
    worker.send_signal(signal.SIGINT)
    done = ended(worker)
    assert done.returncode == 0
    assert done.stdout.startswith("1 task ended in ")
    assert "note: 2 tasks left in the lot" in done.stderr
    assert lot.run("work", "lot.json", "--until-empty").returncode == 0
    assert len(lot.logged("start")) == len(lot.logged("end")) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["submit", "lot.json", "{"], 2, "PAYLOAD: broken JSON at column 2"),
        (["submit", "lot.json", "hello"], 2, "text needs quotes inside the shell's: '\"text\"'"),
        (["submit", "lot.json", "@gone.json"], 2, "gone.json: No such file or directory"),
        (["submit", "lot.json", "1", "--units", "5"], 2, "needs 5 units, and the largest device has 4"),
        (["submit", "lot.json", "1", "--units", "many"], 2, 'units: expected an integer ≥ 1, got "many"'),
        (["submit", "lot.json", "1", "--priority", "hgih"], 2, "did you mean high?"),
        (["submit", "lot.json", "1", "--timeout", "0"], 2, "timeout: expected seconds > 0"),
        (["submit", "lot.json", "1", "--wait", "long"], 2, "expected seconds ≥ 0, or text such as 90s, 15m, 2h"),
        (["submit", "lot.json", "1", "--id", "a", "--key", "b"], 2, "task_id, idempotency_key: expected at most one"),
        (["submit", "lot.json", "1", "--pool", "q"], 2, 'no pool is named "q"; there are p'),
        (["status", "lot.json"], 3, "p.lot does not exist: nothing was submitted to pool 'p' yet"),
        (["fetch", "lot.json"], 3, "p.lot does not exist"),
        (["cancel", "lot.json", "x"], 3, "p.lot does not exist"),
        (["top", "lot.json", "--once"], 3, "p.lot does not exist"),
    ],
)
def test_bad_requests_are_told_and_change_nothing(
    make_lot: MakeLot, arguments: list[str], code: int, message: str
) -> None:
    lot = make_lot()
    done = lot.run_here(*arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert done.stdout == ""
    lot_file = lot.folder / "data" / "p.lot"
    if lot_file.exists():
        assert json.loads(lot.run_here("status", "lot.json", "--json").stdout)["posted"] == 0


@pytest.mark.parametrize("command", ["submit", "status", "fetch", "cancel", "top", "work"])
def test_a_pool_in_memory_cannot_be_seen_from_another_process(make_lot: MakeLot, command: str) -> None:
    lot = make_lot(queue={"type": "in_memory"})
    done = lot.run_here(command, "lot.json", *(["1"] if command in ("submit", "cancel") else []))
    assert done.returncode == 2
    assert "pools.p.queue: in_memory keeps tasks in the process that schedules them" in done.stderr


def test_outcomes_in_memory_cannot_be_waited_for(make_lot: MakeLot) -> None:
    lot = make_lot(mailbox={"type": "in_memory"})
    for arguments in (["submit", "lot.json", "1", "--wait", "1"], ["fetch", "lot.json"]):
        done = lot.run_here(*arguments)
        assert done.returncode in (2, 3)
        assert "in_memory keeps outcomes" in done.stderr
    assert not (lot.folder / "data").exists()
    assert submitted(lot, 1, "--id", "a") == "a"


def test_several_pools_need_a_name(make_lot: MakeLot) -> None:
    lot = make_lot()
    settings = json.loads((lot.folder / "lot.json").read_text())
    settings["pools"]["q"] = settings["pools"]["p"]
    (lot.folder / "lot.json").write_text(json.dumps(settings))
    done = lot.run_here("status", "lot.json")
    assert (done.returncode, done.stderr) == (2, "error: lot.json has several pools: choose one with --pool: p, q\n")


def test_unknown_tasks_are_told(make_lot: MakeLot) -> None:
    lot = make_lot()
    submitted(lot, {"n": 1})
    for command in ("status", "fetch", "cancel"):
        done = lot.run_here(command, "lot.json", "nobody")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "error: neither queue nor mailbox of pool 'p' knows a task 'nobody'\n"


def read_all(terminal: int) -> bytes:
    """What comes until nobody has the terminal any more."""
    seen = b""
    with contextlib.suppress(OSError):
        while True:
            seen += os.read(terminal, 10_000)
    os.close(terminal)
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
@pytest.mark.parametrize("leave", [b"q", b"\x03"])
def test_top_on_a_terminal_is_left_by_a_key(make_lot: MakeLot, leave: bytes) -> None:
    import pty

    lot = make_lot()
    submitted(lot, {"n": 1}, "--delay", "1h", "--id", "later")
    ours, theirs = pty.openpty()
    running = lot.start("top", "lot.json", stdin=theirs, stdout=theirs, stderr=theirs, **AT_A_TERMINAL)
    os.close(theirs)
    seen = b""
    while b"1 posted" not in seen:
        seen += os.read(ours, 10_000)
    os.write(ours, leave)
    seen += read_all(ours)
    assert running.wait(30) == 0
    assert seen.index(b"\x1b[?1049h") < seen.index(b"1 posted") < seen.index(b"\x1b[?1049l")


def test_top_into_a_pipe_prints_until_nobody_reads(make_lot: MakeLot) -> None:
    lot = make_lot()
    submitted(lot, {"n": 1})
    running = lot.start("top", "lot.json", "--interval", "0.1")
    assert running.stdout is not None
    pictures = 0
    while pictures < 3:
        pictures += running.stdout.readline().startswith("pool   p")
    running.stdout.close()
    assert running.wait(30) == 0
