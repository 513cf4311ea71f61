"""The invariants of the design, by name: they hold for the scheduler, and every check can fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given

from parking_lot_core import Scheduler
from tests.core import mutants, properties, worlds
from tests.core.depth import examples
from tests.core.history import Broken
from tests.core.model import Model
from tests.core.properties import Property
from tests.core.strategies import worlds as any_world_of
from tests.core.worlds import Climate, Dice, World, make_world

ANY = Climate()
CROWD = Climate(kinds=worlds.QUIET, depth=False)
ONE_DEVICE = Climate(devices_max=1, windows=(3, 1, 8), aging=False)
TIMELY = Climate(devices_max=1, windows=(3, 1, 8), limits=True, timely=True, kinds=worlds.QUIET)
NO_LIMITS = Climate(windows=(3, 0, 1, 8), limits=False, kinds=worlds.QUIET)


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
    (properties.budget, mutants.Overcommits, ANY),
    (properties.budget, mutants.IgnoresDrop, ANY),
    (properties.budget, mutants.ReleasesOnInterrupt, ANY),
    (properties.fencing, mutants.BelievesStaleWorkers, ANY),
    (properties.fencing, mutants.ReusesEpochs, ANY),
    (properties.fencing, mutants.ReleasesOnInterrupt, ANY),
    (properties.fencing, mutants.StartsTwice, ANY),
    (properties.conservation, mutants.DropsOutcomes, ANY),
    (properties.conservation, mutants.DeliversTwice, ANY),
    (properties.conservation, mutants.ExpiresTwice, ANY),
    (properties.conservation, mutants.ForgetsRetries, ANY),
    (properties.conservation, mutants.ForgetsToInterrupt, ANY),
    (properties.conservation, mutants.StartsTwice, ANY),
    (properties.depth, mutants.IgnoresDepth, ANY),
    (properties.depth, mutants.RefusesEarly, ANY),
    (properties.order, mutants.LastInFirstOut, CROWD),
    (properties.order, mutants.LosesPlaces, CROWD),
    (properties.order, mutants.IgnoresAging, CROWD),
    (properties.order, mutants.IgnoresTags, CROWD),
    (properties.work_conservation, mutants.OneStartPerStep, CROWD),
    (properties.work_conservation, mutants.NeverBackfills, CROWD),
    (properties.no_delay, mutants.IgnoresReservations, ONE_DEVICE),
    (properties.no_delay, mutants.MiscountsSpare, ONE_DEVICE),
    (properties.no_delay, mutants.ForgetsThePresent, ONE_DEVICE),
    (properties.starts_in_time, mutants.IgnoresReservations, TIMELY),
    (properties.starts_in_time, mutants.MiscountsSpare, TIMELY),
    (properties.bounded_bypass, mutants.NeverDrains, NO_LIMITS),
    (properties.bounded_bypass, mutants.DrainsLate, NO_LIMITS),
    (properties.bounded_bypass, mutants.PassesUnderStrictOrder, NO_LIMITS),
    (properties.expiry, mutants.StartsExpired, ANY),
    (properties.expiry, mutants.ExpiresEarly, ANY),
    (properties.restores, mutants.ForgetsWhoWaits, CROWD),
    (properties.restores, mutants.ForgetsCapacity, ANY),
    (properties.restores, mutants.ForgetsShares, ANY),
    (properties.restores, mutants.ForgetsSequence, ANY),
    (properties.restores, mutants.ForgetsTheTime, ANY),
    (properties.everything_ends, mutants.NeverRetries, ANY),
    (properties.everything_ends, mutants.OneStartPerStep, ANY),
    (properties.deterministic, mutants.RemembersOtherRuns, ANY),
    (properties.clamps_time, mutants.GoesBackInTime, ANY),
    (properties.repeated_tick_does_nothing, mutants.OneStartPerStep, ANY),
    (properties.repeated_tick_does_nothing, mutants.CountsTicks, ANY),
    (properties.deadlines_suffice, mutants.WakesLate, ANY),
    (properties.deadlines_suffice, mutants.NeverSleeps, ANY),
)
SEEDS = 1000


@pytest.mark.parametrize(
    ("holds", "mutant", "climate"), FAULTS, ids=[f"{holds.__name__}-{mutant.__name__}" for holds, mutant, _ in FAULTS]
)
def test_every_check_can_fail(holds: Property, mutant: type[Model], climate: Climate) -> None:
    """A broken scheduler is found out in one of the first worlds, in which the model is not."""
    for seed in range(SEEDS):
        world = make_world(Dice(random.Random(seed).randrange), climate, 30)
        holds(Model, world)
        try:
            holds(mutant, world)
        except Broken:
            return
    pytest.fail(f"{mutant.__name__} passed {holds.__name__} in {SEEDS} worlds")
