"""``LotClient``: a lot as another process sees it, while a pool schedules it and while none does."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest

from parking_lot_core import MailboxKey, OutcomeStatus, PoolConfig, TaskState
from parking_lot_core.explain import Reason
from parking_lot_drivers.build import build_client
from parking_lot_drivers.client import LotClient
from parking_lot_drivers.config import settings_from
from parking_lot_drivers.errors import (
    ConfigError,
    DuplicateTask,
    InvalidTask,
    PayloadNotEncodable,
    StoreUnavailable,
    TaskTooLarge,
    UnknownTask,
)
from tests.contracts.registry import STORES, Lot
from tests.drivers.tools import Stage, pool_on

pytestmark = pytest.mark.anyio


@pytest.fixture
def shared(tmp_path: Path) -> Lot:
    """A lot that several processes may open."""
    return STORES["sqlite"](tmp_path)


def client_of(lot: Lot, **policy: int) -> LotClient:
    return LotClient(lot.queue(), lot.mailbox(), "pool", PoolConfig(**{"max_units": 4, **policy}))


async def test_what_is_posted_waits_for_a_pool_and_is_run_by_it(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client:
        before = time.time()
        task_id = await client.submit("a", units=3, priority="high", timeout=60, tenant="acme")
        posted = await client.status(task_id)
        assert (posted.state, posted.task, posted.result) == (TaskState.NEW, None, None)
        assert before <= posted.since <= time.time()
        assert posted.metadata is not None
        assert (posted.metadata.units, posted.metadata.tenant) == (3, "acme")
        assert await client.explain(task_id) is None
        assert (await client.overview()).requests == 1
        with pytest.raises(TimeoutError):
            await client.wait(task_id, 0.05)
        async with pool_on(shared, stage):
            await stage.on("a")
            running = await client.status(task_id)
            assert running.state is TaskState.RUNNING
            assert running.task is not None
            assert running.since == running.task.started_at
            stage.end("a", say={"n": 1})
            result = await client.wait(task_id, 10)
        assert (result.status, result.value) == (OutcomeStatus.SUCCEEDED, {"n": 1})
        ended = await client.status(task_id)
        assert (ended.state, ended.since, ended.task) == (OutcomeStatus.SUCCEEDED, result.finished_at, None)
        assert [found.task_id for found in await client.fetch(MailboxKey("acme"))] == [task_id]
        assert await client.fetch() == []


async def test_why_a_task_waits(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client, pool_on(shared, stage):
        await client.submit("a", units=3, task_id="first")
        await client.submit("b", units=2, task_id="second")
        await stage.on("a")
        while (await client.status("second")).state is TaskState.NEW:  # noqa: ASYNC110
            await anyio.sleep(0.01)
        why = await client.explain("second")
        assert why is not None
        assert (why.reason, why.units_short, why.position) == (Reason.FIRST_IN_LINE, 1, 1)
        running = await client.explain("first")
        assert running is not None
        assert running.reason is Reason.RUNNING
        assert await client.explain("nobody") is None
        stage.end("a", "b")
        await client.wait("second", 10)


async def test_a_task_is_stopped_wherever_it_stands(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client:
        await client.submit("x", task_id="posted")
        assert (await client.cancel("posted")).state is TaskState.NEW
        async with pool_on(shared, stage):
            assert (await client.wait("posted", 10)).status is OutcomeStatus.CANCELLED
            await client.submit("a", units=4, task_id="running")
            await client.submit("b", units=4, task_id="parked")
            await stage.on("a")
            for task_id in ("parked", "running"):
                await client.cancel(task_id)
                assert (await client.wait(task_id, 10)).status is OutcomeStatus.CANCELLED
        gone = await client.cancel("running")
        assert gone.result is not None
        assert (await client.overview()).requests == 0
    assert stage.started in (["a"], ["x", "a"])


async def test_a_key_gives_the_same_task_and_an_id_only_one(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client:
        first = await client.submit("a", idempotency_key="k")
        assert await client.submit("a", idempotency_key="k") == first
        await client.submit("b", task_id="mine")
        with pytest.raises(DuplicateTask, match="'mine' is in the lot"):
            await client.submit("c", task_id="mine")
        async with pool_on(shared, stage):
            await stage.on("a", "b")
            stage.end("a", "b")
            await client.wait(first, 10)
            await client.wait("mine", 10)
        with pytest.raises(DuplicateTask, match="or its outcome in the mailbox"):
            await client.submit("c", task_id="mine")
    assert sorted(stage.started) == ["a", "b"]


async def test_what_is_refused_leaves_no_trace(shared: Lot) -> None:
    async with client_of(shared) as client:
        with pytest.raises(TaskTooLarge, match="needs 5 units, and the largest device has 4"):
            await client.submit(1, units=5)
        with pytest.raises(InvalidTask, match="priority: expected one of critical"):
            await client.submit(1, priority="urgent")
        with pytest.raises(InvalidTask, match="at most one"):
            await client.submit(1, task_id="a", idempotency_key="b")
        with pytest.raises(PayloadNotEncodable):
            await client.submit(object())
        for ask in (client.status, client.cancel, client.wait):
            with pytest.raises(UnknownTask, match="neither queue nor mailbox of pool 'pool' knows a task 'nobody'"):
                await ask("nobody")
        assert (await client.overview()).requests == 0


async def test_a_task_may_need_what_a_device_has_grown_to(shared: Lot) -> None:
    async with client_of(shared) as client, pool_on(shared, Stage()) as pool:
        pool.set_capacity("0", 6)
        while True:
            checkpoint = (await client.overview()).checkpoint
            if checkpoint is not None and checkpoint.devices[0].capacity == 6:
                break
            await anyio.sleep(0.01)
        await client.submit(1, units=6, delay=3600)
        with pytest.raises(TaskTooLarge, match="needs 7 units, and the largest device has 6"):
            await client.submit(1, units=7)


async def test_fetching_waits_for_news_and_goes_on_after_a_cursor(shared: Lot) -> None:
    stage = Stage()
    async with client_of(shared) as client, pool_on(shared, stage):
        assert await client.fetch(timeout=0.05) == []
        for name in ("a", "b"):
            await client.submit(name)
            await stage.on(name)
            stage.end(name, say=name)
            [found] = await client.fetch(after=0 if name == "a" else 1, timeout=10)
            assert (found.value, found.cursor) == (name, 1 if name == "a" else 2)
        assert [found.value for found in await client.fetch()] == ["a", "b"]
        assert [found.value for found in await client.fetch(limit=1)] == ["a"]


async def test_outcomes_in_the_memory_of_the_pool_cannot_be_seen(shared: Lot) -> None:
    async with LotClient(shared.queue(), None, "pool", PoolConfig(max_units=4)) as client:
        task_id = await client.submit(1)
        assert (await client.status(task_id)).state is TaskState.NEW
        for ask in (client.fetch(), client.wait(task_id)):
            with pytest.raises(ConfigError, match=r"pools\.pool\.mailbox: in_memory keeps outcomes in the scheduling"):
                await ask
        with pytest.raises(UnknownTask, match="if it has ended, only the process that schedules the lot knows"):
            await client.status("nobody")


async def test_a_lot_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lot = STORES["sqlite"](tmp_path / "file")
    with pytest.raises(StoreUnavailable):
        async with client_of(lot):
            pass


async def test_build_client_knows_the_stores(tmp_path: Path) -> None:
    lots = {
        "here": {"max_units": 1},
        "half": {"max_units": 1, "queue": {"type": "yaque", "path": "d"}, "mailbox": {"type": "in_memory"}},
        "file": {"max_units": 1, "queue": {"type": "yaque", "path": "d"}},
    }
    settings = settings_from({"pools": lots}, base=tmp_path)
    with pytest.raises(ConfigError, match=r"pools\.here\.queue: in_memory keeps tasks in the process that schedules"):
        build_client(settings, "here")
    with pytest.raises(ConfigError, match="no pool is named"):
        build_client(settings, "fil")
    async with build_client(settings, "half") as client:
        with pytest.raises(ConfigError, match="in_memory keeps outcomes"):
            client.check_mailbox()
    async with build_client(settings, "file") as client:
        await client.submit(1)
        assert await client.fetch() == []
    assert sorted(path.name for path in (tmp_path / "d").glob("*.lot")) == ["file.lot", "half.lot"]
