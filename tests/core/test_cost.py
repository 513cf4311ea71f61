"""What a step costs, counted in searches of the line: none where nothing can have changed, and few for each start."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

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

    def counted(self, search: Callable[..., Any]) -> Callable[..., Any]:
        def counting(line: WaitingLine, *arguments: Any) -> Any:
            self.count += 1
            return search(line, *arguments)

        return counting

    def of(self, scheduler: Scheduler, *events: Event) -> int:
        """How many it takes to handle these events."""
        before = self.count
        for event in events:
            scheduler.step(event)
        return self.count - before


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Searches]:
    counter = Searches()
    for name in SEARCHES:
        monkeypatch.setattr(WaitingLine, name, counter.counted(getattr(WaitingLine, name)))
    return counter


def one_device() -> Scheduler:
    """Six of eight units are taken, and the head waits for seven."""
    scheduler = Scheduler(PoolConfig(max_units=8))
    for event in (submit("runs", 6, at=0), submit("head", 7, at=0)):
        scheduler.step(event)
    return scheduler


def test_what_is_on_offer_for_nobody_joins_the_line_without_a_search(searches: Searches) -> None:
    scheduler = one_device()
    assert searches.of(scheduler, *(submit(f"t{n}", 3 + n % 5, at=0) for n in range(100))) == 0
    assert searches.of(scheduler, *(submit(f"l{n}", 8, "low", at=0) for n in range(100))) == 0


def test_a_task_that_starts_at_once_costs_two_searches_at_most(searches: Searches) -> None:
    scheduler = Scheduler(PoolConfig(max_units=100))
    costs = [searches.of(scheduler, submit(f"t{n}", at=0)) for n in range(50)]
    assert max(costs) <= 2


def test_the_head_is_not_looked_for_again_when_units_come_back_or_others_leave(searches: Searches) -> None:
    scheduler = one_device()
    for name in ("small", "small too", "waits", "waits too"):
        scheduler.step(submit(name, 1 if name.startswith("small") else 5, at=0))
    assert searches.of(scheduler, finish("small", at=1)) <= 1
    assert searches.of(scheduler, Cancelled("waits", 1)) <= 1


def test_units_that_come_back_to_an_empty_line_cost_nothing(searches: Searches) -> None:
    scheduler = Scheduler(PoolConfig(max_units=8))
    scheduler.step(submit("a", at=0))
    scheduler.step(submit("b", at=0))
    assert searches.of(scheduler, finish("a", at=1)) == 0


@pytest.mark.parametrize("devices", [1, 3])
def test_many_starts_cost_a_few_searches_each_however_many_wait(searches: Searches, devices: int) -> None:
    scheduler = Scheduler(PoolConfig(devices={f"d{n}": 8 for n in range(devices)}))
    for n in range(devices):
        scheduler.step(submit(f"runs{n}", 8, at=0))
    for n in range(500):
        scheduler.step(submit(f"t{n}", 1 + n % 3, at=0))
    before = scheduler.running_count
    cost = searches.of(scheduler, finish("runs0", at=1))
    started = scheduler.running_count - before + 1
    assert started >= 3
    assert cost <= (devices + 2) * (started + 1)


@pytest.mark.parametrize("climate", CLIMATES)
def test_between_steps_the_walk_is_settled(climate: str) -> None:
    for seed in range(3):
        world = make_world(Dice(random.Random(seed).randrange), CLIMATES[climate], 40)
        scheduler = Scheduler(world.config)
        for event in world.events:
            scheduler.step(event)
            assert scheduler._lot.walk.settled
