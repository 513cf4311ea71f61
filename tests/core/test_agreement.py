"""14. The scheduler equals the model: same commands, same state, deadlines that are early enough."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parking_lot_core import (
    CapacityChanged,
    Event,
    Finished,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    Priority,
    ResourceCost,
    Scheduler,
    Submitted,
    TaskMetadata,
    Tick,
)
from parking_lot_core.testing.agreement import agrees_in_a_long_line, agrees_with_model, assert_same_state
from parking_lot_core.testing.invariants import INVARIANTS
from parking_lot_core.testing.machine import SchedulerMachine
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.strategies import worlds
from parking_lot_core.testing.worlds import CLIMATES, LONG_LINES, Dice, make_world
from tests.core.depth import DEPTH, examples


class SchedulerAndModel(SchedulerMachine):
    """Anything may happen in any order, under all invariants; the last of them is that both agree."""

    holds = INVARIANTS.keys()


TestSchedulerAndModel = SchedulerAndModel.TestCase
TestSchedulerAndModel.settings = settings(TestSchedulerAndModel.settings, max_examples=30 * DEPTH)


@pytest.mark.parametrize("climate", CLIMATES)
@examples(25)
@given(data=st.data())
def test_agreement(climate: str, data: st.DataObject) -> None:
    agrees_with_model(Scheduler, data.draw(worlds(CLIMATES[climate])))


@pytest.mark.parametrize("climate", CLIMATES)
def test_agreement_in_fixed_worlds(climate: str) -> None:
    """Longer worlds than Hypothesis makes, and the same ones every time."""
    for seed in range(10 * DEPTH):
        agrees_with_model(Scheduler, make_world(Dice(random.Random(seed).randrange), CLIMATES[climate], 60))


@pytest.mark.parametrize("seed", range(4 * DEPTH))
def test_agreement_in_a_long_line(seed: int) -> None:
    """Hundreds of parked tasks, so that whatever the scheduler keeps them in grows and shrinks."""
    agrees_in_a_long_line(Scheduler, make_world(Dice(random.Random(seed).randrange), LONG_LINES, 150))


# Small worlds, every one of them

SMALL_POOLS = (
    PoolConfig(max_units=3, backfill_window=0),
    PoolConfig(max_units=3, backfill_window=2, retry_backoff=1),
    PoolConfig(devices={"b": 3, "a": 2}, backfill_window=2, retry_backoff=0, timeout=3),
    PoolConfig(max_units=3, max_queue_depth=2, aging=1, run_timeout=2),
)


def small_event(letter: str, model: Model) -> Event:
    """``letter`` as it applies to the lot as it stands."""
    fresh, now = f"t{model.next_sequence}", model.now
    running = [task for task in model.known if task.device is not None] or [None]
    task_id, epoch = (running[0].id, running[0].epoch) if running[0] else ("nobody", 1)
    match letter:
        case "1" | "2" | "3":
            return Submitted(TaskMetadata(fresh, ResourceCost(int(letter))), now)
        case "!":
            return Submitted(TaskMetadata(fresh, ResourceCost(2), Priority.HIGH, run_timeout=1.0), now)
        case "+":
            return Finished(task_id, epoch, Outcome(OutcomeStatus.SUCCEEDED), now)
        case "-":
            return Finished(task_id, epoch, Outcome(OutcomeStatus.FAILED), now + 1)
        case ".":
            return Tick(now + 1)
        case _:
            return CapacityChanged(model.devices[0].name, 2 if model.devices[0].capacity == 3 else 3, now)


def small_world(config: PoolConfig, letters: Sequence[str]) -> None:
    scheduler, model = Scheduler(config), Model(config)
    for letter in letters:
        event = small_event(letter, model)
        assert scheduler.step(event) == model.step(event), letters
    assert_same_state(scheduler, model)


def test_agreement_in_every_small_world() -> None:
    for config in SMALL_POOLS:
        for letters in itertools.product("123!+-.c", repeat=4):
            small_world(config, ("2", *letters))
