"""Stores that fail: at every single write of a whole story, before the commit and after it, and for a while.

What must hold whatever fails: a task that was acknowledged ends exactly once; a caller whose submission was not saved
is told so; nothing that ran is run again, because this process lives and remembers; the budget holds; the pool goes on.
"""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import anyio
import attrs
import pytest

from parking_lot_core import OutcomeStatus, PoolConfig
from parking_lot_drivers import ResourcePool, _loop, current_task
from parking_lot_drivers.errors import StoreUnavailable, UnknownTask
from parking_lot_drivers.handle import TaskHandle, TaskResult
from tests.drivers.stores import KINDS, Faults, FaultyLot
from tests.drivers.tools import Seen, Tally, look, until

pytestmark = pytest.mark.anyio

UNITS = 4
#: What the tasks of the story are, by id: units, and how they go.
TASKS: Mapping[str, tuple[int, str]] = {
    "quick": (1, "quick"),
    "large": (4, "nap"),
    "flaky": (2, "flaky"),
    "hopeless": (1, "hopeless"),
    "cancelled-running": (2, "hangs"),
    "medium": (3, "nap"),
    "cancelled-parked": (4, "nap"),
    "late": (4, "expires"),
    "last": (2, "quick"),
}
#: How often the executor is called for a task whose end is not a cancellation.
RUNS = {"quick": 1, "large": 1, "flaky": 2, "hopeless": 2, "medium": 1, "last": 1}
CANCELLED = ("cancelled-running", "cancelled-parked")
#: How the tasks end that do not simply succeed. Where stores fail often, one may be done before it can be cancelled.
ENDS = {
    "hopeless": {OutcomeStatus.FAILED},
    "late": {OutcomeStatus.EXPIRED, OutcomeStatus.SUCCEEDED},
    "cancelled-running": {OutcomeStatus.CANCELLED},
    "cancelled-parked": {OutcomeStatus.CANCELLED, OutcomeStatus.SUCCEEDED},
}


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool looks again after a millisecond."""
    monkeypatch.setattr(_loop, "_REREAD_DELAY_S", 0.001)
    monkeypatch.setattr(_loop, "_REREAD_DELAY_MAX_S", 0.01)


async def _act_out(payload: str) -> object:
    if payload == "nap":
        await anyio.sleep(0.004)
    elif payload == "hangs":
        await anyio.sleep_forever()
    elif payload == "hopeless" or (payload == "flaky" and current_task().attempt == 1):
        raise OSError(payload)
    return payload


@attrs.define
class Story:
    """One run of a story: what was acknowledged, what was refused, and what the executor saw."""

    queue_faults: Faults
    mailbox_faults: Faults
    tally: Tally
    handles: dict[str, TaskHandle] = attrs.field(factory=dict)
    refused: dict[str, StoreUnavailable] = attrs.field(factory=dict)
    heard: dict[str, TaskResult] = attrs.field(factory=dict)
    seen: Seen | None = None

    @property
    def raised(self) -> int:
        """How many calls of the stores have failed."""
        return self.queue_faults.raised + self.mailbox_faults.raised


async def tell(lot: FaultyLot, queue_at: Mapping[int, str], mailbox_at: Mapping[int, str]) -> Story:
    """Run the story on an empty lot, with faults at these writes."""
    queue, mailbox = lot.queue(), lot.mailbox()
    story = Story(queue.faults, mailbox.faults, Tally(_act_out))
    config = PoolConfig(max_units=UNITS, retry_backoff=0.001, max_attempts=2)
    async with ResourcePool(config, story.tally, queue=queue, mailbox=mailbox, name="pool") as pool:
        queue.faults.at.update(queue_at)
        mailbox.faults.at.update(mailbox_at)
        async with anyio.create_task_group() as group:
            for task_id in TASKS:
                await _submit(story, pool, task_id)
            for task_id in story.handles:
                group.start_soon(_listen, story, task_id)
            for task_id in CANCELLED:
                with contextlib.suppress(UnknownTask):  # refused, and not in the lot
                    await pool.cancel(task_id)
        await pool.join()
        story.seen = await look(queue, mailbox)
        assert pool.stats().degraded is None
        assert pool.stats().outcomes == Counter(result.status for result in story.seen.outcomes.values())
    return story


async def _submit(story: Story, pool: ResourcePool, task_id: str) -> None:
    units, payload = TASKS[task_id]
    timeout = 0.001 if payload == "expires" else None
    try:
        story.handles[task_id] = await pool.submit(payload, units=units, task_id=task_id, timeout=timeout)
    except StoreUnavailable as error:
        story.refused[task_id] = error


async def _listen(story: Story, task_id: str) -> None:
    with anyio.fail_after(20):
        story.heard[task_id] = await story.handles[task_id].outcome()


def check(story: Story, *, refused_may_run: bool) -> None:
    """What must hold at the end of every story."""
    assert story.seen is not None
    assert (story.seen.lot.parked, story.seen.lot.running) == (0, [])
    outcomes = story.seen.outcomes
    assert story.handles.keys() | story.refused.keys() == TASKS.keys()
    assert story.handles.keys() <= outcomes.keys()
    if not refused_may_run:
        assert outcomes.keys() == story.handles.keys()
    for task_id, result in story.heard.items():
        assert attrs.evolve(outcomes[task_id], cursor=0) == attrs.evolve(result, cursor=0), task_id
    for task_id, result in outcomes.items():
        assert result.status in ENDS.get(task_id, {OutcomeStatus.SUCCEEDED}), task_id
    runs = [task_id for task_id, _ in story.tally.runs]
    assert len(set(story.tally.runs)) == len(runs), "two runs under one epoch"
    for task_id in outcomes:
        assert runs.count(task_id) == RUNS.get(task_id, min(runs.count(task_id), 1)), task_id
    assert story.tally.most["0"] <= UNITS
    assert story.tally.held == {"0": 0}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_story_without_faults(kind: str, tmp_path: Path) -> None:
    story = await tell(FaultyLot(kind, tmp_path), {}, {})
    check(story, refused_may_run=False)
    assert story.handles.keys() == TASKS.keys()
    assert story.queue_faults.writes >= len(TASKS)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_save_that_fails(kind: str, moment: str, tmp_path: Path, anyio_backend: str) -> None:
    """For every save of the story, the queue fails at it, before it has committed or after."""
    number, struck = 2, True
    while struck:
        if number % 2 == (anyio_backend == "trio") and kind != "memory":  # files are slow: the loops take turns
            number += 1
        story = await tell(_fresh(kind, tmp_path, number), {number: moment}, {})
        # A submission that is refused because the commit went well and its success was not reported may run all the
        # same. Where the mailbox is apart, it may have had the outcome of a task that expired at once.
        check(story, refused_may_run=moment == "after" or "," in kind)
        struck = story.raised > 0
        number += 1
    assert number > len(TASKS)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if "," in kind])
async def test_a_delivery_that_fails(kind: str, moment: str, tmp_path: Path) -> None:
    """For every delivery of the story to a mailbox of its own."""
    number, struck = 1, True
    while struck:
        story = await tell(_fresh(kind, tmp_path, number), {}, {number: moment})
        check(story, refused_may_run=True)
        struck = story.raised > 0
        number += 1
    assert number > len(TASKS) / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
async def test_a_store_that_fails_often(kind: str, seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    faults = [{n: chance.choice(["before", "after"]) for n in range(2, 200) if chance.random() < 0.4} for _ in "qm"]
    story = await tell(FaultyLot(kind, tmp_path), faults[0], faults[1])
    check(story, refused_may_run=True)
    assert story.raised > 0


def _fresh(kind: str, folder: Path, number: int) -> FaultyLot:
    (folder / f"{number}").mkdir()
    return FaultyLot(kind, folder / f"{number}")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_store_that_is_down_for_a_while(kind: str, tmp_path: Path) -> None:
    lot = FaultyLot(kind, tmp_path)
    queue, mailbox = lot.queue(), lot.mailbox()
    go = anyio.Event()

    async def wait(payload: str) -> str:
        await go.wait()
        return payload

    tally = Tally(wait)
    async with ResourcePool(PoolConfig(max_units=2), tally, queue=queue, mailbox=mailbox) as pool:
        running = [await pool.submit(f"running-{number}") for number in range(2)]
        parked = await pool.submit("parked")
        assert pool.stats().degraded is None
        queue.faults.down = mailbox.faults.down = True
        with pytest.raises(StoreUnavailable, match="the store is down"):
            await pool.submit("refused")
        go.set()
        await until(lambda: tally.held["0"] == 0)
        assert pool.stats().degraded == "the store is down"
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="the store is down"):
                await pool.submit("refused")
        queue.faults.down = mailbox.faults.down = False
        for handle, payload in zip([*running, parked], ["running-0", "running-1", "parked"], strict=True):
            assert await handle.result() == payload
        await until(lambda: pool.stats().degraded is None)
        assert await (await pool.submit("afterwards")).result() == "afterwards"
        seen = await look(queue, mailbox)
    assert sorted(result.value for result in seen.outcomes.values()) == [  # type: ignore[type-var]
        "afterwards",
        "parked",
        "running-0",
        "running-1",
    ]
    assert len(tally.runs) == 4


@pytest.mark.parametrize("kind", KINDS)
async def test_a_disk_that_is_full_for_a_while(kind: str, tmp_path: Path) -> None:
    """Reading works, writing does not."""
    lot = FaultyLot(kind, tmp_path)
    queue, mailbox = lot.queue(), lot.mailbox()
    tally = Tally(_act_out)
    async with ResourcePool(PoolConfig(max_units=2), tally, queue=queue, mailbox=mailbox) as pool:
        handle = await pool.submit("nap")
        queue.faults.read_only = mailbox.faults.read_only = True
        await until(lambda: pool.stats().degraded == "the disk is full")
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="the disk is full"):
                await pool.submit("refused")
            assert pool.stats().degraded == "the disk is full"
        queue.faults.read_only = mailbox.faults.read_only = False
        assert await handle.result() == "nap"
        assert await (await pool.submit("quick")).result() == "quick"
    assert len(tally.runs) == 2
