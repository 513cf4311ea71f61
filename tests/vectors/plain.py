"""The values of the core as plain JSON values, and back, field by field as ``README.md`` says.

Written out by hand, and not with a converter, so that the format is decided here and nowhere else, and so that nothing
but the core is needed to read it.
"""

from __future__ import annotations

import math
from typing import Any

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Checkpoint,
    Command,
    Deliver,
    DeviceRecord,
    Enqueue,
    Event,
    Expire,
    Finished,
    Interrupt,
    Offered,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    Reject,
    ResourceCost,
    ScheduledTask,
    Start,
    Submitted,
    TaskMetadata,
    TaskState,
    Tick,
    Withdrawn,
)

INFINITY = "infinity"
Plain = dict[str, Any]


def seconds(moment: float | None) -> float | str | None:
    """A time or a duration as JSON: whole numbers without a fraction, so that every language writes the same text."""
    if moment is None:
        return None
    if moment == math.inf:
        return INFINITY
    return int(moment) if moment == int(moment) else float(moment)


def read_seconds(plain: float | str | None) -> float | None:
    """What ``seconds`` wrote."""
    if plain is None:
        return None
    return math.inf if plain == INFINITY else float(plain)


# Configuration


def config(given: PoolConfig) -> Plain:
    return {
        "devices": [{"device": name, "units": units} for name, units in given.budgets.items()],
        "max_queue_depth": given.max_queue_depth,
        "backfill_window": seconds(given.backfill_window),
        "aging": seconds(given.aging),
        "timeout": seconds(given.timeout),
        "run_timeout": seconds(given.run_timeout),
        "max_attempts": given.max_attempts,
        "retry_backoff": seconds(given.retry_backoff),
        "retry_backoff_max": seconds(given.retry_backoff_max),
        "tenants": {name: seconds(weight) for name, weight in given.tenants.items()},
    }


def read_config(plain: Plain) -> PoolConfig:
    durations = ("backfill_window", "aging", "timeout", "run_timeout", "retry_backoff", "retry_backoff_max")
    policy: dict[str, Any] = {name: read_seconds(plain[name]) for name in durations}
    return PoolConfig(
        devices={row["device"]: row["units"] for row in plain["devices"]},
        max_queue_depth=plain["max_queue_depth"],
        max_attempts=plain["max_attempts"],
        tenants={name: float(weight) for name, weight in plain["tenants"].items()},
        **policy,
    )


# Tasks and outcomes


def metadata(given: TaskMetadata) -> Plain:
    return {
        "id": given.id,
        "cost": given.units,
        "priority": given.priority.name.lower(),
        "tenant": given.tenant,
        "start_by": seconds(given.start_by),
        "run_timeout": seconds(given.run_timeout),
        "not_before": seconds(given.not_before),
        "max_attempts": given.max_attempts,
    }


def read_metadata(plain: Plain) -> TaskMetadata:
    return TaskMetadata(
        id=plain["id"],
        cost=ResourceCost(plain["cost"]),
        priority=Priority[plain["priority"].upper()],
        tenant=plain["tenant"],
        start_by=read_seconds(plain["start_by"]),
        run_timeout=read_seconds(plain["run_timeout"]),
        not_before=read_seconds(plain["not_before"]),
        max_attempts=plain["max_attempts"],
    )


def task(given: ScheduledTask) -> Plain:
    return {
        **metadata(given.metadata),
        "sequence": given.sequence,
        "tag": given.tag,
        "admitted_at": seconds(given.admitted_at),
        "state": given.state.value,
        "epoch": given.epoch,
        "attempts": given.attempts,
        "ready_at": seconds(given.ready_at),
        "device": given.device,
        "started_at": seconds(given.started_at),
        "stop_reason": None if given.stop_reason is None else given.stop_reason.value,
    }


def read_task(plain: Plain) -> ScheduledTask:
    reason = plain["stop_reason"]
    return ScheduledTask(
        metadata=read_metadata(plain),
        sequence=plain["sequence"],
        tag=plain["tag"],
        admitted_at=float(plain["admitted_at"]),
        state=TaskState(plain["state"]),
        epoch=plain["epoch"],
        attempts=plain["attempts"],
        ready_at=read_seconds(plain["ready_at"]),
        device=plain["device"],
        started_at=read_seconds(plain["started_at"]),
        stop_reason=None if reason is None else OutcomeStatus(reason),
    )


def outcome(given: Outcome) -> Plain:
    return {
        "status": given.status.value,
        "error": given.error,
        "value": given.value,
        "retryable": given.retryable,
    }


def read_outcome(plain: Plain) -> Outcome:
    return Outcome(OutcomeStatus(plain["status"]), plain["error"], plain["value"], plain["retryable"])


# Events


def event(given: Event) -> Plain:
    at = seconds(given.at)
    match given:
        case Submitted(task=asked):
            return {"kind": "submitted", "task": metadata(asked), "at": at}
        case Offered(task=parked):
            return {"kind": "offered", "task": task(parked), "at": at}
        case Finished(task_id=name, epoch=epoch, outcome=end):
            return {"kind": "finished", "id": name, "epoch": epoch, "outcome": outcome(end), "at": at}
        case Tick():
            return {"kind": "tick", "at": at}
        case Cancelled(task_id=name):
            return {"kind": "cancelled", "id": name, "at": at}
        case Withdrawn(task_id=name, epoch=epoch):
            return {"kind": "withdrawn", "id": name, "epoch": epoch, "at": at}
        case CapacityChanged(device=device, units=units):
            return {"kind": "capacity_changed", "device": device, "units": units, "at": at}


def read_event(plain: Plain) -> Event:
    at = float(plain["at"])
    match plain["kind"]:
        case "submitted":
            return Submitted(read_metadata(plain["task"]), at)
        case "offered":
            return Offered(read_task(plain["task"]), at)
        case "finished":
            return Finished(plain["id"], plain["epoch"], read_outcome(plain["outcome"]), at)
        case "tick":
            return Tick(at)
        case "cancelled":
            return Cancelled(plain["id"], at)
        case "withdrawn":
            return Withdrawn(plain["id"], plain["epoch"], at)
        case "capacity_changed":
            return CapacityChanged(plain["device"], plain["units"], at)
    raise ValueError(f"kind: expected an event as tests/vectors/README.md lists them, got {plain['kind']!r}")


# Answers. They are compared as plain values, so nothing need read them back.


def command(given: Command) -> Plain:
    match given:
        case Enqueue(task=parked):
            return {"kind": "enqueue", "task": task(parked)}
        case Start(task=running, device=device, epoch=epoch):
            return {"kind": "start", "task": task(running), "device": device, "epoch": epoch}
        case Deliver(task_id=name, outcome=end):
            return {"kind": "deliver", "id": name, "outcome": outcome(end)}
        case Expire(task=late):
            return {"kind": "expire", "task": task(late)}
        case Reject(task=asked, reason=reason):
            return {"kind": "reject", "task": metadata(asked), "reason": reason.value}
        case Interrupt(task_id=name, epoch=epoch, reason=why):
            return {"kind": "interrupt", "id": name, "epoch": epoch, "reason": why.value}


def checkpoint(given: Checkpoint) -> Plain:
    """Tenants and passed-over tasks have no order of their own: they are written by name."""
    return {
        "now": seconds(given.now),
        "next_sequence": given.next_sequence,
        "virtual_time": given.virtual_time,
        "finish_tags": dict(sorted(given.finish_tags)),
        "passed_over": {name: seconds(since) for name, since in sorted(given.passed_over)},
        "devices": [
            {
                "device": record.device,
                "configured": record.configured,
                "capacity": record.capacity,
                "capacity_max": record.capacity_max,
            }
            for record in given.devices
        ],
    }


def read_checkpoint(plain: Plain) -> Checkpoint:
    return Checkpoint(
        now=float(plain["now"]),
        next_sequence=plain["next_sequence"],
        virtual_time=plain["virtual_time"],
        finish_tags=tuple(plain["finish_tags"].items()),
        passed_over=tuple((name, float(since)) for name, since in plain["passed_over"].items()),
        devices=tuple(DeviceRecord(**row) for row in plain["devices"]),
    )
