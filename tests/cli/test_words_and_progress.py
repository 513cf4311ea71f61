"""Words for people: spans, rates, where a task stands; and how fast a host is."""

from __future__ import annotations

import pytest

from parking_lot_core import (
    Checkpoint,
    DeviceRecord,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ResourceCost,
    ScheduledTask,
    TaskMetadata,
    TaskState,
)
from parking_lot_core.explain import Explanation, Reason
from parking_lot_drivers.cli.lot_frame import Frame, remarks
from parking_lot_drivers.cli.progress import Pace
from parking_lot_drivers.cli.standing_words import sentences
from parking_lot_drivers.cli.words import clock, counted, per_second, span
from parking_lot_drivers.client import Standing
from parking_lot_drivers.handle import TaskResult
from parking_lot_drivers.ports import Host, Overview

HOST = Host(pid=7, hostname="box", renewed_at=90.0)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (86_399, "23 h 59 min"),
        (86_400, "1 d 0 h"),
        (1e6, "11 d 13 h"),
    ],
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_clocks_counts_and_rates() -> None:
    assert [clock(seconds) for seconds in (-1, 7, 60, 3599.4, 3661)] == ["0:00", "0:07", "1:00", "59:59", "1:01:01"]
    assert [counted(count, "task") for count in (0, 1, 2000)] == ["0 tasks", "1 task", "2,000 tasks"]
    assert [per_second(rate) for rate in (0, 0.1234, 12.34, 1234.5)] == ["0", "0.123", "12.3", "1,234"]


def test_the_pace_is_that_of_the_last_half_minute() -> None:
    pace = Pace()
    assert pace.rate == 0
    pace.note(0, 10)
    assert pace.rate == 0
    pace.note(10, 20)
    assert pace.rate == 1
    for second in range(11, 101):
        pace.note(second, 20 + 5 * (second - 10))
    assert pace.rate == 5


def task(**changes: object) -> ScheduledTask:
    metadata = TaskMetadata("t", ResourceCost(2), Priority.HIGH, start_by=changes.pop("start_by", None))  # type: ignore[arg-type]
    return ScheduledTask(metadata, 1, 0, 80.0, **changes)  # type: ignore[arg-type]


def standing(kept: ScheduledTask) -> Standing:
    since = kept.admitted_at if kept.started_at is None else kept.started_at
    return Standing(task_id="t", state=kept.state, since=since, metadata=kept.metadata, task=kept)


def test_where_a_waiting_task_stands() -> None:
    kept = task(start_by=160.0, attempts=1)
    why = Explanation(
        task_id="t",
        reason=Reason.FIRST_IN_LINE,
        device="0",
        position=1,
        units_short=2,
        passed_over_since=95.0,
        passed_over_until=155.0,
        starts_by=130.0,
    )
    assert sentences(standing(kept), why, HOST, 100.0) == [
        "task t has been parked for 20 s",
        "it is next on device 0, which is 2 units short",
        "others have passed it for 5.0 s, and may for 55 s more",
        "it starts within 30 s",
        "it was tried 1 time, without success",
        "it expires in 1 min 00 s",
    ]
    delayed = Explanation(task_id="t", reason=Reason.DELAYED, delayed_until=112.0)
    for why_delayed, host in ((delayed, HOST), (None, None)):
        told = sentences(standing(task(ready_at=112.0)), why_delayed, host, 100.0)
        assert told[1] == "it is not to start for 12 s"
    assert sentences(standing(task()), None, None, 100.0) == [
        "task t has been parked for 20 s",
        "no process serves this lot now; one that does: parking-lot work",
    ]


def test_where_a_running_task_stands() -> None:
    kept = task(state=TaskState.RUNNING, epoch=1, attempts=1, device="gpu", started_at=98.0)
    assert sentences(standing(kept), None, HOST, 100.0) == [
        "task t has been running for 2.0 s, with 2 units of device gpu, in attempt 1"
    ]
    assert sentences(standing(kept), None, None, 100.0)[0] == (
        "task t was running when its host went away; the next one runs it again"
    )


def test_how_a_task_ended() -> None:
    def ended(status: OutcomeStatus, started_at: float | None, error: str | None = None) -> list[str]:
        result = TaskResult(
            task_id="t", status=status, error=error, submitted_at=10.0, started_at=started_at, finished_at=40.0
        )
        return sentences(Standing(task_id="t", state=status, since=40.0, result=result), None, None, 100.0)

    assert ended(OutcomeStatus.TIMED_OUT, 30.0, "killed") == [
        "task t timed out: killed, 1 min 00 s ago",
        "its last run took 10 s, and began 20 s after its submission",
    ]
    assert ended(OutcomeStatus.EXPIRED, None) == ["task t expired, 1 min 00 s ago", "it never ran; it waited for 30 s"]


def test_remarks_on_a_parked_task() -> None:
    assert remarks(task(), 100.0) == ""
    assert remarks(task(ready_at=103.0, start_by=200.0), 100.0) == "not for 3.0 s, expires in 1 min 40 s"
    assert remarks(task(ready_at=103.0, attempts=2), 100.0) == "again in 3.0 s, tried 2 times"


def test_devices_that_changed_and_devices_that_are_gone() -> None:
    policy = PoolConfig(devices={"a": 8, "b": 4})
    records = (
        DeviceRecord(device="a", configured=8, capacity=6, capacity_max=8),
        DeviceRecord(device="b", configured=5, capacity=2, capacity_max=5),  # from before the settings changed
        DeviceRecord(device="c", configured=0, capacity=3, capacity_max=3),
    )
    running = [
        task(state=TaskState.RUNNING, epoch=1, device="a", started_at=98.0),
        task(state=TaskState.STOPPING, epoch=1, device="old", started_at=98.0),
    ]
    seen = Overview(
        parked=0,
        running=running,
        waiting=[],
        requests=0,
        set_aside=0,
        outcomes=0,
        checkpoint=Checkpoint(devices=records),
        host=HOST,
    )
    told = Frame(pool="p", where="x", policy=policy, seen=seen, at=100.0).as_json()
    assert [(each["name"], each["capacity"], each["used"]) for each in told["devices"]] == [
        ("a", 6, 2),
        ("b", 4, 0),
        ("c", 3, 0),
        ("old", 0, 2),
    ]
