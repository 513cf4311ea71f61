"""Whoever watches a world from outside of its processes, and says what must never be.

It believes nobody: it counts the runs that really run, reads the store's rows itself, and remembers what users were
told.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from parking_lot_core import OutcomeStatus, TaskState
from parking_lot_drivers.handle import TaskResult
from parking_lot_drivers.ports import TaskContext
from tests.simulator.plan import Plan, Spec
from tests.simulator.stores import Lot, Outcome

if TYPE_CHECKING:
    from tests.simulator.host import HostProcess


@attrs.define(eq=False)
class Run:
    """One run, as the executor sees it. ``holder``: the lease under which it was started, in a shared lot."""

    task_id: str
    epoch: int
    device: str
    units: int
    process: HostProcess
    holder: str | None
    how: str = ""


class Observer:
    """Collects violations, each as ``(invariant, what happened)``."""

    def __init__(self, plan: Plan, lot: Lot, note: Callable[[str, str], None]) -> None:
        self._plan = plan
        self._lot = lot
        self._note = note
        self._specs: dict[str, Spec] = {spec.task_id: spec for spec in plan.specs}
        self.live: list[Run] = []
        self.runs: dict[tuple[str, int], list[Run]] = {}
        self.acked: dict[str, None] = {}
        self.cancelled: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.violations: list[tuple[str, str]] = []
        self._epochs: dict[str, int] = {}
        self._failed: Counter[str] = Counter()

    def violation(self, invariant: str, words: str) -> None:
        """Something happened that must not."""
        self.violations.append((invariant, words))
        self._note("VIOLATION", f"{invariant}: {words}")

    # -- runs ----------------------------------------------------------------------------------------------------

    def started(self, process: HostProcess, context: TaskContext) -> Run:
        """The executor was called."""
        holder = process.queue.host if self._lot.shared else None  # type: ignore[attr-defined]
        run = Run(context.task_id, context.epoch, context.device, context.units, process, holder)
        words = f"{run.task_id} e{run.epoch} on {run.device}, {run.units} units"
        self._note(process.name, f"start {words}")
        self._check_alone(run)
        self._check_saved(run)
        if run.epoch <= self._epochs.get(run.task_id, 0) and not self._submitted_again(run.task_id):
            self.violation("fencing", f"{words}, after epoch {self._epochs[run.task_id]} was started")
        self._epochs[run.task_id] = max(run.epoch, self._epochs.get(run.task_id, 0))
        self.live.append(run)
        self.runs.setdefault((run.task_id, run.epoch), []).append(run)
        self._check_budget(run)
        return run

    def ended(self, run: Run, how: str) -> None:
        """The executor is done."""
        if run.process.dead:
            return
        run.how = how
        self.live.remove(run)
        self._note(run.process.name, f"end   {run.task_id} e{run.epoch}: {how}")
        if how in ("failed", "lost"):
            self._failed[run.task_id] += 1
            spec = self._specs[run.task_id]
            most = spec.max_attempts or self._plan.config.max_attempts
            if self._failed[run.task_id] > most:
                self.violation(
                    "attempts", f"{run.task_id} has failed {self._failed[run.task_id]} times, allowed {most}"
                )

    def died(self, process: HostProcess) -> None:
        """Nothing of a process runs any more."""
        for run in [run for run in self.live if run.process is process]:
            run.how = "died"
            self.live.remove(run)

    def given_up(self, run: Run) -> bool:
        """Whether the lease of a run has lapsed, so that others may run its task, and its units are free."""
        return run.holder is not None and not self._lot.living(run.holder)

    def _submitted_again(self, task_id: str) -> bool:
        """Whether it may be in the queue a second time, from the start.

        Where hosts share a queue, and the mailbox is elsewhere, whoever submits a key looks for an outcome first, and
        then keeps the task: in between, another submission of that key may have come and ended. Its outcome stands.
        """
        return self._lot.shared and not self._lot.together and task_id in self._lot.outcomes()

    def _check_alone(self, run: Run) -> None:
        for other in self.live:
            if other.task_id == run.task_id and not self.given_up(other):
                self.violation("at most one run", f"{run.task_id} e{run.epoch} starts while e{other.epoch} runs")

    def _check_saved(self, run: Run) -> None:
        """A start is acted upon once it is durable, and not before; an end that is durable is the end."""
        if self.given_up(run):
            return
        row = self._lot.row(run.task_id)
        held = row is not None and row.state in (TaskState.RUNNING, TaskState.STOPPING)
        if row is None or not held or row.epoch != run.epoch or row.host != run.holder:
            self.violation(
                "save, then act", f"{run.task_id} e{run.epoch} starts under {run.holder}; the queue has {row}"
            )
        if (self._lot.together or not self._lot.shared) and run.task_id in self._lot.outcomes():
            self.violation("one outcome", f"{run.task_id} e{run.epoch} starts, though it has an outcome")

    def _check_budget(self, run: Run) -> None:
        used = sum(other.units for other in self.live if other.process is run.process and other.device == run.device)
        allowed = run.process.allowed(run.device)
        if used > allowed:
            self.violation("budget", f"{run.process.name} uses {used} units of {run.device}, and may use {allowed}")
        if self._plan.budget is None:
            return
        used = sum(other.units for other in self.live if other.device == run.device and not self.given_up(other))
        if used > self._plan.budget.devices[run.device]:
            self.violation("shared budget", f"hosts use {used} units of {run.device}: {self._plan.budget.devices}")

    # -- users ---------------------------------------------------------------------------------------------------

    def acknowledged(self, task_id: str) -> None:
        """A user was told that the task is kept."""
        self.acked[task_id] = None

    def saw(self, result: TaskResult) -> None:
        """A user was shown an outcome: then it is in the mailbox, and this is it."""
        self.look()
        kept = self.outcomes.get(result.task_id)
        if kept is None:
            self.violation("durable results", f"{result.task_id} was shown as {result.status.value}, and is not kept")
        elif kept.status != result.status.value or _value(kept) != result.value:
            self.violation("one outcome", f"{result.task_id} was shown as {result.status.value}, and kept as {kept}")

    # -- the store -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the mailbox: what was there is there, unchanged; what is new is true."""
        found = self._lot.outcomes()
        for task_id, known in self.outcomes.items():
            if found.get(task_id) != [known]:
                self.violation("one outcome", f"{task_id} had {known}, and has {found.get(task_id)}")
        for task_id, kept in found.items():
            if len(kept) > 1:
                self.violation("one outcome", f"{task_id} has {kept}")
            if task_id not in self.outcomes:
                self.outcomes[task_id] = kept[0]
                self._note("mailbox", f"{task_id} e{kept[0].epoch}: {kept[0].status}")
                self._check_truth(task_id, kept[0])

    def check_kept(self) -> None:
        """Whatever was acknowledged is in the lot, or has ended."""
        self.look()
        there = self._lot.rows().keys() | self.outcomes.keys() | self._lot.requested()
        for task_id in self.acked:
            if task_id not in there:
                self.violation("nothing is lost", f"{task_id} was acknowledged, and is nowhere")

    def _check_truth(self, task_id: str, kept: Outcome) -> None:
        runs = self.runs.get((task_id, kept.epoch), [])
        spec = self._specs[task_id]
        status = OutcomeStatus(kept.status)
        ends = [run.how for run in runs]
        reasons = {
            OutcomeStatus.SUCCEEDED: "returned" in ends and _value(kept) == {"task": spec.key, "epoch": kept.epoch},
            OutcomeStatus.FAILED: "failed" in ends,
            OutcomeStatus.LOST: not runs
            or any(run.how == "lost" or run.process.dead or self.given_up(run) for run in runs),
            OutcomeStatus.CANCELLED: task_id in self.cancelled,
            OutcomeStatus.EXPIRED: spec.timeout is not None,
            OutcomeStatus.TIMED_OUT: (spec.run_timeout or self._plan.config.run_timeout) is not None,
        }
        if not reasons.get(status, False):
            self.violation("true outcomes", f"{task_id} is kept as {kept}; its runs under that epoch ended: {ends}")
        last = self._epochs.get(task_id, 0)
        # A host that shares the queue may not have seen that a waiting task was tried by another since; but any of them
        # may end it.
        waited = self._lot.shared and status in (OutcomeStatus.EXPIRED, OutcomeStatus.CANCELLED)
        if kept.epoch < last and not waited and (self._lot.together or not self._lot.shared):
            self.violation("fencing", f"{task_id} has an outcome of epoch {kept.epoch}, after epoch {last} was started")


def _value(kept: Outcome) -> object:
    return None if kept.result is None else json.loads(kept.result)
