"""Whoever waits for a task of a shared queue hears of its end, whichever way the task goes between hosts."""

from __future__ import annotations

import pytest

from parking_lot_core import (
    MailboxKey,
    PoolConfig,
    ResourceCost,
    ScheduledTask,
    Scheduler,
    Submitted,
    TaskMetadata,
    Withdrawn,
)
from parking_lot_drivers._admission import Admission
from parking_lot_drivers._elsewhere import Elsewhere
from parking_lot_drivers._lobby import Lobby
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Offer, Word
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue

BOX = MailboxKey()


def parked(task_id: str = "a") -> ScheduledTask:
    scheduler = Scheduler(PoolConfig(max_units=2))
    scheduler.step(Submitted(TaskMetadata("first", cost=ResourceCost(units=2)), 0.0))
    scheduler.step(Submitted(TaskMetadata(task_id, cost=ResourceCost(units=1)), 0.0))
    task = scheduler.get(task_id)
    assert task is not None
    return task


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere(MemoryQueue(), MemoryMailbox())


@pytest.fixture
def admission() -> Admission:
    # No room for anything: what is offered stays parked.
    scheduler = Scheduler(PoolConfig(max_units=1))
    scheduler.step(Submitted(TaskMetadata("runs", cost=ResourceCost(units=1)), 0.0))
    return Admission(scheduler, Lobby())


def followed(elsewhere: Elsewhere, task_id: str = "a") -> Ticket:
    ticket = Ticket(task_id)
    return elsewhere.follow(ticket)


def test_an_offer_of_a_task_that_is_here_already_loses_no_ticket(admission: Admission, elsewhere: Elsewhere) -> None:
    ticket, task = followed(elsewhere), parked()
    admission.decide([Offer(task, BOX), Offer(task, BOX)], 1.0, elsewhere=elsewhere)
    assert admission.find("a") is ticket


def test_a_task_that_is_withdrawn_and_offered_in_one_turn_keeps_its_ticket(
    admission: Admission, elsewhere: Elsewhere
) -> None:
    ticket, task = followed(elsewhere), parked()
    admission.decide([Offer(task, BOX)], 1.0, elsewhere=elsewhere)
    plan = admission.decide([Word(Withdrawn("a", 0, 2.0)), Offer(task, BOX)], 2.0, elsewhere=elsewhere)
    assert admission.find("a") is ticket
    assert plan.left == [ticket]
    assert elsewhere.get("a") is None


def test_a_task_that_is_withdrawn_is_followed_even_if_the_turn_is_never_saved(
    admission: Admission, elsewhere: Elsewhere
) -> None:
    ticket = followed(elsewhere)
    admission.decide([Offer(parked(), BOX)], 1.0, elsewhere=elsewhere)
    admission.decide([Word(Withdrawn("a", 0, 2.0))], 2.0, elsewhere=elsewhere)
    assert elsewhere.get("a") is ticket


def test_a_task_whose_offer_is_ignored_is_still_followed(admission: Admission, elsewhere: Elsewhere) -> None:
    ticket = followed(elsewhere, "b")
    admission.decide([Offer(parked(), BOX), Offer(parked("b"), BOX)], 1.0, elsewhere=elsewhere)  # one sequence for both
    assert admission.find("b") is None
    assert elsewhere.get("b") is ticket
