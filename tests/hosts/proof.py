"""What must hold whatever happened to the hosts, shown from the audit trail, the tables and the tasks' own notes.

Nothing here asks a scheduler. ``check`` proves:

- *conservation*: every task that was acknowledged is in exactly one of queue and mailbox;
- *one outcome*: a task ends once, nothing happens to it after that, and the outcome is that of its last epoch;
- *fencing*: epochs grow by one with each start; only the host that holds a task moves it, or whoever took it over;
- *budget*: at no time do the tasks that a host holds take more units than it has; nor do those of all hosts together,
  where the budget is shared; nor do the runs of one process.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from typing import Any

import attrs

from tests.hosts.cluster import Cluster

_RELEASES = ("Enqueue", "Deliver", "Expire", "Lapse")
_ENDS = ("Deliver", "Expire")


@attrs.frozen
class Move:
    """One row of the audit trail."""

    number: int
    transaction: str
    task_id: str
    move: str
    host: str | None
    epoch: int
    device: str | None
    units: int
    budget: str | None
    detail: str | None


def trail(cluster: Cluster) -> list[Move]:
    """The audit trail, in order."""
    columns = "number, xmin::text, task_id, move, host, epoch, device, units, budget, detail"
    return [Move(*row) for row in cluster.rows(f"SELECT {columns} FROM parking_lot_audit ORDER BY number")]


def check(
    cluster: Cluster, acknowledged: Collection[str], *, units: int, shared: int | None = None, all_ended: bool = True
) -> list[Move]:
    """Prove all of it, for hosts with ``units`` each; of a budget with ``shared`` units, if they share one.

    ``acknowledged``: the ids of tasks that were accepted. Returns the trail.
    """
    moves = trail(cluster)
    check_conservation(cluster, acknowledged, all_ended=all_ended)
    check_lives(moves)
    check_outcomes(cluster, moves)
    check_budget(moves, units)
    if shared is not None:
        check_shared_budget(moves, shared)
    check_runs(cluster.log(), moves, units)
    return moves


def check_conservation(cluster: Cluster, acknowledged: Collection[str], *, all_ended: bool) -> None:
    """Every task is in exactly one of queue and mailbox."""
    with_outcome = Counter(task_id for (task_id,) in cluster.rows("SELECT task_id FROM parking_lot_results"))
    in_queue = Counter(task_id for (task_id,) in cluster.rows(cluster.store.waiting))
    places = with_outcome + in_queue
    assert [task_id for task_id in acknowledged if places[task_id] == 0] == [], "tasks were lost"
    assert [task_id for task_id, count in places.items() if count > 1] == [], "tasks are in queue and mailbox, or twice"
    if all_ended:
        assert sorted(in_queue) == []
        assert cluster.rows("SELECT * FROM parking_lot_holdings") == [], "units are held by tasks that have ended"


def check_lives(moves: Iterable[Move]) -> None:
    """Each task's moves are those of one life."""
    lives = defaultdict(list)
    for move in moves:
        lives[move.task_id].append(move)
    for life in lives.values():
        _check_life(life)


def _check_life(life: list[Move]) -> None:
    first, *rest = life
    assert (first.move, first.epoch) == ("Enqueue", 0), life
    epoch = 0
    holder: str | None = None  # the host that holds it; "?" for whoever has taken it over
    ended = False
    for move in rest:
        assert not ended, f"moves after the end: {life}"
        if move.move == "Start":
            # What a host got back and started again in one batch moves once.
            assert holder in (None, move.host), f"a task that is held was started: {life}"
            assert move.epoch == epoch + 1, f"epochs do not grow by one: {life}"
            epoch, holder = move.epoch, move.host
            continue
        assert move.epoch == epoch, f"a move of a stale epoch: {life}"
        # A task that nobody holds may be cancelled by anybody; the trail names no host then.
        assert move.host == holder or holder == "?" or (holder is None and move.move in _ENDS), f"not its host: {life}"
        if move.move == "Lapse":
            assert holder is not None, f"nobody held it: {life}"
            holder = "?"
        elif move.move in ("Enqueue", *_ENDS):
            holder = None
        else:
            assert move.move == "Interrupt", life
            assert holder is not None, f"nobody held it: {life}"
        ended = move.move in _ENDS


def check_outcomes(cluster: Cluster, moves: Iterable[Move]) -> None:
    """Each outcome belongs to the one end of its task in the trail, and came of the run with that epoch."""
    ends = {move.task_id: move for move in moves if move.move in _ENDS}
    rows = cluster.rows("SELECT task_id, epoch, status, result FROM parking_lot_results")
    assert {row[0] for row in rows} == set(ends)
    pids = {(line["task"], line["epoch"]): line["pid"] for line in cluster.log() if line["what"] == "start"}
    for task_id, epoch, status, result in rows:
        assert (epoch, status) == (ends[task_id].epoch, ends[task_id].detail), ends[task_id]
        if status == "succeeded":
            assert json.loads(bytes(result)) == {"epoch": epoch, "pid": pids[task_id, epoch]}, ends[task_id]


def check_budget(moves: Iterable[Move], units: int) -> None:
    """At the end of each transaction, no host holds more than its units on any device."""
    held: dict[tuple[str, str], tuple[str | None, str | None, int]] = {}
    in_use: Counter[tuple[str | None, str | None]] = Counter()
    # What one transaction gives back and takes happens at once, in whatever order it was written down.
    for _, together in groupby(_by_transaction(moves), lambda move: move.transaction):
        for move in together:
            _count(move, held, in_use)
        assert not in_use or max(in_use.values()) <= units, f"over budget at number {move.number}: {in_use}"
    assert min(in_use.values(), default=0) >= 0


def _by_transaction(moves: Iterable[Move]) -> list[Move]:
    groups: dict[str, list[Move]] = {}
    for move in moves:
        groups.setdefault(move.transaction, []).append(move)
    return [move for group in groups.values() for move in group]


def _count(move: Move, held: dict[Any, Any], in_use: Counter[Any]) -> None:
    if move.move in ("Start", *_RELEASES) and move.task_id in held:
        host, device, units = held.pop(move.task_id)
        in_use[host, device] -= units
    if move.move == "Start":
        held[move.task_id] = (move.host, move.device, move.units)
        in_use[move.host, move.device] += move.units


def check_shared_budget(moves: Iterable[Move], units: int) -> None:
    """At no number of the trail do all hosts together hold more of a device than there is."""
    most = most_in_use(moves)
    assert most <= units, f"{most} units were in use at once, and there are {units}"


def most_in_use(moves: Iterable[Move]) -> int:
    """The most units that all hosts together held of one device at any number of the trail."""
    held: dict[str, tuple[str | None, int]] = {}
    in_use: Counter[str | None] = Counter()
    most = 0
    for move in moves:
        assert move.budget is not None
        if move.move in ("Start", *_RELEASES) and move.task_id in held:
            device, freed = held.pop(move.task_id)
            in_use[device] -= freed
        if move.move == "Start":
            held[move.task_id] = (move.device, move.units)
            in_use[move.device] += move.units
            most = max(most, in_use[move.device])
    return most


def check_runs(log: Iterable[Mapping[str, Any]], moves: Iterable[Move], units: int) -> None:
    """The tasks' own notes: each run has its start in the trail, none runs twice, no process is over its budget."""
    started = {(move.task_id, move.epoch) for move in moves if move.move == "Start"}
    runs: set[tuple[str, int]] = set()
    held: dict[tuple[str, int], tuple[int, int]] = {}
    in_use: Counter[int] = Counter()
    for line in sorted((line for line in log if "task" in line), key=lambda line: line["at"]):
        run = (line["task"], line["epoch"])
        if line["what"] == "start":
            assert run in started, f"{run} runs, and its start was not saved"
            assert run not in runs, f"{run} ran twice"
            runs.add(run)
            held[run] = (line["pid"], line["units"])
            in_use[line["pid"]] += line["units"]
            assert in_use[line["pid"]] <= units, f"process {line['pid']} is over its budget at {line}"
        else:
            pid, freed = held.pop(run)
            in_use[pid] -= freed
