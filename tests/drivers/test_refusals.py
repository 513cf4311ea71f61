"""What a pool refuses: the error says what was given, what is allowed and what to do; nothing of the task is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from parking_lot_core import MailboxKey, PoolConfig
from parking_lot_drivers import ResourcePool, codec
from parking_lot_drivers.errors import (
    DuplicateTask,
    InvalidTask,
    NotALot,
    PayloadNotEncodable,
    PoolClosed,
    QueueFull,
    StoreInUse,
    SubmitError,
    TaskFailed,
    TaskTooLarge,
)
from parking_lot_drivers.stores.memory import MemoryQueue
from parking_lot_drivers.stores.sqlite import SqliteQueue
from tests.contracts.registry import Lot
from tests.drivers.tools import Stage, echo, look_at, pool_on

pytestmark = pytest.mark.anyio

BAD_ARGUMENTS: list[tuple[Mapping[str, Any], str]] = [
    ({"units": 0}, r"units: expected an integer ≥ 1 .*, got 0"),
    ({"units": 1.5}, r"units: expected an integer ≥ 1 .*, got 1\.5"),
    ({"units": True}, r"units: expected an integer ≥ 1 .*, got True"),
    ({"units": "2"}, r"units: expected an integer ≥ 1 .*, got '2'"),
    ({"priority": "urgent"}, r"priority: expected one of critical, high, normal, low, got 'urgent'"),
    ({"priority": 9}, r"priority: expected one of critical, high, normal, low, got 9"),
    ({"priority": None}, r"priority: expected one of .*, got None"),
    ({"tenant": 5}, r"tenant: expected a string, got 5"),
    ({"tenant": "\ud800"}, r"tenant: expected text without half surrogate pairs, got '\\ud800'"),
    ({"tenant": "a\0b"}, r"tenant: expected text without zero characters, got 'a\\x00b'"),
    ({"task_id": ""}, r"task_id: expected a non-empty string, got ''"),
    ({"task_id": 7}, r"task_id: expected a string, got 7"),
    ({"task_id": "\udfff"}, r"task_id: expected text without half surrogate pairs"),
    ({"idempotency_key": ""}, r"idempotency_key: expected a non-empty string, got ''"),
    ({"idempotency_key": 3}, r"idempotency_key: expected a non-empty string, got 3"),
    ({"task_id": "a", "idempotency_key": "b"}, r"task_id, idempotency_key: expected at most one of them, got both"),
    ({"mailbox": "box"}, r"mailbox: expected a MailboxKey, got 'box'"),
    ({"mailbox": MailboxKey("t", "u", b"s")}, r"mailbox\.session: expected a string, got b's'"),  # type: ignore[arg-type]
    ({"timeout": 0}, r"timeout: expected a number of seconds > 0, got 0"),
    ({"timeout": -1}, r"timeout: expected a number of seconds > 0, got -1"),
    ({"timeout": "5"}, r"timeout: expected a number of seconds > 0, got '5'"),
    ({"timeout": math.inf}, r"timeout: expected a number of seconds > 0, got inf"),
    ({"timeout": math.nan}, r"timeout: expected a number of seconds > 0, got nan"),
    ({"timeout": 10**400}, r"timeout: expected a number of seconds > 0, got 1000"),
    ({"run_timeout": 0}, r"run_timeout: expected a number of seconds > 0, got 0"),
    ({"run_timeout": True}, r"run_timeout: expected a number of seconds > 0, got True"),
    ({"delay": -0.1}, r"delay: expected a number of seconds ≥ 0, got -0\.1"),
    ({"delay": [1]}, r"delay: expected a number of seconds ≥ 0, got \[1\]"),
    ({"max_attempts": 0}, r"max_attempts: expected an integer ≥ 1 .*, got 0"),
    ({"max_attempts": 2**80}, r"max_attempts: expected an integer ≥ 1 .*2\^53.*, got 1208925819614629174706176"),
    ({"max_attempts": "3"}, r"max_attempts: expected an integer ≥ 1 .*, got '3'"),
]


async def test_bad_arguments(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        for arguments, message in BAD_ARGUMENTS:
            with pytest.raises(InvalidTask, match=f"^{message}"):
                await pool.submit("x", **arguments)
        assert pool.stats().parked == pool.stats().running == 0
    assert (await look_at(lot)).is_empty


async def test_a_bad_argument_is_a_value_error(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        with pytest.raises(ValueError, match="units"):
            await pool.submit("x", units=-1)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"a": [1, {2, 3}]}, r"payload\.a\[1\]: cannot encode set; allowed are"),
        ({1: "x"}, r"payload: cannot encode the key 1 \(int\); keys must be strings"),
        (math.nan, r"payload: cannot encode the float nan"),
        (Path("x"), r"payload: cannot encode PosixPath; allowed are"),
    ],
)
async def test_a_payload_that_cannot_be_encoded(lot: Lot, payload: object, message: str) -> None:
    async with pool_on(lot, echo) as pool:
        with pytest.raises(PayloadNotEncodable, match=message):
            await pool.submit(payload)
    assert (await look_at(lot)).is_empty


async def test_payloads_and_results_that_no_store_can_keep(lot: Lot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that can never be saved would stop the pool for good."""
    monkeypatch.setattr(codec, "BYTES_MAX", 100)

    async def grow(payload: int) -> str:
        return "x" * payload

    async with pool_on(lot, grow, max_attempts=1) as pool:
        with pytest.raises(PayloadNotEncodable, match="payload: expected at most 100 bytes once encoded, got 102; put"):
            await pool.submit("x" * 100)
        assert await (await pool.submit(98)).result() == "x" * 98
        with pytest.raises(
            TaskFailed, match="result: expected at most 100 bytes once encoded, got 101; put large data"
        ):
            await (await pool.submit(99)).result()


async def test_a_task_that_is_larger_than_every_device(lot: Lot) -> None:
    async with pool_on(lot, echo, devices={"a": 4, "b": 6}) as pool:
        with pytest.raises(
            TaskTooLarge, match=r"needs 7 units, and the largest device has 6; split it, or add"
        ) as caught:
            await pool.submit("x", units=7)
        assert (caught.value.units, caught.value.largest) == (7, 6)
        assert await (await pool.submit("y", units=6)).result() == "y"
        with pytest.raises(TaskTooLarge):
            await pool.submit("x", units=7, wait=True)
    assert len((await look_at(lot)).outcomes) == 1


async def test_a_full_lot(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage, max_units=1, max_queue_depth=2) as pool:
        await pool.submit("a", task_id="a")
        await pool.submit("b", task_id="b")
        with pytest.raises(
            QueueFull, match=r"it holds 2 tasks, parked and running, and max_queue_depth is 2; "
        ) as caught:
            await pool.submit("c", task_id="c")
        assert (caught.value.depth, caught.value.limit) == (2, 2)
        stage.end("a", "b")
        await pool.join()
        stage.end("c")
        await (await pool.submit("c", task_id="c")).result()
    assert sorted((await look_at(lot)).outcomes) == ["a", "b", "c"]


async def test_refusals_have_one_base(lot: Lot) -> None:
    async with pool_on(lot, echo) as pool:
        for refused in ({"payload": object()}, {"payload": 1, "units": 5}, {"payload": 1, "units": -5}):
            with pytest.raises(SubmitError):
                await pool.submit(**refused)  # type: ignore[arg-type]


async def test_an_id_that_is_taken(lot: Lot) -> None:
    stage = Stage()
    async with pool_on(lot, stage) as pool:
        await pool.submit("a", task_id="a")
        await stage.on("a")
        for _ in "running", "ended":
            with pytest.raises(DuplicateTask, match="task 'a' is in the lot, or its outcome in the mailbox, already"):
                await pool.submit("again", task_id="a")
            stage.end("a")
            await pool.join()
    assert stage.started == ["a"]


async def test_a_pool_that_is_not_running(lot: Lot) -> None:
    pool = pool_on(lot, echo)
    for moment in "before", "after":
        for ask in (pool.submit("x"), pool.submit("x", task_id="x"), pool.cancel("x")):
            with pytest.raises(PoolClosed, match="pool 'pool' is not running: use it inside 'async with'"):
                await ask
        with pytest.raises(PoolClosed):
            pool.set_capacity("0", 3)
        if moment == "before":
            async with pool:
                pass
    assert (await look_at(lot)).is_empty


async def test_a_pool_runs_once(lot: Lot) -> None:
    pool = pool_on(lot, echo)
    async with pool:
        with pytest.raises(PoolClosed, match="pool 'pool' was entered before: a pool runs once, make a new one"):
            await pool.__aenter__()
        assert await (await pool.submit(1)).result() == 1
    with pytest.raises(PoolClosed, match="was entered before"):
        async with pool:
            pass
    async with pool_on(lot, echo) as again:
        assert await (await again.submit(2)).result() == 2


@pytest.mark.parametrize(
    ("device", "units", "message"),
    [
        ("0", -1, "units: expected an integer ≥ 0 .*, got -1"),
        ("0", 1.5, r"units: expected an integer ≥ 0 .*, got 1\.5"),
        ("", 1, "device: expected a non-empty string, got ''"),
        (0, 1, "device: expected a string, got 0"),
    ],
)
async def test_a_capacity_that_cannot_be(lot: Lot, device: Any, units: Any, message: str) -> None:
    async with pool_on(lot, echo) as pool:
        with pytest.raises(InvalidTask, match=message):
            pool.set_capacity(device, units)
        assert await (await pool.submit(1, units=4)).result() == 1


async def test_a_lot_that_another_pool_schedules(lot: Lot) -> None:
    if not lot.exclusive:
        pytest.skip("hosts share this lot")
    async with pool_on(lot, echo) as pool:
        with pytest.raises(StoreInUse, match="scheduled"):
            async with pool_on(lot, echo):
                pytest.fail("two pools schedule one lot")
        assert await (await pool.submit("still fine")).result() == "still fine"
    async with pool_on(lot, echo) as pool:
        assert await (await pool.submit("free again")).result() == "free again"


async def test_one_queue_object_for_two_pools(lot: Lot) -> None:
    queue, mailbox = lot.queue(), lot.mailbox()
    async with ResourcePool(PoolConfig(max_units=1), echo, queue=queue, mailbox=mailbox) as pool:
        with pytest.raises(StoreInUse):
            async with ResourcePool(PoolConfig(max_units=1), echo, queue=queue):
                pytest.fail("two pools schedule one queue")
        assert await (await pool.submit("still fine")).result() == "still fine"


async def test_a_lot_file_that_is_something_else(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Sir or Madam, " * 100)
    pool = ResourcePool(PoolConfig(max_units=1), echo, queue=SqliteQueue(file, "pool"))
    with pytest.raises(NotALot, match=r"letter\.txt is not an SQLite database"):
        async with pool:
            pytest.fail("entered")


def test_a_pool_is_made_outside_of_any_event_loop(anyio_backend: str, lot: Lot) -> None:
    pool = pool_on(lot, echo)

    async def main() -> object:
        async with pool:
            return await (await pool.submit("x")).result()

    assert anyio.run(main, backend=anyio_backend) == "x"
    memory = ResourcePool(PoolConfig(max_units=1), echo, queue=MemoryQueue())
    assert memory.stats().parked == 0
