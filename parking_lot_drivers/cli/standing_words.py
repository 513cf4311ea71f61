"""Where one task stands, in sentences."""

from __future__ import annotations

from parking_lot_core import Explanation, ScheduledTask, TaskState
from parking_lot_drivers.cli.results_shown import ended_words
from parking_lot_drivers.cli.words import counted, span
from parking_lot_drivers.client import Standing
from parking_lot_drivers.ports import Host

_NO_HOST = "no process serves this lot now; one that does: parking-lot work"


def sentences(standing: Standing, why: Explanation | None, host: Host | None, now: float) -> list[str]:
    """A few short lines. ``now`` is in seconds since the Unix epoch."""
    if standing.result is not None:
        return _ended(standing, now)
    task_id, ago = standing.task_id, span(now - standing.since)
    task = standing.task
    if task is None:
        lines = [f"task {task_id} was posted {ago} ago, and waits for the process that serves this lot to take it"]
    elif task.state is TaskState.PARKED:
        lines = [f"task {task_id} has been parked for {ago}", *_waits(task, why, now)]
        if task.attempts:
            lines.append(f"it was tried {counted(task.attempts, 'time')}, without success")
        if task.metadata.start_by is not None:
            lines.append(f"it expires in {span(task.metadata.start_by - now)}")
    elif host is None:
        lines = [f"task {task_id} was {task.state.value} when its host went away; the next one runs it again"]
    else:
        taken = f"{counted(task.units, 'unit')} of device {task.device}"
        lines = [f"task {task_id} has been {task.state.value} for {ago}, with {taken}, in attempt {task.attempts}"]
    return lines if host is not None else [*lines, _NO_HOST]


def _ended(standing: Standing, now: float) -> list[str]:
    result = standing.result
    assert result is not None
    lines = [f"{ended_words(result.task_id, result.status, result.error)}, {span(now - result.finished_at)} ago"]
    if result.started_at is None:
        lines.append(f"it never ran; it waited for {span(result.finished_at - result.submitted_at)}")
    else:
        waited = span(result.started_at - result.submitted_at)
        lines.append(
            f"its last run took {span(result.finished_at - result.started_at)}, and began {waited} after its submission"
        )
    return lines


def _waits(task: ScheduledTask, why: Explanation | None, now: float) -> list[str]:
    if task.ready_at is not None and task.ready_at > now:
        return [f"it is not to start for {span(task.ready_at - now)}"]
    if why is None:
        return []
    lines = [f"it{str(why).removeprefix(why.task_id).rstrip('.')}"]
    if why.passed_over_since is not None:
        until = "" if why.passed_over_until is None else f", and may for {span(why.passed_over_until - now)} more"
        lines.append(f"others have passed it for {span(now - why.passed_over_since)}{until}")
    if why.starts_by is not None:
        lines.append(f"it starts within {span(why.starts_by - now)}")
    return lines
