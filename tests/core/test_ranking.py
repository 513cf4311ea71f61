"""Ranks at the ends of their ranges, and tags that reach the end of theirs."""

from __future__ import annotations

import itertools

import pytest

from parking_lot_core import Enqueue, Offered, PoolConfig, Priority, ScheduledTask, Scheduler
from parking_lot_core.ranking import CLASS_BITS, RANK_MIN_BY_CLASS, FairShare, classes_gained, promotion_at, rank_of
from tests.core.play import submit, task

SEQUENCES = (-(2**63), -1, 0, 1, 2**63 - 1)
TAG_MAX = 2**96 - 1
TAGS = (0, 1, TAG_MAX)


def test_class_goes_before_tag_and_tag_before_sequence_to_the_ends_of_their_ranges() -> None:
    in_order = itertools.product(sorted(Priority, reverse=True), TAGS, SEQUENCES)
    ranks = [rank_of(level, tag, sequence) for level, tag, sequence in in_order]
    assert all(first < second for first, second in itertools.pairwise(ranks))


@pytest.mark.parametrize("level", Priority)
def test_a_class_has_its_own_range_and_all_of_it(level: Priority) -> None:
    """So the line can tell from a rank alone in which band it lies."""
    place = Priority.CRITICAL - level
    first, last = rank_of(level, 0, SEQUENCES[0]), rank_of(level, TAG_MAX, SEQUENCES[-1])
    assert (first, last) == (RANK_MIN_BY_CLASS[place], RANK_MIN_BY_CLASS[place] + 2**160 - 1)
    assert (first >> CLASS_BITS, last >> CLASS_BITS) == (place, place)


def test_a_tag_never_leaves_its_range_however_far_virtual_time_has_come() -> None:
    """From there on, sequence decides; and no task falls into another class."""
    scheduler = Scheduler(PoolConfig(max_units=2, tenants={"ann": 1}))
    far = ScheduledTask(task("far", units=2, tenant="ann"), 1, TAG_MAX - 1, 0.0)
    scheduler.step(Offered(far, at=0))
    tags = []
    for name in ("b", "c"):
        enqueued = scheduler.step(submit(name, 2, at=0, tenant="ann"))[0]
        assert isinstance(enqueued, Enqueue)
        tags.append(enqueued.task.tag)
    assert tags == [TAG_MAX, TAG_MAX]
    assert [waiting.id for waiting in scheduler.waiting()] == ["b", "c"]


def test_a_tenant_pays_for_units_by_its_weight_and_something_for_any() -> None:
    share = FairShare({"heavy": 1e6, "light": 0.5})
    asks = [("heavy", 1), ("light", 1), ("other", 3)]
    costs = {}
    for tenant, units in asks:
        first, second = (share.tag(task("t", units=units, tenant=tenant)) for _ in range(2))
        costs[tenant] = second - first
    assert costs == {"heavy": 1, "light": 2**21, "other": 3 * 2**20}
    assert FairShare({"ann": 1}).enabled
    assert not FairShare({}).enabled


def test_tags_that_virtual_time_has_passed_are_forgotten() -> None:
    share = FairShare({"ann": 1})
    share.tag(task("t", tenant="bob"))
    share.tag(task("t", tenant="ann"))
    assert share.finish_tags() == (("ann", 2**20), ("bob", 2**20))
    share.started(2**20 - 1)
    assert len(share.finish_tags()) == 2
    share.started(2**20)
    assert share.finish_tags() == ()
    share.started(5)  # virtual time does not go back
    assert share.virtual_time == 2**20


def test_a_task_from_elsewhere_moves_its_tenant_on_and_never_back() -> None:
    share = FairShare({"ann": 1})
    share.adopt(ScheduledTask(task("a", units=2, tenant="ann"), 1, 100, 0.0))
    share.adopt(ScheduledTask(task("b", units=1, tenant="ann"), 2, 50, 0.0))
    assert share.finish_tags() == (("ann", 100 + 2 * 2**20),)


def test_classes_are_gained_at_the_moment_and_never_more_than_there_are() -> None:
    waits = ScheduledTask(task("a", priority=Priority.NORMAL), 1, 0, 100.0)
    assert [classes_gained(waits, now, 10) for now in (50, 100, 109.75, 110, 119.75, 120, 1000)] == [
        0,
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert classes_gained(ScheduledTask(task("a", priority=Priority.CRITICAL), 1, 0, 100.0), 1000, 10) == 0
    assert promotion_at(waits, 2, 10) == 120
    later = ScheduledTask(task("a", not_before=105.0), 1, 0, 100.0)
    earlier = ScheduledTask(task("a", not_before=95.0), 1, 0, 100.0)
    assert (promotion_at(later, 1, 10), promotion_at(earlier, 1, 10)) == (115, 110)
