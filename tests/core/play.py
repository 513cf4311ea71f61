"""A test that reads like a conversation: ``>>`` tells the scheduler something, ``<<`` is what it must answer next.

::

    assert (
        Play(Scheduler(PoolConfig(max_units=8)))
        >> Submitted(task("index", units=6), at=0)
        << Start("index", device="0", epoch=1)
        >> Submitted(task("summary", units=4), at=1)
        << Enqueue("summary")
    )

Answers come in order and none may be left over. One need not be written: the ``Enqueue`` of the task that was just
submitted. An expected answer compares only what it names; ``Start("index")`` does not care about the device.
"""

from __future__ import annotations

from typing import Any, Self

import attrs

from parking_lot_core import (
    Command,
    Event,
    Finished,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    RejectReason,
    ResourceCost,
    Scheduler,
    Submitted,
    TaskMetadata,
)
from parking_lot_core import commands as real


def task(task_id: str, units: int = 1, priority: Priority | str = Priority.NORMAL, **more: Any) -> TaskMetadata:
    """A task, shortly: ``task("index", units=6, priority="high", run_timeout=60.0)``."""
    named = Priority[priority.upper()] if isinstance(priority, str) else priority
    return TaskMetadata(task_id, ResourceCost(units), named, **more)


@attrs.frozen
class Expected:
    """A kind of command, and those of its facts that matter."""

    kind: type
    facts: dict[str, Any]

    def matches(self, command: Command) -> bool:
        seen = facts_of(command)
        return type(command) is self.kind and all(seen[name] == fact for name, fact in self.facts.items())

    def __str__(self) -> str:
        return f"{self.kind.__name__}({', '.join(f'{name}={fact!r}' for name, fact in self.facts.items())})"


def facts_of(command: Command) -> dict[str, Any]:
    """What can be asked about a command, flat: its own fields, and those of its task."""
    facts: dict[str, Any] = {}
    match command:
        case real.Enqueue(task=it) | real.Start(task=it) | real.Expire(task=it):
            facts |= {name: getattr(it, name) for name in ("epoch", "attempts", "ready_at", "sequence", "tag")}
            facts |= {"id": it.id, "start_by": it.metadata.start_by, "run_timeout": it.metadata.run_timeout}
        case real.Reject(task=it, reason=reason):
            facts |= {"id": it.id, "reason": reason}
        case real.Deliver(task_id=task_id, outcome=outcome):
            facts |= {"id": task_id, "status": outcome.status, "error": outcome.error, "value": outcome.value}
        case real.Interrupt(task_id=task_id, epoch=epoch, reason=reason):
            facts |= {"id": task_id, "epoch": epoch, "reason": reason}
    if isinstance(command, real.Start):
        facts |= {"device": command.device, "epoch": command.epoch}
    return facts


def Enqueue(task_id: str, **facts: Any) -> Expected:  # noqa: N802 - reads like the command it stands for
    return Expected(real.Enqueue, {"id": task_id, **facts})


def Start(task_id: str, **facts: Any) -> Expected:  # noqa: N802
    return Expected(real.Start, {"id": task_id, **facts})


def Expire(task_id: str, **facts: Any) -> Expected:  # noqa: N802
    return Expected(real.Expire, {"id": task_id, **facts})


def Reject(task_id: str, reason: RejectReason) -> Expected:  # noqa: N802
    return Expected(real.Reject, {"id": task_id, "reason": reason})


def Deliver(task_id: str, status: OutcomeStatus = OutcomeStatus.SUCCEEDED, **facts: Any) -> Expected:  # noqa: N802
    return Expected(real.Deliver, {"id": task_id, "status": status, **facts})


def Interrupt(task_id: str, reason: OutcomeStatus, **facts: Any) -> Expected:  # noqa: N802
    return Expected(real.Interrupt, {"id": task_id, "reason": reason, **facts})


class Play:
    """One conversation with a scheduler. True at the end if nothing was said that was not expected."""

    def __init__(self, scheduler: Scheduler | PoolConfig) -> None:
        self.scheduler = Scheduler(scheduler) if isinstance(scheduler, PoolConfig) else scheduler
        self.script: list[str] = []
        self.unanswered: list[Command] = []
        self.submitted: str | None = None

    def __rshift__(self, event: Event) -> Self:
        self._nothing_left()
        self.script.append(f">> {event}")
        self.unanswered = list(self.scheduler.step(event))
        self.submitted = event.task.id if isinstance(event, Submitted) else None
        return self

    def __lshift__(self, expected: Expected) -> Self:
        if expected.kind is not real.Enqueue:
            self._pass_over_the_receipt()
        if not self.unanswered or not expected.matches(self.unanswered[0]):
            raise AssertionError(self._report(f"<< {expected}", "expected, but the scheduler went on with"))
        self.unanswered.pop(0)
        self.script.append(f"<< {expected}")
        return self

    def __bool__(self) -> bool:
        self._nothing_left()
        return True

    def _nothing_left(self) -> None:
        self._pass_over_the_receipt()
        if self.unanswered:
            raise AssertionError(self._report("", "nothing more was expected, but the scheduler went on with"))

    def _pass_over_the_receipt(self) -> None:
        first = self.unanswered[0] if self.unanswered else None
        if isinstance(first, real.Enqueue) and first.task.id == self.submitted:
            self.unanswered.pop(0)
        self.submitted = None

    def _report(self, line: str, complaint: str) -> str:
        went_on = [f"   {command}" for command in self.unanswered] or ["   nothing"]
        return "\n".join([*self.script, *filter(None, [line]), complaint, *went_on])


def submit(task_id: str, units: int = 1, priority: Priority | str = Priority.NORMAL, **more: Any) -> Event:
    """``Submitted``, shortly: ``submit("index", 6, at=0)``; what ``task`` takes may follow."""
    at = more.pop("at")
    return Submitted(task(task_id, units, priority, **more), at)


def finish(task_id: str, epoch: int = 1, status: OutcomeStatus = OutcomeStatus.SUCCEEDED, **more: Any) -> Event:
    """``Finished``, shortly: ``finish("index", at=5)``; what ``Outcome`` takes may follow."""
    at = more.pop("at")
    return Finished(task_id, epoch, Outcome(status, **more), at)
