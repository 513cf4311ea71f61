"""The invariants by name, and ``examine``, which shows those of them that are asked for in one world.

An invariant is shown in one of two ways. *Checks* look on while a scheduler runs. *Properties* run the same events
again, in a way of their own: with a crash in between, a second time, with clocks that run backwards, beside the model.
"""

from __future__ import annotations

from collections.abc import Collection

import attrs

from parking_lot_core import Event
from parking_lot_core.testing import checks, properties
from parking_lot_core.testing.agreement import agrees_with_model
from parking_lot_core.testing.history import Broken, Check, MakeScheduler, Rank, Steps, ask, watch
from parking_lot_core.testing.properties import Property
from parking_lot_core.testing.trace import Story, as_story
from parking_lot_core.testing.worlds import World


@attrs.frozen(kw_only=True)
class Invariant:
    """One promise of the design.

    Attributes:
        number: its number in the design, section 9.
        says: the promise.
        checks: what looks on during a run.
        properties: what runs the events again.
        needs: methods without which it cannot be shown; ``restore`` belongs to the class of the scheduler.
    """

    number: int
    says: str
    checks: tuple[type[Check], ...] = ()
    properties: tuple[Property, ...] = ()
    needs: tuple[str, ...] = ()


INVARIANTS: dict[str, Invariant] = {
    "Budget": Invariant(
        number=1,
        says="The units of the tasks that run on a device never exceed its capacity when one of them starts.",
        checks=(checks.Budget,),
    ),
    "Fencing": Invariant(
        number=2,
        says="Every start has the next epoch, and each epoch releases its units exactly once.",
        checks=(checks.Fencing,),
    ),
    "Conservation": Invariant(
        number=3,
        says="Every admitted task is parked, running or ended, and ends once; no request goes unanswered.",
        checks=(checks.Conservation,),
    ),
    "Depth": Invariant(
        number=4,
        says="No more tasks than max_queue_depth are admitted, and none is refused while there is room.",
        checks=(checks.Depth,),
    ),
    "Order": Invariant(
        number=5,
        says="Nothing starts while a task of higher rank is eligible and fits.",
        checks=(checks.Order,),
    ),
    "WorkConservation": Invariant(
        number=6,
        says="After a step, no task that fits and that the policy permits to start is still parked.",
        checks=(checks.WorkConservation,),
    ),
    "NoDelay": Invariant(
        number=7,
        says="Where runs have limits, backfill never moves the head past the end of its reservation.",
        checks=(checks.StartsInTime,),
    ),
    "BoundedBypass": Invariant(
        number=8,
        says="Without a reservation, the head is passed over for at most backfill_window.",
        checks=(checks.BoundedBypass,),
    ),
    "Expiry": Invariant(
        number=9,
        says="Nothing starts at or past start_by; what has reached it expires, once, and nothing else does.",
        checks=(checks.Expiry,),
    ),
    "CrashSafety": Invariant(
        number=10,
        says="Restored from what was saved after any event, a scheduler goes on as if it had not crashed.",
        properties=(properties.restores, properties.restores_again_and_again),
        needs=("checkpoint", "restore"),
    ),
    "Determinism": Invariant(
        number=11,
        says="The same configuration and events give the same commands, byte for byte.",
        properties=(properties.deterministic,),
    ),
    "Time": Invariant(
        number=12,
        says="Clocks that run backwards are clamped, a repeated tick does nothing, and the deadlines suffice.",
        properties=(
            properties.clamps_time,
            properties.repeated_tick_does_nothing,
            properties.deadlines_suffice,
        ),
    ),
    "Liveness": Invariant(
        number=13,
        says="With faults off, every admitted task ends within a number of events that is computed.",
        properties=(properties.everything_ends,),
    ),
    "Agreement": Invariant(
        number=14,
        says="It says what the slow model says, command for command, and shows the same state.",
        properties=(agrees_with_model,),
    ),
}


def chosen(scheduler: Steps, holds: Collection[str] | None) -> list[str]:
    """The names in the order of their numbers; for ``None`` those of all that this scheduler can be asked about.

    Raises ``ValueError`` for a name that is none, and ``TypeError`` for an invariant that needs a method that the
    scheduler has not.
    """
    lacking = {name: [need for need in one.needs if ask(scheduler, need) is None] for name, one in INVARIANTS.items()}
    if holds is None:
        return [name for name in INVARIANTS if not lacking[name]]
    if unknown := [name for name in holds if name not in INVARIANTS]:
        raise ValueError(f"holds: expected names from {', '.join(INVARIANTS)}, got {', '.join(map(repr, unknown))}")
    for name in holds:
        if lacking[name]:
            kind = type(scheduler).__name__
            raise TypeError(
                f"holds: {name} needs {' and '.join(lacking[name])}, which {kind} has not: "
                f"write {'them' if len(lacking[name]) > 1 else 'it'}, or leave {name} out"
            )
    return [name for name in INVARIANTS if name in holds]


def checks_of(names: Collection[str]) -> tuple[type[Check], ...]:
    """What looks on."""
    return tuple(check for name in names for check in INVARIANTS[name].checks)


def run_again(make: MakeScheduler, world: World, names: Collection[str]) -> None:
    """Show the properties among the invariants named. Raises ``Broken``."""
    for name in names:
        for holds in INVARIANTS[name].properties:
            holds(make, world)


def examine(
    make: MakeScheduler,
    world: World,
    holds: Collection[str] | None = None,
    *,
    rank: Rank | None = None,
) -> None:
    """Show in one world that the invariants named hold for the scheduler that ``make(config)`` gives.

    Args:
        make: gives the scheduler, new and empty. It is called several times.
        world: the pool and the events.
        holds: names from ``INVARIANTS``; ``None`` for all that this scheduler can be asked about.
        rank: ``rank(task, history)`` orders the line, smallest first, in place of the rules.

    Raises:
        Broken: for the first that does not hold.
        ValueError, TypeError: for names that are none, or that the scheduler cannot be asked about.
    """
    scheduler = make(world.config)
    names = chosen(scheduler, holds)
    watch(scheduler, world.config, world.events, *checks_of(names), rank=rank)
    run_again(make, world, names)


def tell(make: MakeScheduler, world: World, error: Exception) -> str:
    """The story of what led to ``error``, with the answers of the scheduler unless it cannot give them."""
    crashes = error.crashes if isinstance(error, Broken) else ()
    happened: list[Event | str] = []
    for number, event in enumerate(world.events):
        happened += ["crash", event] if number in crashes else [event]
    happened += ["crash"] if len(world.events) in crashes else []
    comment = f"{error.invariant} is broken." if isinstance(error, Broken) else f"step raises {error!r}."
    story = as_story(world.config, happened, comment=comment)
    try:
        return Story(story, make).retell()
    except Exception:
        return story
