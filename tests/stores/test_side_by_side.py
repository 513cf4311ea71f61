"""All stores, driven side by side, must give equal answers."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import attrs
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from parking_lot_core import MailboxKey, OutcomeStatus, Priority, ResourceCost, ScheduledTask, TaskMetadata, TaskState
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Delivery, Mailbox, Request, StoredTask, TaskQueue
from parking_lot_drivers.testing.samples import checkpoint, retried, running, stopping
from tests.contracts.registry import STORES, Lot

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
IDS = st.one_of(st.sampled_from(["a", "b", "c", "d"]), TEXTS.filter(bool))
MOMENTS = st.one_of(st.none(), st.floats(-1e9, 1e10))
WHOLES = st.one_of(st.integers(0, 5), st.integers(0, 2**62))
BOXES = st.sampled_from([MailboxKey(), MailboxKey("a"), MailboxKey("a", "b", "ü")])
BYTES = st.binary(max_size=40)
METADATA = st.builds(
    TaskMetadata,
    IDS,
    st.builds(ResourceCost, st.integers(1, 2**53)),
    st.sampled_from(Priority),
    TEXTS,
    MOMENTS,
    st.one_of(st.none(), st.floats(0.001, 1e6)),
    MOMENTS,
    WHOLES,
)
DELIVERIES = st.builds(
    Delivery,
    task_id=IDS,
    epoch=WHOLES,
    mailbox=BOXES,
    status=st.sampled_from(OutcomeStatus),
    error=st.one_of(st.none(), TEXTS),
    result=st.one_of(st.none(), BYTES),
    submitted_at=st.floats(0, 1e10),
    started_at=MOMENTS,
    finished_at=st.floats(0, 1e10),
)
REQUESTS = st.one_of(
    st.builds(Request, number=st.just(0), task_id=IDS, at=st.floats(0, 1e10)),
    st.builds(
        lambda task, at, payload, box: Request(
            number=0, task_id=task.id, at=at, task=task, payload=payload, mailbox=box
        ),
        METADATA,
        st.floats(0, 1e10),
        BYTES,
        BOXES,
    ),
)


@attrs.define
class Side:
    """One store: where it lies, and the objects that are open.

    ``given``: the last cursor before outcomes were pruned.
    """

    lot: Lot
    queue: TaskQueue
    mailbox: Mailbox
    given: int = 0


class Stores(RuleBasedStateMachine):
    """Does the same to every store. ``tasks`` is only there to make most batches such that they can be saved."""

    backend = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        self.portal: BlockingPortal = self.exits.enter_context(start_blocking_portal(self.backend))
        self.folder = Path(tempfile.mkdtemp())
        self.exits.callback(shutil.rmtree, self.folder)
        self.sides = [self.side(name, store) for name, store in sorted(STORES.items())]
        self.tasks: dict[str, ScheduledTask] = {}
        self.sequence = 0
        self.saves = 0
        self.order: dict[MailboxKey, list[str]] = {}
        self.ends: dict[str, float] = {}
        self.fresh: set[str] = set()  # tasks that ended after outcomes were pruned

    def side(self, name: str, store: type[Lot]) -> Side:
        folder = self.folder / name
        folder.mkdir()
        lot = store(folder)
        side = Side(lot, lot.queue(), lot.mailbox())
        self.portal.call(self.open, side)
        return side

    @staticmethod
    async def open(side: Side) -> None:
        await side.mailbox.open()
        await side.queue.open()
        assert side.queue.adopt(side.mailbox)

    @staticmethod
    async def close(side: Side) -> None:
        await side.queue.aclose()
        await side.mailbox.aclose()

    def teardown(self) -> None:
        for side in self.sides:
            self.portal.call(self.close, side)
            side.lot.drop()
        self.exits.close()

    def same(self, ask: Callable[[Side], Awaitable[Any]]) -> Any:
        """What ``ask`` gives on every store; asserts that it is the same."""

        async def answer(side: Side) -> Any:
            try:
                return await ask(side)
            except StoreUnavailable:
                return StoreUnavailable

        answers = [self.portal.call(answer, side) for side in self.sides]
        for other in answers[1:]:
            assert other == answers[0]
        return answers[0]

    @initialize()
    def nothing_is_there(self) -> None:
        assert self.same(lambda side: side.queue.load()).checkpoint is None

    @rule(data=st.data())
    def save(self, data: st.DataObject) -> None:
        batch = self.draw_batch(data)
        if self.same(lambda side: side.queue.save(batch)) is StoreUnavailable:
            return
        for task_id in batch.removed:
            self.tasks.pop(task_id, None)
        self.tasks |= {stored.task.id: stored.task for stored in batch.added}
        self.tasks |= {task.id: task for task in batch.changed}
        self.note(batch.delivered)

    def draw_batch(self, data: st.DataObject) -> Batch:
        removed = data.draw(st.lists(st.one_of(IDS, st.sampled_from(sorted(self.tasks) or ["x"])), max_size=2))
        added = [self.numbered(new) for new in data.draw(st.lists(METADATA, max_size=3))]
        known = [task for name, task in sorted(self.tasks.items()) if name not in removed]
        changed = data.draw(st.lists(st.sampled_from(known), max_size=3, unique_by=lambda t: t.id)) if known else []
        self.saves += 1
        return Batch(
            added=[StoredTask(task, data.draw(BYTES), data.draw(BOXES)) for task in added],
            changed=[self.moved(task, data.draw(st.integers(0, 3))) for task in changed],
            removed=removed,
            delivered=data.draw(st.lists(DELIVERIES, max_size=3)),
            answered=data.draw(st.lists(st.integers(1, 6), max_size=2)),
            checkpoint=checkpoint(self.saves),
        )

    def numbered(self, metadata: TaskMetadata) -> ScheduledTask:
        self.sequence += 1
        return ScheduledTask(metadata, self.sequence, self.sequence * 2**62, self.sequence / 3)

    def moved(self, task: ScheduledTask, step: int) -> ScheduledTask:
        started = task if task.state is not TaskState.PARKED else running(task)
        plain = attrs.evolve(started, state=TaskState.RUNNING, stop_reason=None)
        return [task, plain, stopping(plain), retried(plain)][step]

    def note(self, deliveries: Any) -> None:
        known = {name for box in self.order.values() for name in box}
        for delivery in deliveries:
            if delivery.task_id not in known:
                known.add(delivery.task_id)
                self.ends[delivery.task_id] = delivery.finished_at
                self.fresh.add(delivery.task_id)
                self.order.setdefault(delivery.mailbox, []).append(delivery.task_id)

    @rule(deliveries=st.lists(DELIVERIES, max_size=4))
    def deliver(self, deliveries: list[Delivery]) -> None:
        self.same(lambda side: side.mailbox.deliver(deliveries))
        self.note(deliveries)

    @rule(request=REQUESTS)
    def post(self, request: Request) -> None:
        self.same(lambda side: side.queue.post(request))

    @rule(after=st.integers(0, 4), limit=st.integers(1, 3))
    def requests(self, after: int, limit: int) -> None:
        self.same(lambda side: side.queue.requests(after=after, limit=limit))

    @precondition(lambda self: self.order)
    @rule(data=st.data(), limit=st.integers(1, 4))
    def fetch(self, data: st.DataObject, limit: int) -> None:
        box = data.draw(st.sampled_from(sorted(self.order, key=repr)))
        after = data.draw(st.sampled_from([None, *self.order[box]]))

        async def fetch(side: Side) -> list[Delivery]:
            seen = await side.mailbox.get(after) if after is not None else None
            cursor = 0 if seen is None else seen.cursor
            found = await side.mailbox.fetch(box, after=cursor, limit=limit)
            assert all((message.cursor > side.given) == (message.delivery.task_id in self.fresh) for message in found)
            return [message.delivery for message in found]

        first = 0 if after is None else self.order[box].index(after) + 1
        assert [delivery.task_id for delivery in self.same(fetch)] == self.order[box][first : first + limit]

    @rule(older_than=st.sampled_from([0.0, 1e9]))
    def prune(self, older_than: float) -> None:
        async def prune(side: Side) -> int:
            for box in self.order:
                side.given = max([side.given, *(m.cursor for m in await side.mailbox.fetch(box, limit=10_000))])
            return await side.mailbox.prune(older_than=older_than)

        old = {name for name, at in self.ends.items() if at < time.time() - older_than}
        assert self.same(prune) == len(old)
        self.ends = {name: at for name, at in self.ends.items() if name not in old}
        left = {box: [name for name in names if name not in old] for box, names in self.order.items()}
        self.order = {box: names for box, names in left.items() if names}
        self.fresh = set()

    @rule(task_ids=st.lists(IDS, max_size=4))
    def look_up(self, task_ids: list[str]) -> None:
        async def look_up(side: Side) -> Any:
            found = [await side.mailbox.get(task_id) for task_id in task_ids]
            outcomes = [message and message.delivery for message in found]
            tasks = [await side.queue.get(name) for name in task_ids]
            return await side.queue.payloads(task_ids), tasks, await side.mailbox.ended(task_ids), outcomes

        self.same(look_up)

    @rule(limit=st.integers(0, 3))
    def overview(self, limit: int) -> None:
        async def overview(side: Side) -> Any:
            return attrs.evolve(await side.queue.overview(limit=limit), host=None)

        self.same(overview)

    @rule()
    def reopen(self) -> None:
        for side in self.sides:
            self.portal.call(self.close, side)
            side.queue, side.mailbox = side.lot.queue(), side.lot.mailbox()
            self.portal.call(self.open, side)

    @invariant()
    def equal_contents(self) -> None:
        loaded = self.same(lambda side: self.loaded(side))
        assert {task.id: task for task, _ in loaded[0]} == self.tasks

    @staticmethod
    async def loaded(side: Side) -> Any:
        found = await side.queue.load()
        return list(found.tasks), found.checkpoint, list(found.set_aside)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_all_stores_agree(backend: str) -> None:
    machine = type("Stores", (Stores,), {"backend": backend})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
