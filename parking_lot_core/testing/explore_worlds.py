"""Small worlds: pools with few devices, few kinds of tasks, and room for few tasks at a time.

A world says what may happen in it; ``explore_events.py`` says what that comes to in a state. ``WORLDS`` are the ones
that ``python -m parking_lot_core.testing.explore`` walks through: together they have all policies, up to five tasks at
a time, two devices, three costs and two priorities. Everything lasts a multiple of a quarter of a second, so that sums
of times are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from parking_lot_core import Outcome, OutcomeStatus, PoolConfig, Priority

QUARTERS = 4  # per second
TASKS_MAX = 12
SECONDS_MAX = 1000

SUCCEEDED = Outcome(OutcomeStatus.SUCCEEDED)
FAILED = Outcome(OutcomeStatus.FAILED, error="boom")
HOPELESS = Outcome(OutcomeStatus.FAILED, error="boom", retryable=False)
LOST = Outcome(OutcomeStatus.LOST)
RETURNED = Outcome(OutcomeStatus.RETURNED)


@attrs.frozen
class Kind:
    """What a submitter may ask for. ``start_by`` and ``not_before`` are seconds from the submission."""

    units: int
    priority: Priority = Priority.NORMAL
    run_timeout: float | None = None
    start_by: float | None = attrs.field(default=None, kw_only=True)
    not_before: float | None = attrs.field(default=None, kw_only=True)
    tenant: str = attrs.field(default="", kw_only=True)


@attrs.frozen(kw_only=True)
class SmallWorld:
    """What may happen to one pool.

    Attributes:
        name: for people, and for ``--pool``.
        config: the pool.
        kinds: what may be submitted.
        endings: how a run may end.
        capacities: what each device may be changed to, in units; a name that the pool does not have adds a device.
        offered: what may be offered by another host, ranking before all tasks that are there or after them.
        withdrawals: whether tasks may be withdrawn.
        tasks_max: nothing is submitted or offered while so many tasks are there. They may come and go without end.
        lead_max: nothing is submitted for a tenant whose fair-share tags are so many units ahead of virtual time.
        weight: how much of a bound this world gets, compared with others.
        few_first: whether it is searched with few tasks at a time before it is with all.
        step: seconds that pass at a time, besides going to the moments at which something comes true.

    Raises ``ValueError`` for a duration that is no multiple of 0.25 s or longer than 1000 s, and for a ``tasks_max``
    out of range.
    """

    name: str
    config: PoolConfig
    kinds: tuple[Kind, ...]
    endings: tuple[Outcome, ...] = (SUCCEEDED, RETURNED)
    capacities: Mapping[str, tuple[int, ...]] = attrs.field(factory=dict)
    offered: tuple[Kind, ...] = ()
    withdrawals: bool = False
    tasks_max: int = 5
    lead_max: int = 6
    weight: float = 1
    few_first: bool = True
    step: float = 1.0

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.tasks_max <= TASKS_MAX:
            raise ValueError(f"tasks_max: expected an integer from 1 to {TASKS_MAX}, got {self.tasks_max!r}")
        for name, seconds in self._durations():
            if not 0 <= seconds <= SECONDS_MAX or seconds * QUARTERS % 1:
                allowed = f"a multiple of 0.25 seconds, at most {SECONDS_MAX}, in a small world"
                raise ValueError(f"{name}: expected {allowed}, got {seconds!r}")

    def _durations(self) -> Iterator[tuple[str, float]]:
        pool, infinity = self.config, float("inf")
        named = {name: getattr(pool, name) for name in ("aging", "timeout", "run_timeout", "retry_backoff")}
        named |= {
            "step": self.step,
            "backfill_window": pool.backfill_window,
            "retry_backoff_max": pool.retry_backoff_max,
        }
        for kind in self.kinds + self.offered:
            named |= {f"{name} of {kind}": getattr(kind, name) for name in ("run_timeout", "start_by", "not_before")}
        return ((name, seconds) for name, seconds in named.items() if seconds not in (None, infinity))


NORMAL, HIGH = Priority.NORMAL, Priority.HIGH
_SIZES = (Kind(1), Kind(2), Kind(3), Kind(1, HIGH), Kind(2, HIGH), Kind(3, HIGH))
_LIMITED = (Kind(1, NORMAL, 1), Kind(2, NORMAL, 3), Kind(3), Kind(1), Kind(2, HIGH, 2))
_WIDE = tuple(
    Kind(units, priority, limit, tenant=tenant)
    for units in (1, 2, 3)
    for priority in (NORMAL, HIGH)
    for limit, tenant in ((None, "ann"), (1, "bob"))
)

WORLDS: Mapping[str, SmallWorld] = {
    world.name: world
    for world in (
        SmallWorld(
            name="strict order",
            config=PoolConfig(max_units=3, backfill_window=0, max_attempts=1),
            kinds=_SIZES,
            capacities={"0": (1, 3)},
        ),
        SmallWorld(
            name="first fit",
            config=PoolConfig(max_units=3, backfill_window=float("inf"), max_attempts=1),
            kinds=_SIZES,
            capacities={"0": (2, 3)},
        ),
        SmallWorld(
            name="window",
            config=PoolConfig(max_units=3, backfill_window=2, max_attempts=1),
            kinds=(*_SIZES[:3], *_SIZES[4:]),
            capacities={"0": (2, 3)},
        ),
        SmallWorld(
            name="reservations",
            config=PoolConfig(max_units=3, backfill_window=2, max_attempts=1),
            kinds=_LIMITED,
        ),
        SmallWorld(
            name="capacity",
            config=PoolConfig(max_units=3, backfill_window=2, run_timeout=2, max_attempts=1),
            kinds=(Kind(1, NORMAL, 1), Kind(2), Kind(3, HIGH)),
            capacities={"0": (0, 1, 2, 3)},
        ),
        SmallWorld(
            name="two devices",
            config=PoolConfig(devices={"b": 3, "a": 2}, backfill_window=2, max_attempts=1),
            kinds=(Kind(1), Kind(2), Kind(3), Kind(2, HIGH)),
            capacities={"b": (1, 3)},
        ),
        SmallWorld(
            name="two devices with limits",
            config=PoolConfig(devices={"b": 2, "a": 2}, backfill_window=2, max_attempts=1),
            kinds=(Kind(1, NORMAL, 1), Kind(2, NORMAL, 2), Kind(1), Kind(2, HIGH, 3)),
        ),
        SmallWorld(
            name="added device",
            config=PoolConfig(max_units=2, backfill_window=1, max_attempts=1),
            kinds=(Kind(1), Kind(2), Kind(3, HIGH)),
            capacities={"new": (0, 3)},
        ),
        SmallWorld(
            name="aging",
            config=PoolConfig(max_units=3, backfill_window=1, aging=1, max_attempts=1),
            kinds=(Kind(1), Kind(2), Kind(3), Kind(2, HIGH)),
        ),
        SmallWorld(
            name="queue depth",
            config=PoolConfig(max_units=3, backfill_window=2, max_queue_depth=3, max_attempts=2, retry_backoff=0),
            kinds=(Kind(1), Kind(2), Kind(3), Kind(1, HIGH)),
            endings=(SUCCEEDED, FAILED, RETURNED),
        ),
        SmallWorld(
            name="retries",
            config=PoolConfig(max_units=3, backfill_window=2, max_attempts=3, retry_backoff=1, retry_backoff_max=1.5),
            kinds=(Kind(1), Kind(2), Kind(2, HIGH, 2)),
            endings=(SUCCEEDED, FAILED, HOPELESS, LOST, RETURNED),
        ),
        SmallWorld(
            name="expiry",
            config=PoolConfig(max_units=3, backfill_window=2, timeout=2, max_attempts=2, retry_backoff=1),
            kinds=(Kind(1), Kind(2, start_by=1), Kind(2, HIGH, 2), Kind(3, not_before=1)),
            endings=(SUCCEEDED, FAILED),
        ),
        SmallWorld(
            name="tenants",
            config=PoolConfig(max_units=3, backfill_window=2, tenants={"ann": 2, "bob": 1}, max_attempts=1),
            kinds=(Kind(2, tenant="ann"), Kind(1, tenant="bob"), Kind(3, HIGH, tenant="bob")),
            lead_max=2,
        ),
        SmallWorld(
            name="shared queue",
            config=PoolConfig(devices={"b": 3, "a": 2}, backfill_window=1, max_attempts=2, retry_backoff=1),
            kinds=(Kind(1), Kind(2, HIGH)),
            endings=(SUCCEEDED, LOST, RETURNED),
            offered=(Kind(2), Kind(3, HIGH), Kind(1, start_by=1)),
            withdrawals=True,
        ),
        # All at once: with one task they have tens of thousands of states, and are searched as far as there is time.
        SmallWorld(
            name="everything",
            config=PoolConfig(
                max_units=3,
                backfill_window=2,
                max_queue_depth=4,
                aging=2,
                timeout=3,
                max_attempts=2,
                retry_backoff=1,
                tenants={"ann": 2, "bob": 1},
            ),
            kinds=_WIDE,
            endings=(SUCCEEDED, FAILED, RETURNED),
            capacities={"0": (1, 3)},
            offered=(Kind(2, NORMAL, 1),),
            withdrawals=True,
            weight=12,
            few_first=False,
        ),
        SmallWorld(
            name="everything on two devices",
            config=PoolConfig(
                devices={"b": 3, "a": 2},
                backfill_window=1,
                run_timeout=2,
                max_attempts=2,
                retry_backoff=1,
                tenants={"ann": 2, "bob": 1},
            ),
            kinds=_WIDE,
            endings=(SUCCEEDED, LOST, HOPELESS, RETURNED),
            capacities={"b": (2, 3), "new": (3,)},
            offered=(Kind(3, HIGH, 1),),
            withdrawals=True,
            weight=12,
            few_first=False,
        ),
    )
}
