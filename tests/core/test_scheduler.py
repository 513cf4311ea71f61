"""Examples of every rule about a single task: how it comes in, runs, fails, waits, stops and ends."""

from __future__ import annotations

import pytest

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Offered,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    RejectReason,
    ScheduledTask,
    Scheduler,
    Submitted,
    Tick,
    Withdrawn,
)
from tests.core.play import Deliver, Enqueue, Expire, Interrupt, Play, Reject, Start, finish, submit, task

FAILED, LOST, RETURNED = OutcomeStatus.FAILED, OutcomeStatus.LOST, OutcomeStatus.RETURNED
CANCELLED, TIMED_OUT = OutcomeStatus.CANCELLED, OutcomeStatus.TIMED_OUT
EIGHT = PoolConfig(max_units=8)


# Submitted


def test_a_task_that_fits_starts_at_once() -> None:
    assert (
        Play(Scheduler(PoolConfig(max_units=8)))
        >> Submitted(task("index", units=6), at=0)
        << Start("index", device="0", epoch=1)
    )


def test_one_that_does_not_fit_is_parked_until_units_are_released() -> None:
    assert (
        Play(EIGHT)
        >> submit("index", 6, at=0)
        << Start("index")
        >> submit("summary", 4, at=1)
        << Enqueue("summary", sequence=2, epoch=0)
        >> finish("index", at=5)
        << Deliver("index")
        << Start("summary", epoch=1)
    )


def test_an_id_that_is_in_the_lot_is_refused_and_later_welcome_again() -> None:
    assert (
        Play(EIGHT)
        >> submit("a", at=0)
        << Start("a")
        >> submit("a", at=1)
        << Reject("a", RejectReason.DUPLICATE)
        >> Cancelled("a", at=2)
        << Interrupt("a", CANCELLED)
        >> submit("a", at=3)
        << Reject("a", RejectReason.DUPLICATE)
        >> finish("a", at=4)
        << Deliver("a")
        >> submit("a", at=5)
        << Start("a", epoch=1, sequence=2)
    )


def test_a_task_larger_than_every_device_ever_was_is_refused() -> None:
    assert (
        Play(EIGHT)
        >> submit("a", 9, at=0)
        << Reject("a", RejectReason.TOO_LARGE)
        >> CapacityChanged("0", 9, at=1)
        >> CapacityChanged("0", 2, at=2)
        >> submit("a", 9, at=3)
        << Enqueue("a")
        >> CapacityChanged("0", 9, at=4)
        << Start("a")
    )


def test_the_lot_is_full_when_parked_and_running_tasks_reach_its_depth() -> None:
    assert (
        Play(PoolConfig(max_units=1, max_queue_depth=2))
        >> submit("a", at=0)
        << Start("a")
        >> submit("b", at=0)
        >> submit("c", at=0)
        << Reject("c", RejectReason.QUEUE_FULL)
        >> Cancelled("a", at=1)  # a stopping task will not come back, so it gives up its place
        << Interrupt("a", CANCELLED)
        >> submit("c", at=1)
        << Enqueue("c")
    )


def test_a_refused_task_leaves_no_trace() -> None:
    scheduler = Scheduler(PoolConfig(max_units=1, max_queue_depth=1, tenants={"ann": 1}))
    scheduler.step(submit("a", at=0, tenant="ann"))
    before = scheduler.checkpoint()
    scheduler.step(submit("b", at=0, tenant="ann"))
    assert scheduler.checkpoint() == before
    assert scheduler.get("b") is None


def test_the_pool_fills_in_what_the_task_leaves_open() -> None:
    assert (
        Play(PoolConfig(max_units=1, timeout=10, run_timeout=5))
        >> submit("a", at=100)
        << Enqueue("a", start_by=110, run_timeout=5)
        << Start("a")
        >> submit("b", at=100, start_by=103.0, run_timeout=1.0)
        << Enqueue("b", start_by=103, run_timeout=1)
    )


# Expiry


def test_a_task_expires_at_its_start_by_and_not_before() -> None:
    assert (
        Play(PoolConfig(max_units=1, timeout=10))
        >> submit("a", at=0)
        << Start("a")
        >> submit("b", at=0)
        >> Tick(at=9.75)
        >> finish("a", at=10)  # the units come just too late
        << Deliver("a")
        << Expire("b")
    )


def test_a_task_that_comes_too_late_expires_at_once() -> None:
    assert Play(EIGHT) >> submit("a", at=5, start_by=5.0) << Enqueue("a") << Expire("a")


def test_a_running_task_does_not_expire_but_may_when_it_is_parked_again() -> None:
    assert (
        Play(PoolConfig(max_units=1, timeout=10, retry_backoff=0))
        >> submit("a", at=0)
        << Start("a")
        >> Tick(at=11)
        >> finish("a", status=FAILED, at=12)
        << Enqueue("a")
        << Expire("a", epoch=1)
    )


# not_before


def test_a_delayed_task_waits_for_its_moment() -> None:
    play = Play(EIGHT) >> submit("a", at=0, not_before=5.0) << Enqueue("a", ready_at=5)
    assert play.scheduler.next_deadline() == 5
    assert play >> Tick(at=4.75) >> Tick(at=5) << Start("a", ready_at=None)


def test_a_delay_that_is_over_is_no_delay() -> None:
    assert Play(EIGHT) >> submit("a", at=5, not_before=5.0) << Enqueue("a", ready_at=None) << Start("a")


# Run limits


def test_a_run_is_interrupted_at_its_limit_and_keeps_its_units_until_it_has_ended() -> None:
    assert (
        Play(PoolConfig(max_units=1, run_timeout=5))
        >> submit("a", at=0)
        << Start("a")
        >> submit("b", at=1)
        >> Tick(at=4.75)
        >> Tick(at=5)
        << Interrupt("a", TIMED_OUT, epoch=1)
        >> Tick(at=60)
        >> finish("a", status=FAILED, at=61, error="killed")
        << Deliver("a", TIMED_OUT, error="killed")
        << Start("b")
    )


def test_a_run_that_ends_at_its_limit_has_ended_in_time() -> None:
    assert (
        Play(PoolConfig(max_units=1, run_timeout=5))
        >> submit("a", at=0)
        << Start("a")
        >> finish("a", at=5)
        << Deliver("a")
    )


def test_success_comes_too_late_after_the_limit() -> None:
    assert (
        Play(PoolConfig(max_units=1, run_timeout=5))
        >> submit("a", at=0)
        << Start("a")
        >> Tick(at=5)
        << Interrupt("a", TIMED_OUT)
        >> finish("a", at=6, value="answer")
        << Deliver("a", TIMED_OUT, value=None)
    )


def test_due_timers_act_in_the_order_in_which_they_were_due() -> None:
    assert (
        Play(PoolConfig(max_units=2))
        >> submit("run", 2, at=0, run_timeout=3.0)
        << Start("run")
        >> submit("late", at=0, start_by=4.0)
        >> submit("early", at=0, start_by=2.0)
        >> submit("tie", at=0, start_by=3.0)
        >> Tick(at=9)
        << Expire("early")
        << Interrupt("run", TIMED_OUT)
        << Expire("tie")
        << Expire("late")
    )


# Cancelling


def test_a_parked_task_is_cancelled_at_once() -> None:
    assert (
        Play(PoolConfig(max_units=1))
        >> submit("a", at=0)
        << Start("a")
        >> submit("b", at=0)
        >> Cancelled("b", at=1)
        << Deliver("b", CANCELLED)
        >> Cancelled("b", at=2)
    )


@pytest.mark.parametrize("status", [FAILED, LOST, RETURNED])
def test_a_running_task_that_is_cancelled_ends_so_whatever_its_executor_says(status: OutcomeStatus) -> None:
    assert (
        Play(EIGHT)
        >> submit("a", at=0)
        << Start("a")
        >> Cancelled("a", at=1)
        << Interrupt("a", CANCELLED, epoch=1)
        >> Cancelled("a", at=2)
        >> finish("a", status=status, at=3)
        << Deliver("a", CANCELLED)
    )


def test_success_wins_the_race_against_a_cancellation() -> None:
    assert (
        Play(EIGHT)
        >> submit("a", at=0)
        << Start("a")
        >> Cancelled("a", at=1)
        << Interrupt("a", CANCELLED)
        >> finish("a", at=2, value="answer")
        << Deliver("a", value="answer")
    )


# Retries and epochs


def test_a_failed_task_comes_back_after_a_backoff_that_doubles() -> None:
    assert (
        Play(PoolConfig(max_units=1, retry_backoff=2, max_attempts=3))
        >> submit("a", at=0)
        << Start("a", epoch=1, attempts=1)
        >> finish("a", 1, FAILED, at=10)
        << Enqueue("a", ready_at=12, epoch=1, sequence=1)
        >> Tick(at=12)
        << Start("a", epoch=2, attempts=2)
        >> finish("a", 2, LOST, at=20)
        << Enqueue("a", ready_at=24)
        >> Tick(at=24)
        << Start("a", epoch=3, attempts=3)
        >> finish("a", 3, FAILED, at=30, error="again")
        << Deliver("a", FAILED, error="again")
    )


def test_the_backoff_has_a_ceiling() -> None:
    assert (
        Play(PoolConfig(max_units=1, retry_backoff=8, retry_backoff_max=5))
        >> submit("a", at=0)
        << Start("a")
        >> finish("a", status=FAILED, at=1)
        << Enqueue("a", ready_at=6)
    )


def test_a_failure_that_cannot_be_mended_is_final() -> None:
    assert (
        Play(EIGHT)
        >> submit("a", at=0)
        << Start("a")
        >> finish("a", status=FAILED, at=1, retryable=False)
        << Deliver("a", FAILED)
    )


def test_a_task_may_have_fewer_attempts_than_the_pool_gives() -> None:
    assert (
        Play(EIGHT)
        >> submit("a", at=0, max_attempts=1)
        << Start("a")
        >> finish("a", status=LOST, at=1)
        << Deliver("a", LOST)
    )


def test_work_that_is_handed_back_costs_no_attempt_and_keeps_its_place() -> None:
    assert (
        Play(PoolConfig(max_units=1, max_attempts=1))
        >> submit("a", at=0)
        << Start("a", attempts=1)
        >> submit("b", at=0)
        >> finish("a", status=RETURNED, at=1)
        << Enqueue("a", attempts=0, epoch=1, ready_at=None)
        << Start("a", attempts=1, epoch=2)
    )


def test_a_stale_end_changes_a_counter_and_nothing_else() -> None:
    play = (
        Play(PoolConfig(max_units=1, retry_backoff=0))
        >> submit("a", at=0)
        << Start("a", epoch=1)
        >> submit("b", at=0)
        >> finish("a", 1, LOST, at=1)
        << Enqueue("a")
        << Start("a", epoch=2)
        >> finish("a", 1, at=2)
        >> finish("a", 3, at=2)
        >> finish("nobody", 1, at=2)
    )
    assert play
    assert play.scheduler.counters.stale_finishes == 3
    assert play.scheduler.devices[0].used == 1


# Offered and Withdrawn


def offer(task_id: str, sequence: int, **more: object) -> Offered:
    return Offered(ScheduledTask(task(task_id), sequence, 0, 0.0, **more), at=0)


def test_an_offered_task_runs_under_the_next_epoch_and_is_not_enqueued() -> None:
    assert Play(EIGHT) >> offer("a", 7, epoch=3, attempts=1) << Start("a", epoch=4, attempts=2, sequence=7)


def test_new_tasks_rank_behind_offered_ones() -> None:
    assert Play(EIGHT) >> offer("a", 7) << Start("a") >> submit("b", at=0) << Enqueue("b", sequence=8) << Start("b")


def test_an_offer_that_is_known_is_ignored() -> None:
    play = Play(EIGHT) >> submit("a", at=0) << Start("a") >> offer("a", 9) >> offer("b", 1)
    assert play
    assert play.scheduler.counters.ignored_offers == 2
    assert play.scheduler.get("b") is None


def test_an_offer_is_taken_whatever_its_size_and_however_full_the_lot() -> None:
    play = Play(PoolConfig(max_units=1, max_queue_depth=1)) >> submit("a", at=0) << Start("a")
    big = ScheduledTask(task("big", units=50), 9, 0, 0.0)
    assert play >> Offered(big, at=1)
    assert play.scheduler.queue_depth == 1


def test_a_withdrawn_task_is_forgotten_and_its_units_are_released() -> None:
    play = (
        Play(PoolConfig(max_units=1))
        >> submit("a", at=0)
        << Start("a", epoch=1)
        >> submit("b", at=0)
        >> Withdrawn("a", epoch=0, at=1)  # stale: it has started since
        >> Withdrawn("a", epoch=1, at=2)
        << Start("b")
        >> finish("a", 1, at=3)
    )
    assert play
    assert play.scheduler.counters.stale_withdrawals == 1


# Values


def test_the_value_of_an_outcome_passes_through_untouched() -> None:
    scheduler, value = Scheduler(EIGHT), object()
    scheduler.step(submit("a", at=0))
    (delivered,) = scheduler.step(finish("a", at=1, value=value))
    assert delivered.outcome == Outcome(OutcomeStatus.SUCCEEDED, value=value)
    assert delivered.outcome.value is value


def test_a_task_with_more_attempts_than_are_allowed_now_is_given_up() -> None:
    """The pool allows fewer than it did before the restart."""
    assert (
        Play(PoolConfig(max_units=8, max_attempts=2))
        >> offer("a", 7, epoch=5, attempts=5)
        << Start("a", epoch=6, attempts=6)
        >> finish("a", 6, FAILED, at=1)
        << Deliver("a", FAILED)
    )


# The same task again: what was set for it before means nothing any more


def test_an_id_that_comes_again_expires_at_its_new_place() -> None:
    assert (
        Play(PoolConfig(max_units=1))
        >> submit("runs", at=0)
        << Start("runs")
        >> submit("a", at=0, start_by=10.0)
        >> submit("b", at=0, start_by=10.0)
        >> Cancelled("a", at=1)
        << Deliver("a", CANCELLED)
        >> submit("a", at=2, start_by=10.0)
        >> Tick(at=10)
        << Expire("b")
        << Expire("a")
    )


def again(task_id: str, at: float, ready_at: float | None = None, **about: float) -> Offered:
    """A row with sequence 7, as it stands in a shared queue at present."""
    return Offered(ScheduledTask(task(task_id, **about), 7, 0, 0.0, ready_at=ready_at), at)


def test_an_offer_that_comes_again_expires_when_it_says_now() -> None:
    assert (
        Play(PoolConfig(max_units=1))
        >> submit("runs", at=0)
        << Start("runs")
        >> again("a", at=0, start_by=10.0)
        >> Withdrawn("a", epoch=0, at=1)
        >> again("a", at=2, start_by=20.0)
        >> Tick(at=10)
        >> Tick(at=20)
        << Expire("a")
    )


def test_an_offer_that_comes_again_waits_until_it_says_now() -> None:
    assert (
        Play(EIGHT)
        >> again("a", at=0, ready_at=10.0)
        >> Withdrawn("a", epoch=0, at=1)
        >> again("a", at=2, ready_at=20.0)
        >> Tick(at=10)
        >> Tick(at=20)
        << Start("a")
    )


def test_an_offer_that_comes_again_becomes_ready_once() -> None:
    play = (
        Play(PoolConfig(max_units=1))
        >> submit("runs", at=0)
        << Start("runs")
        >> again("a", at=0, ready_at=10.0)
        >> Withdrawn("a", epoch=0, at=1)
        >> again("a", at=2, ready_at=10.0)
        >> Tick(at=10)
        >> Tick(at=11)
    )
    assert play
    assert [waiting.id for waiting in play.scheduler.waiting()] == ["a"]
    assert play >> finish("runs", at=12) << Deliver("runs") << Start("a")


def test_a_retried_task_is_first_again_though_thousands_came_and_went_after_it() -> None:
    """The part of the line in which it once stood is gone by then."""
    scheduler = Scheduler(PoolConfig(max_units=2, retry_backoff=0))
    for n in range(3000):
        scheduler.step(submit(f"t{n}", at=0))
    for n in range(1, 1500):
        scheduler.step(finish(f"t{n}", at=1))
    scheduler.step(CapacityChanged("0", 1, at=2))
    (enqueued,) = scheduler.step(finish("t0", status=FAILED, at=3))
    assert enqueued.task.id == "t0"
    assert scheduler.position("t0") == 1
    assert [waiting.id for waiting in scheduler.waiting()] == ["t0", *(f"t{n}" for n in range(1501, 3000))]
    assert [command.task.id for command in scheduler.step(finish("t1500", at=4))[1:]] == ["t0"]
