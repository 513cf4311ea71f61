"""The façade for synchronous programs, on both event loops."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from parking_lot_core import MailboxKey, OutcomeStatus, TaskState
from parking_lot_core.explain import Reason
from parking_lot_drivers import BlockingPool, current_task
from parking_lot_drivers.errors import PoolClosed, QueueFull, StoreInUse, TaskCancelled, TaskFailed
from tests.contracts.registry import Lot
from tests.drivers.tools import echo, pool_on


def listens(payload: object) -> str:
    """A task that runs until it is asked to stop."""
    return "asked" if current_task().interrupted.wait(30) else "not asked"


def test_results_and_errors(lot: Lot, anyio_backend: str) -> None:
    def divide(payload: list[int]) -> float:
        return payload[0] / payload[1]

    with BlockingPool(lambda: pool_on(lot, divide, max_attempts=1), backend=anyio_backend) as pool:
        assert pool.submit([6, 3]).result() == 2
        bad = pool.submit([1, 0])
        with pytest.raises(TaskFailed, match="ZeroDivisionError"):
            bad.result()
        assert bad.outcome().status is OutcomeStatus.FAILED
        pool.join()
        assert [result.status for result in pool.fetch()] == [OutcomeStatus.SUCCEEDED, OutcomeStatus.FAILED]
        assert pool.fetch(MailboxKey("nobody"), after=0, limit=5) == []
        assert sum(pool.stats().outcomes.values()) == 2


def test_status_explain_and_cancel(lot: Lot, anyio_backend: str) -> None:
    with BlockingPool(lambda: pool_on(lot, listens, max_units=1, max_queue_depth=2), backend=anyio_backend) as pool:
        running, parked = pool.submit(1), pool.submit(2)
        assert running.status() is TaskState.RUNNING
        why = parked.explain()
        assert why is not None
        assert why.reason is Reason.FIRST_IN_LINE
        with pytest.raises(QueueFull):
            pool.submit(3)
        parked.cancel()
        with pytest.raises(TaskCancelled):
            parked.result()
        running.cancel()
        assert running.result() == "asked"


def test_a_wait_that_takes_too_long_is_given_up_and_the_task_goes_on(lot: Lot, anyio_backend: str) -> None:
    go = threading.Event()
    with BlockingPool(lambda: pool_on(lot, lambda _: go.wait(30)), backend=anyio_backend) as pool:
        handle = pool.submit(None)
        with pytest.raises(TimeoutError):
            handle.result(timeout=0.05)
        assert handle.status() is TaskState.RUNNING
        go.set()
        assert handle.result(timeout=10) is True


def test_any_thread_may_submit(lot: Lot, anyio_backend: str) -> None:
    with BlockingPool(lambda: pool_on(lot, echo), backend=anyio_backend) as pool:

        def call(number: int) -> object:
            return pool.submit(number, wait=True).result()

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(call, range(50))) == list(range(50))


def test_a_pool_that_is_not_running(lot: Lot, anyio_backend: str) -> None:
    pool = BlockingPool(lambda: pool_on(lot, echo), backend=anyio_backend)
    with pytest.raises(PoolClosed, match="use it inside 'with'"):
        pool.submit(1)
    with pool:
        handle = pool.submit(1)
        assert handle.result() == 1
    for ask in (pool.stats, pool.join, pool.fetch, handle.status, handle.result, handle.cancel, handle.explain):
        with pytest.raises(PoolClosed, match="use it inside 'with'"):
            ask()
    with pool:
        assert pool.submit(2).result() == 2


def test_a_stop_answers_those_who_wait_in_other_threads(lot: Lot, anyio_backend: str) -> None:
    answers: list[BaseException] = []
    with BlockingPool(lambda: pool_on(lot, listens, max_units=1, grace=0.01), backend=anyio_backend) as pool:
        handles = [pool.submit(number) for number in range(2)]

        def wait(number: int) -> None:
            try:
                handles[number].result()
            except PoolClosed as error:
                answers.append(error)

        threads = [threading.Thread(target=wait, args=[number]) for number in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
    for thread in threads:
        thread.join(10)
    assert [str(error) for error in answers] == [
        "the pool stopped before the task ended; a durable queue still has it"
    ] * 2


def test_errors_of_the_program_and_of_entering(lot: Lot, anyio_backend: str) -> None:
    error = ValueError("mine")
    with (  # noqa: PT012
        pytest.raises(ValueError, match="mine") as caught,
        BlockingPool(lambda: pool_on(lot, echo), backend=anyio_backend) as pool,
    ):
        if lot.exclusive:
            with pytest.raises(StoreInUse), BlockingPool(lambda: pool_on(lot, echo), backend=anyio_backend):
                pytest.fail("two pools schedule one lot")
        pool.submit(1).result()
        raise error
    assert caught.value is error
