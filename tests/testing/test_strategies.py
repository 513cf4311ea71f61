"""The strategies give what they promise, and Hypothesis finds in them what is to be found."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from parking_lot_core import Event, Finished, PoolConfig, Scheduler, Submitted, TaskMetadata, TaskState, Tick
from parking_lot_core.testing import Climate, Dice, Watched, World, checks, make_world, strategies, worlds
from parking_lot_core.testing.broken import LastInFirstOut

QUICK = settings(max_examples=40, deadline=None)
OWN = PoolConfig(devices={"left": 3, "right": 5})


@QUICK
@given(strategies.configs(Climate(windows=(1, 3), devices_max=2, units_max=5, aging=True, limits=False)))
def test_configs_are_of_the_climate(config: PoolConfig) -> None:
    assert config.backfill_window in (1, 3)
    assert 1 <= len(config.devices) <= 2
    assert all(2 <= units <= 5 for units in config.devices.values())
    assert config.aging is not None
    assert config.run_timeout is None


@QUICK
@given(strategies.tasks(Climate(units_max=4, limits=False), task_id="mine", now=1000.0))
def test_tasks_are_of_the_climate(task: TaskMetadata) -> None:
    assert task.id == "mine"
    assert 1 <= task.units <= 6
    assert task.run_timeout is None
    assert task.start_by is None or task.start_by >= 999


@QUICK
@given(strategies.events(), strategies.events(Climate(), None, worlds.tick, worlds.finished))
def test_single_events(event: Event, other: Event) -> None:
    Scheduler(OWN).step(event)
    assert isinstance(other, Tick | Finished)


@QUICK
@given(st.data())
def test_events_are_made_for_the_lot(data: st.DataObject) -> None:
    """Most ends are ends of what runs."""
    watched = Watched(Scheduler(OWN), OWN)
    for _ in range(3):
        watched.step(data.draw(strategies.events(Climate(), watched.history, worlds.submitted)))
    event = data.draw(strategies.events(Climate(), watched.history, worlds.finished))
    assert isinstance(event, Finished)
    known = {task.id for task in watched.history.known}
    assert event.task_id in known | {"nobody", "t1", "t2"}


@QUICK
@given(strategies.submissions(Climate(), Watched(Scheduler(OWN), OWN).history, least=5, most=7))
def test_submissions_have_ids_of_their_own(events: list[Event]) -> None:
    ids = [event.task.id for event in events if isinstance(event, Submitted)]
    assert 5 <= len(ids) == len(set(ids)) <= 7


@QUICK
@given(strategies.worlds(config=OWN, events_max=9).map(lambda world: world.events))
def test_lists_of_events_for_a_pool_of_ones_own(events: tuple[Event, ...]) -> None:
    assert 1 <= len(events) <= 9
    watched = Watched(Scheduler(OWN), OWN, *checks.ALL)
    for event in events:
        watched.step(event)


def ends(world: World, make: type) -> int:
    """How many reports are about what this scheduler ran at that moment."""
    watched, count = Watched(make(world.config), world.config), 0
    for event in world.events:
        if isinstance(event, Finished):
            run = watched.history.get(event.task_id)
            count += run is not None and run.state is TaskState.RUNNING and run.epoch == event.epoch
        watched.step(event)
    return count


def test_worlds_follow_the_scheduler_that_they_are_for() -> None:
    """A policy that starts other tasks than ours is told that those have ended."""
    climate = Climate(kinds=(worlds.finished,), burst=12, devices_max=1, aging=False, depth=False)

    def drawn(seed: int, make: type) -> World:
        return make_world(Dice(random.Random(seed).randrange), climate, 40, make=make)

    followed = sum(ends(drawn(seed, LastInFirstOut), LastInFirstOut) for seed in range(20))
    others = sum(ends(drawn(seed, Scheduler), LastInFirstOut) for seed in range(20))
    assert followed > others + 20
