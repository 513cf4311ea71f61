"""What a step costs, counted in searches of the line: none where nothing can have changed, and few for each start."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Self

import pytest

from parking_lot_core import Cancelled, Event, PoolConfig, Scheduler
from parking_lot_core.line import WaitingLine
from parking_lot_core.testing.worlds import CLIMATES, Dice, make_world
from tests.core.play import finish, submit

SEARCHES = ("first", "after", "after_within")


class Searches:
    """Counts the searches that the lines of all schedulers make."""

    def __init__(self) -> None:
        self.count = 0
        self.originals = {name: getattr(WaitingLine, name) for name in SEARCHES}

    def __enter__(self) -> Self:
        for name, search in self.originals.items():
            setattr(WaitingLine, name, self.counted(search))
        return self

    def __exit__(self, *_: object) -> None:
        for name, search in self.originals.items():
            setattr(WaitingLine, name, search)

    def counted(self, search: Callable[..., Any]) -> Callable[..., Any]:
        def counting(line: WaitingLine, *arguments: Any) -> Any:
            self.count += 1
            return search(line, *arguments)

        return counting


def cost(scheduler: Scheduler, *events: Event) -> int:
    """How many searches it takes to handle these events."""
    with Searches() as searches:
        for event in events:
            scheduler.step(event)
    return searches.count


def one_device() -> Scheduler:
    """Six of eight units are taken, and the head waits for seven."""
    scheduler = Scheduler(PoolConfig(max_units=8))
    for event in (submit("runs", 6, at=0), submit("head", 7, at=0)):
        scheduler.step(event)
    return scheduler


def test_what_is_on_offer_for_nobody_joins_the_line_without_a_search() -> None:
    scheduler = one_device()
    assert cost(scheduler, *(submit(f"t{n}", 3 + n % 5, at=0) for n in range(100))) == 0
    assert cost(scheduler, *(submit(f"l{n}", 8, "low", at=0) for n in range(100))) == 0


def test_a_task_that_starts_at_once_costs_two_searches_at_most() -> None:
    scheduler = Scheduler(PoolConfig(max_units=100))
    costs = [cost(scheduler, submit(f"t{n}", at=0)) for n in range(50)]
    assert max(costs) <= 2


def test_the_head_is_not_looked_for_again_when_units_come_back_or_others_leave() -> None:
    scheduler = one_device()
    for name in ("small", "small too", "waits", "waits too"):
        scheduler.step(submit(name, 1 if name.startswith("small") else 5, at=0))
    assert cost(scheduler, finish("small", at=1)) <= 1
    assert cost(scheduler, Cancelled("waits", 1)) <= 1


def test_units_that_come_back_to_an_empty_line_cost_nothing() -> None:
    scheduler = Scheduler(PoolConfig(max_units=8))
    scheduler.step(submit("a", at=0))
    scheduler.step(submit("b", at=0))
    assert cost(scheduler, finish("a", at=1)) == 0


@pytest.mark.parametrize("devices", [1, 3])
def test_many_starts_cost_a_few_searches_each_however_many_wait(devices: int) -> None:
    scheduler = Scheduler(PoolConfig(devices={f"d{n}": 8 for n in range(devices)}))
    for n in range(devices):
        scheduler.step(submit(f"runs{n}", 8, at=0))
    for n in range(500):
        scheduler.step(submit(f"t{n}", 1 + n % 3, at=0))
    before = scheduler.running_count
    searches = cost(scheduler, finish("runs0", at=1))
    started = scheduler.running_count - before + 1
    assert started >= 3
    assert searches <= (devices + 2) * (started + 1)


@pytest.mark.parametrize("climate", CLIMATES)
def test_between_steps_the_walk_is_settled(climate: str) -> None:
    for seed in range(3):
        world = make_world(Dice(random.Random(seed).randrange), CLIMATES[climate], 40)
        scheduler = Scheduler(world.config)
        for event in world.events:
            scheduler.step(event)
            assert scheduler._lot.walk.settled
