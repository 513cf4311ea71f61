"""One task on its way through the pool, with one assertion for every hop.

The stores are real files, held up before and after every commit; what is durable is read through connections of their
own. Nobody may hear of anything before it is durable: that is the discipline of decide, save, act.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from parking_lot_core import OutcomeStatus, PoolConfig, TaskState
from parking_lot_drivers import ResourcePool
from parking_lot_drivers.handle import TaskHandle
from parking_lot_drivers.ports import Batch
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from tests.drivers.stores import HeldMailbox, HeldQueue, ids
from tests.drivers.tools import Seen, Stage, a_while, look, until

pytestmark = pytest.mark.anyio


class Scene:
    """A pool of one unit, on files that are held up, and what its callers have heard so far."""

    def __init__(self, folder: Path, *, together: bool) -> None:
        self.together = together
        self.queue_file = folder / "queue.sqlite"
        self.mailbox_file = self.queue_file if together else folder / "mailbox.sqlite"
        self.queue = HeldQueue(self.queue_file, "pool")
        mailbox = HeldMailbox(self.mailbox_file, "pool")
        mailbox.stops = self.stops = self.queue.stops
        self.stage = Stage()
        self.pool = ResourcePool(PoolConfig(max_units=1), self.stage, queue=self.queue, mailbox=mailbox)
        self.handle: TaskHandle | None = None
        self.heard: list[object] = []

    async def submit(self, name: str) -> None:
        """Submit a task, and wait for its outcome."""
        self.handle = await self.pool.submit(name, task_id=name)
        self.heard.append(await self.handle.result())

    async def on_disk(self) -> Seen:
        """What another process sees."""
        queue, mailbox = SqliteQueue(self.queue_file, "pool"), SqliteMailbox(self.mailbox_file, "pool")
        await queue.open(schedule=False)
        await mailbox.open()
        try:
            return await look(queue, mailbox)
        finally:
            await queue.aclose()
            await mailbox.aclose()

    async def saving(self) -> Batch:
        """Wait until the pool is about to save a batch."""
        batch = await self.stops.at("before the save")
        assert isinstance(batch, Batch)
        return batch

    async def saved(self) -> None:
        """Let the batch be committed, and stop the pool right behind it."""
        self.stops.go()
        await self.stops.at("after the save")
        await a_while()


@pytest.mark.parametrize("together", [True, False])
async def test_one_task_hop_by_hop(tmp_path: Path, together: bool) -> None:
    scene = Scene(tmp_path, together=together)
    async with scene.pool as pool, anyio.create_task_group() as group:
        await pool.submit("first", task_id="first")
        await scene.stage.on("first")
        scene.stops.hold = True

        await _submitted(scene, group)
        await _started(scene)
        await _ended(scene)

        scene.stops.hold = False
        scene.stops.go()
        await until(lambda: scene.heard == ["done"])


async def _submitted(scene: Scene, group: anyio.abc.TaskGroup) -> None:
    group.start_soon(scene.submit, "a")
    batch = await scene.saving()
    # Submitted → Enqueue, in the batch as it is at its end.
    assert [(each.task.id, each.task.state, each.payload) for each in batch.added] == [("a", TaskState.PARKED, b'"a"')]
    # Decided, and not durable: nobody has heard of it.
    assert ids((await scene.on_disk()).lot.waiting) == []
    await a_while()
    assert scene.handle is None
    # Durable, and still not acknowledged.
    await scene.saved()
    assert ids((await scene.on_disk()).lot.waiting) == ["a"]
    assert scene.handle is None
    # Acknowledged.
    scene.stops.go()
    await until(lambda: scene.handle)
    assert await scene.pool.status("a") is TaskState.PARKED


async def _started(scene: Scene) -> None:
    scene.stage.end("first")
    if not scene.together:
        # Two stores: the outcome of the first is delivered before the batch that removes it.
        assert ids(await scene.stops.at("before the delivery")) == ["first"]  # type: ignore[arg-type]
        scene.stops.go()
        await scene.stops.at("after the delivery")
        assert "first" in (await scene.on_disk()).outcomes
        assert ids((await scene.on_disk()).lot.running) == ["first"]
        scene.stops.go()
    batch = await scene.saving()
    # Finished → Deliver; the units are free → Start, in the same batch.
    assert ids(batch.delivered) == list(batch.removed) == ["first"]
    assert [(task.id, task.state, task.epoch) for task in batch.changed] == [("a", TaskState.RUNNING, 1)]
    # Decided, and not durable: the executor is not called.
    assert ids((await scene.on_disk()).lot.waiting) == ["a"]
    await a_while()
    assert scene.stage.started == ["first"]
    # Durable as running, and still not called.
    await scene.saved()
    assert [(task.id, task.epoch) for task in (await scene.on_disk()).lot.running] == [("a", 1)]
    assert scene.stage.started == ["first"]
    # Called, with the payload that was submitted.
    scene.stops.go()
    await scene.stage.on("a")
    assert scene.stage.running["a"].epoch == 1


async def _ended(scene: Scene) -> None:
    scene.stage.end("a", say="done")
    if not scene.together:
        await scene.stops.at("before the delivery")
        scene.stops.go()
        await scene.stops.at("after the delivery")
        await a_while()
        assert scene.heard == []
        scene.stops.go()
    batch = await scene.saving()
    # Finished → Deliver.
    (delivery,) = batch.delivered
    assert (delivery.task_id, delivery.epoch, delivery.status) == ("a", 1, OutcomeStatus.SUCCEEDED)
    assert delivery.result == b'"done"'
    assert list(batch.removed) == ["a"]
    # Decided, and not durable: who waits for it sleeps on.
    seen = await scene.on_disk()
    assert ids(seen.lot.running) == ["a"]
    assert ("a" in seen.outcomes) is not scene.together
    await a_while()
    assert scene.heard == []
    # Durable: the row is gone, the outcome is in the mailbox, and still nobody was woken.
    await scene.saved()
    seen = await scene.on_disk()
    assert (seen.lot.parked, ids(seen.lot.running)) == (0, [])
    assert seen.outcomes["a"].value == "done"
    assert scene.heard == []


async def test_a_task_that_fits_is_enqueued_and_started_in_one_batch(tmp_path: Path) -> None:
    scene = Scene(tmp_path, together=True)
    async with scene.pool, anyio.create_task_group() as group:
        scene.stops.hold = True
        group.start_soon(scene.submit, "a")
        batch = await scene.saving()
        assert [(each.task.id, each.task.state, each.task.epoch) for each in batch.added] == [
            ("a", TaskState.RUNNING, 1)
        ]
        await a_while()
        assert (scene.handle, scene.stage.started) == (None, [])
        await scene.saved()
        assert (scene.handle, scene.stage.started) == (None, [])
        scene.stops.hold = False
        scene.stops.go()
        await scene.stage.on("a")
        scene.stage.end("a")


async def test_what_arrives_during_a_save_is_one_batch(tmp_path: Path) -> None:
    scene = Scene(tmp_path, together=True)
    async with scene.pool as pool, anyio.create_task_group() as group:
        scene.stops.hold = True
        group.start_soon(scene.submit, "first")
        await scene.saving()
        for number in range(20):
            group.start_soon(pool.submit, f"later-{number}")
        await a_while()
        await scene.saved()
        scene.stops.go()
        assert len((await scene.saving()).added) == 20
        scene.stops.hold = False
        scene.stops.go()
        scene.stage.end("first", *(f"later-{number}" for number in range(20)))
        await pool.join()


async def test_a_cancellation_hop_by_hop(tmp_path: Path) -> None:
    scene = Scene(tmp_path, together=True)
    async with scene.pool as pool:
        handle = await pool.submit("a", task_id="a")
        await scene.stage.on("a")
        scene.stops.hold = True
        await handle.cancel()
        batch = await scene.saving()
        assert [(task.id, task.state) for task in batch.changed] == [("a", TaskState.STOPPING)]
        # The run is not disturbed before the batch is durable.
        await scene.saved()
        assert [task.state for task in (await scene.on_disk()).lot.running] == [TaskState.STOPPING]
        assert scene.stage.cancelled == []
        scene.stops.go()
        batch = await scene.saving()
        assert scene.stage.cancelled == ["a"]
        assert [delivery.status for delivery in batch.delivered] == [OutcomeStatus.CANCELLED]
        scene.stops.hold = False
        scene.stops.go()
        assert (await handle.outcome()).status is OutcomeStatus.CANCELLED
