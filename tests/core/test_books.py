"""Nothing is kept of tasks that are gone: the books of a lot that has become empty are those of one that always was."""

from __future__ import annotations

import random
from typing import Any

import pytest

from parking_lot_core import Cancelled, OutcomeStatus, PoolConfig, Scheduler, Tick
from parking_lot_core.testing.worlds import CLIMATES, Dice, make_world
from tests.core.play import Deliver, Enqueue, Play, Start, finish, submit


def kept(scheduler: Scheduler) -> dict[str, Any]:
    """Whatever the parts of the lot hold by task."""
    lot = scheduler._lot
    return {
        "tasks": list(lot.tasks),
        "line": [task.id for task in lot.waiting.line],
        "delayed": sorted(lot.waiting._delayed),
        "levels": lot.waiting._levels,
        "marks": list(lot.backfill._marks),
        "exhausted": lot.backfill._exhausted,
        "sequences": sorted(lot._sequences or ()),
        "ends": [device.ends for device in lot.devices.values() if device.ends],
        "used": [device.capacity - device.free for device in lot.devices.values() if device.capacity != device.free],
        "counts": (lot.running, lot.stopping),
    }


NOTHING = kept(Scheduler(PoolConfig(max_units=1)))


def test_an_empty_lot_holds_nothing() -> None:
    assert not any(held for name, held in NOTHING.items() if name != "counts")
    assert NOTHING["counts"] == (0, 0)


@pytest.mark.parametrize("climate", CLIMATES)
def test_when_all_tasks_have_ended_nothing_is_left_of_them(climate: str) -> None:
    """However they end: half of them are cancelled where they stand, the others run as far as they get."""
    for seed in range(6):
        world = make_world(Dice(random.Random(f"{climate} {seed}").randrange), CLIMATES[climate], 40)
        scheduler = Scheduler(world.config)
        for event in world.events:
            scheduler.step(event)
        for turn, task in enumerate(list(scheduler.tasks())):
            if turn % 2 and task.device is not None:
                scheduler.step(finish(task.id, task.epoch, at=scheduler.now))
            scheduler.step(Cancelled(task.id, scheduler.now))
        for task in list(scheduler.tasks()):
            scheduler.step(finish(task.id, task.epoch, at=scheduler.now))
        assert kept(scheduler) == NOTHING
        scheduler.step(Tick(scheduler.now + 1e6))
        assert scheduler.next_deadline() is None
        assert kept(scheduler) == NOTHING


@pytest.mark.parametrize("aging", [None, 10])
def test_an_id_that_was_delayed_when_it_was_cancelled_may_come_again_without_delay(aging: float | None) -> None:
    play = (
        Play(PoolConfig(max_units=1, aging=aging))
        >> submit("runs", at=0)
        << Start("runs")
        >> submit("a", at=0, not_before=50.0)
        << Enqueue("a", ready_at=50)
        >> Cancelled("a", at=1)
        << Deliver("a", status=OutcomeStatus.CANCELLED)
        >> submit("a", at=2)
        << Enqueue("a", ready_at=None)
    )
    assert play
    assert play.scheduler.position("a") == 1
    assert play >> finish("runs", at=3) << Deliver("runs") << Start("a")
    assert list(play.scheduler.waiting()) == []
