"""Examples of fair share between tenants."""

from __future__ import annotations

from collections import Counter

from parking_lot_core import PoolConfig, Scheduler
from parking_lot_core import Start as Started
from tests.core.play import Deliver, Play, Start, finish, submit


def served(scheduler: Scheduler, tenants: tuple[str, ...], *, each: int, units: dict[str, int]) -> list[str]:
    """Every tenant asks for ``each`` runs at once; whose runs started, in order, one at a time."""
    order: list[str] = []
    queue = [submit(f"{tenant}{n}", units[tenant], at=0, tenant=tenant) for tenant in tenants for n in range(each)]
    commands = [command for event in queue for command in scheduler.step(event)]
    while started := [command for command in commands if isinstance(command, Started)]:
        order += [command.task.metadata.tenant for command in started]
        commands = [c for command in started for c in scheduler.step(finish(command.task.id, at=1))]
    return order


def test_tenants_are_served_by_weight() -> None:
    scheduler = Scheduler(PoolConfig(max_units=1, tenants={"ann": 2, "bob": 1}))
    order = served(scheduler, ("bob", "ann"), each=60, units={"ann": 1, "bob": 1})
    for end in range(3, 90, 3):
        share = Counter(order[:end])
        assert abs(share["ann"] - 2 * share["bob"]) <= 2


def test_shares_are_counted_in_units_not_in_tasks() -> None:
    scheduler = Scheduler(PoolConfig(max_units=4, tenants={"ann": 1, "bob": 1}, backfill_window=0))
    order = served(scheduler, ("ann", "bob"), each=40, units={"ann": 4, "bob": 1})
    share = Counter(order[:50])
    assert abs(4 * share["ann"] - share["bob"]) <= 8


def test_an_idle_tenant_saves_nothing_up() -> None:
    scheduler = Scheduler(PoolConfig(max_units=1, tenants={"ann": 1, "bob": 1}))
    assert served(scheduler, ("ann",), each=20, units={"ann": 1}) == ["ann"] * 20
    order = served(scheduler, ("ann", "bob"), each=20, units={"ann": 1, "bob": 1})
    assert abs(Counter(order[:20])["ann"] - 10) <= 1


def test_priority_goes_before_fair_share() -> None:
    assert (
        Play(PoolConfig(max_units=1, tenants={"ann": 1, "bob": 1}))
        >> submit("a1", at=0, tenant="ann")
        << Start("a1")
        >> submit("b1", at=0, tenant="bob")
        >> submit("a2", 1, "high", at=0, tenant="ann")
        >> finish("a1", at=1)
        << Deliver("a1")
        << Start("a2")
    )


def test_a_tenant_that_is_not_named_weighs_one() -> None:
    scheduler = Scheduler(PoolConfig(max_units=1, tenants={"ann": 3}))
    order = served(scheduler, ("ann", "zoe"), each=40, units={"ann": 1, "zoe": 1})
    share = Counter(order[:40])
    assert abs(share["ann"] - 3 * share["zoe"]) <= 3
