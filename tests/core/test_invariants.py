"""The invariants of the design, by name: they hold for the scheduler, and every check can fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given

from parking_lot_core import Scheduler
from parking_lot_core.testing import broken, properties
from parking_lot_core.testing.history import Broken
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.properties import Property
from parking_lot_core.testing.strategies import worlds as any_world_of
from parking_lot_core.testing.worlds import Climate, Dice, World, make_world
from tests.core.depth import examples
from tests.testing.faults import ANY, CROWD, NO_LIMITS, ONE_DEVICE, TIMELY


@examples(40)
@given(any_world_of(ANY))
def test_budget(world: World) -> None:
    properties.budget(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_fencing(world: World) -> None:
    properties.fencing(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_conservation(world: World) -> None:
    properties.conservation(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_depth(world: World) -> None:
    properties.depth(Scheduler, world)


@examples(40)
@given(any_world_of(CROWD))
def test_order(world: World) -> None:
    properties.order(Scheduler, world)


@examples(40)
@given(any_world_of(CROWD))
def test_work_conservation(world: World) -> None:
    properties.work_conservation(Scheduler, world)


@examples(40)
@given(any_world_of(ONE_DEVICE))
def test_no_delay(world: World) -> None:
    properties.no_delay(Scheduler, world)


@examples(40)
@given(any_world_of(TIMELY))
def test_the_head_starts_in_time(world: World) -> None:
    properties.starts_in_time(Scheduler, world)


@examples(40)
@given(any_world_of(NO_LIMITS))
def test_bounded_bypass(world: World) -> None:
    properties.bounded_bypass(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_expiry(world: World) -> None:
    properties.expiry(Scheduler, world)


@examples(40)
@given(any_world_of(ANY, events_max=25))
def test_restore(world: World) -> None:
    properties.restores(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_restore_again_and_again(world: World) -> None:
    properties.restores_again_and_again(Scheduler, world)


@examples(30)
@given(any_world_of(ANY))
def test_determinism(world: World) -> None:
    properties.deterministic(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_time_that_runs_backwards_is_clamped(world: World) -> None:
    properties.clamps_time(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_a_repeated_tick_does_nothing(world: World) -> None:
    properties.repeated_tick_does_nothing(Scheduler, world)


@examples(40)
@given(any_world_of(ANY, events_max=25))
def test_ticks_at_the_deadlines_suffice(world: World) -> None:
    properties.deadlines_suffice(Scheduler, world)


@examples(40)
@given(any_world_of(ANY))
def test_everything_ends(world: World) -> None:
    properties.everything_ends(Scheduler, world)


# Every check can fail

FAULTS: tuple[tuple[Property, type[Model], Climate], ...] = (
    (properties.budget, broken.Overcommits, ANY),
    (properties.budget, broken.IgnoresDrop, ANY),
    (properties.budget, broken.ReleasesOnInterrupt, ANY),
    (properties.fencing, broken.BelievesStaleWorkers, ANY),
    (properties.fencing, broken.ReusesEpochs, ANY),
    (properties.fencing, broken.ReleasesOnInterrupt, ANY),
    (properties.fencing, broken.StartsTwice, ANY),
    (properties.conservation, broken.DropsOutcomes, ANY),
    (properties.conservation, broken.DeliversTwice, ANY),
    (properties.conservation, broken.ExpiresTwice, ANY),
    (properties.conservation, broken.ForgetsRetries, ANY),
    (properties.conservation, broken.ForgetsToInterrupt, ANY),
    (properties.conservation, broken.StartsTwice, ANY),
    (properties.depth, broken.IgnoresDepth, ANY),
    (properties.depth, broken.RefusesEarly, ANY),
    (properties.order, broken.LastInFirstOut, CROWD),
    (properties.order, broken.LosesPlaces, CROWD),
    (properties.order, broken.IgnoresAging, CROWD),
    (properties.order, broken.IgnoresTags, CROWD),
    (properties.order, broken.IgnoresDelays, ANY),
    (properties.work_conservation, broken.OneStartPerStep, CROWD),
    (properties.work_conservation, broken.NeverBackfills, CROWD),
    (properties.no_delay, broken.IgnoresReservations, ONE_DEVICE),
    (properties.no_delay, broken.MiscountsSpare, ONE_DEVICE),
    (properties.no_delay, broken.ForgetsThePresent, ONE_DEVICE),
    (properties.starts_in_time, broken.IgnoresReservations, TIMELY),
    (properties.starts_in_time, broken.MiscountsSpare, TIMELY),
    (properties.bounded_bypass, broken.NeverDrains, NO_LIMITS),
    (properties.bounded_bypass, broken.DrainsLate, NO_LIMITS),
    (properties.bounded_bypass, broken.PassesUnderStrictOrder, NO_LIMITS),
    (properties.expiry, broken.StartsExpired, ANY),
    (properties.expiry, broken.ExpiresEarly, ANY),
    (properties.restores, broken.ForgetsWhoWaits, CROWD),
    (properties.restores, broken.ForgetsCapacity, ANY),
    (properties.restores, broken.ForgetsShares, ANY),
    (properties.restores, broken.ForgetsSequence, ANY),
    (properties.restores, broken.ForgetsTheTime, ANY),
    (properties.restores_again_and_again, broken.ForgetsWhoWaits, CROWD),
    (properties.restores_again_and_again, broken.ForgetsShares, ANY),
    (properties.restores_again_and_again, broken.ForgetsTheTime, ANY),
    (properties.everything_ends, broken.NeverRetries, ANY),
    (properties.everything_ends, broken.OneStartPerStep, ANY),
    (properties.deterministic, broken.RemembersOtherRuns, ANY),
    (properties.clamps_time, broken.GoesBackInTime, ANY),
    (properties.repeated_tick_does_nothing, broken.OneStartPerStep, ANY),
    (properties.repeated_tick_does_nothing, broken.CountsTicks, ANY),
    (properties.deadlines_suffice, broken.WakesLate, ANY),
    (properties.deadlines_suffice, broken.NeverSleeps, ANY),
)
SEEDS = 1000


@pytest.mark.parametrize(
    ("holds", "faulty", "climate"),
    FAULTS,
    ids=[f"{holds.__name__}-{faulty.__name__}" for holds, faulty, _ in FAULTS],
)
def test_every_check_can_fail(holds: Property, faulty: type[Model], climate: Climate) -> None:
    """A broken scheduler is found out in one of the first worlds, in which the model is not."""
    for seed in range(SEEDS):
        world = make_world(Dice(random.Random(seed).randrange), climate, 30)
        holds(Model, world)
        try:
            holds(faulty, world)
        except Broken:
            return
    pytest.fail(f"{faulty.__name__} passed {holds.__name__} in {SEEDS} worlds")
