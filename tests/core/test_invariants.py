"""The invariants of the design, by name: they hold for the scheduler, and every check can fail."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parking_lot_core import Scheduler
from parking_lot_core.testing import broken, checks, properties
from parking_lot_core.testing.history import Broken, Check, MakeScheduler, watch
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.properties import Property
from parking_lot_core.testing.strategies import worlds as any_world_of
from parking_lot_core.testing.worlds import Climate, Dice, World, make_world
from tests.core.depth import examples
from tests.testing.faults import ANY, CROWD, NO_LIMITS, ONE_DEVICE, TIMELY


def watching(check: type[Check]) -> Property:
    """What a check sees in one run, as a property."""

    def holds(make: MakeScheduler, world: World) -> None:
        watch(make(world.config), world.config, world.events, check)

    holds.__name__ = check.__name__
    return holds


SEEN_IN_A_RUN: tuple[tuple[type[Check], Climate], ...] = (
    (checks.Budget, ANY),
    (checks.Fencing, ANY),
    (checks.Conservation, ANY),
    (checks.Depth, ANY),
    (checks.Order, CROWD),
    (checks.WorkConservation, CROWD),
    (checks.NoDelay, ONE_DEVICE),
    (checks.StartsInTime, TIMELY),
    (checks.BoundedBypass, NO_LIMITS),
    (checks.Expiry, ANY),
)


@pytest.mark.parametrize(("check", "climate"), SEEN_IN_A_RUN, ids=[check.__name__ for check, _ in SEEN_IN_A_RUN])
@examples(40)
@given(data=st.data())
def test_no_run_breaks(check: type[Check], climate: Climate, data: st.DataObject) -> None:
    watching(check)(Scheduler, data.draw(any_world_of(climate)))


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
    (watching(checks.Budget), broken.Overcommits, ANY),
    (watching(checks.Budget), broken.IgnoresDrop, ANY),
    (watching(checks.Budget), broken.ReleasesOnInterrupt, ANY),
    (watching(checks.Fencing), broken.BelievesStaleWorkers, ANY),
    (watching(checks.Fencing), broken.ReusesEpochs, ANY),
    (watching(checks.Fencing), broken.ReleasesOnInterrupt, ANY),
    (watching(checks.Fencing), broken.StartsTwice, ANY),
    (watching(checks.Conservation), broken.DropsOutcomes, ANY),
    (watching(checks.Conservation), broken.DeliversTwice, ANY),
    (watching(checks.Conservation), broken.ExpiresTwice, ANY),
    (watching(checks.Conservation), broken.ForgetsRetries, ANY),
    (watching(checks.Conservation), broken.ForgetsToInterrupt, ANY),
    (watching(checks.Conservation), broken.StartsTwice, ANY),
    (watching(checks.Depth), broken.IgnoresDepth, ANY),
    (watching(checks.Depth), broken.RefusesEarly, ANY),
    (watching(checks.Order), broken.LastInFirstOut, CROWD),
    (watching(checks.Order), broken.LosesPlaces, CROWD),
    (watching(checks.Order), broken.IgnoresAging, CROWD),
    (watching(checks.Order), broken.IgnoresTags, CROWD),
    (watching(checks.Order), broken.IgnoresDelays, ANY),
    (watching(checks.WorkConservation), broken.OneStartPerStep, CROWD),
    (watching(checks.WorkConservation), broken.NeverBackfills, CROWD),
    (watching(checks.NoDelay), broken.IgnoresReservations, ONE_DEVICE),
    (watching(checks.NoDelay), broken.MiscountsSpare, ONE_DEVICE),
    (watching(checks.NoDelay), broken.ForgetsThePresent, ONE_DEVICE),
    (watching(checks.StartsInTime), broken.IgnoresReservations, TIMELY),
    (watching(checks.StartsInTime), broken.MiscountsSpare, TIMELY),
    (watching(checks.BoundedBypass), broken.NeverDrains, NO_LIMITS),
    (watching(checks.BoundedBypass), broken.DrainsLate, NO_LIMITS),
    (watching(checks.BoundedBypass), broken.PassesUnderStrictOrder, NO_LIMITS),
    (watching(checks.Expiry), broken.StartsExpired, ANY),
    (watching(checks.Expiry), broken.ExpiresEarly, ANY),
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
