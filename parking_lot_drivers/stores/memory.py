"""A queue and a mailbox that keep everything in this process, and nothing beyond it: the reference for all others.

No threads and no files, so it also runs in a browser.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import os
import platform
from collections.abc import Sequence

import anyio
import attrs

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask, TaskState
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.errors import StoreInUse, StoreUnavailable
from parking_lot_drivers.ports import (
    Batch,
    Delivery,
    Host,
    Loaded,
    Mailbox,
    Message,
    Overview,
    Request,
    TaskQueue,
)
from parking_lot_drivers.stores._text import keepable


class MemoryMailbox(Mailbox):
    """Outcomes in a dictionary."""

    def __init__(self) -> None:
        self._by_task: dict[str, Message] = {}
        self._by_box: dict[MailboxKey, list[Message]] = {}
        self._last_cursor = 0

    def __len__(self) -> int:
        """How many outcomes there are."""
        return len(self._by_task)

    async def open(self) -> None:
        """Nothing to connect to."""

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Keep the outcomes of tasks that have none."""
        self.keep(deliveries)

    def keep(self, deliveries: Sequence[Delivery]) -> None:
        """The same, for the queue that adopted this mailbox."""
        for delivery in deliveries:
            if delivery.task_id not in self._by_task:
                if keepable(delivery.error) != delivery.error:
                    delivery = attrs.evolve(delivery, error=keepable(delivery.error))
                self._last_cursor += 1
                message = Message(self._last_cursor, delivery)
                self._by_task[delivery.task_id] = message
                self._by_box.setdefault(delivery.mailbox, []).append(message)

    async def get(self, task_id: str) -> Message | None:
        """The outcome of one task."""
        return self._by_task.get(task_id)

    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks that have an outcome."""
        return self._by_task.keys() & set(task_ids)

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages of one box, oldest first. Raises ``ValueError`` for a limit < 1."""
        if limit < 1:
            raise ValueError(f"limit: expected an integer ≥ 1, got {limit!r}")
        box = self._by_box.get(key, [])
        first = bisect.bisect_right(box, after, key=lambda message: message.cursor)
        return box[first : first + limit]

    async def prune(self, *, older_than: float) -> int:
        """Delete the outcomes of tasks that ended more than so many seconds ago; how many there were."""
        before = wall_time() - older_than
        kept = [message for message in self._by_task.values() if message.delivery.finished_at >= before]
        count = len(self._by_task) - len(kept)
        if count:
            self._by_task = {message.delivery.task_id: message for message in kept}
            self._by_box = {}
            for message in kept:
                self._by_box.setdefault(message.delivery.mailbox, []).append(message)
        return count

    async def aclose(self) -> None:
        """Nothing to release: outcomes stay for as long as the object does."""


class MemoryQueue(TaskQueue):
    """Tasks in a dictionary. Closing the queue keeps them; they go with the object."""

    def __init__(self) -> None:
        self._tasks: dict[str, ScheduledTask] = {}
        self._rest: dict[str, tuple[bytes, MailboxKey]] = {}
        self._requests: dict[int, Request] = {}
        self._last_number = 0
        self._last_seen = 0
        self._posted = anyio.Event()
        self._checkpoint: Checkpoint | None = None
        self._mailbox: MemoryMailbox | None = None
        self._host: Host | None = None

    async def open(self, *, schedule: bool = True) -> None:
        """Take the lease, with ``schedule``. Raises ``StoreInUse`` if it is taken."""
        if not schedule:
            return
        if self._host is not None:
            raise StoreInUse("this queue is scheduled already, in this process: give each pool a queue of its own")
        self._host = Host(pid=os.getpid(), hostname=platform.node(), renewed_at=wall_time())

    def adopt(self, mailbox: Mailbox) -> bool:
        """True for a ``MemoryMailbox``."""
        if not isinstance(mailbox, MemoryMailbox):
            return False
        self._mailbox = mailbox
        return True

    async def load(self) -> Loaded:
        """Everything saved, tasks in the order of their sequence."""
        self._last_seen = 0
        self._wake()
        tasks = sorted(self._tasks.values(), key=lambda task: task.sequence)
        with_boxes = [(task, self._rest[task.id][1]) for task in tasks]
        return Loaded(tasks=with_boxes, checkpoint=self._checkpoint, set_aside=[])

    async def save(self, batch: Batch) -> None:
        """Keep the batch. Raises ``StoreUnavailable`` for one that does not go with what is here."""
        self._check(batch)
        for task_id in batch.removed:
            self._tasks.pop(task_id, None)
            self._rest.pop(task_id, None)
        for stored in batch.added:
            self._tasks[stored.task.id] = stored.task
            self._rest[stored.task.id] = (stored.payload, stored.mailbox)
        for task in batch.changed:
            self._tasks[task.id] = task
        if self._mailbox is not None:
            self._mailbox.keep(batch.delivered)
        for number in batch.answered:
            self._requests.pop(number, None)
        self._checkpoint = batch.checkpoint

    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Payloads by task id."""
        return {task_id: self._rest[task_id][0] for task_id in task_ids if task_id in self._rest}

    async def get(self, task_id: str) -> ScheduledTask | None:
        """One task, if the queue has it."""
        return self._tasks.get(task_id)

    async def post(self, request: Request) -> int:
        """Keep a request for the pool."""
        self._last_number += 1
        self._requests[self._last_number] = attrs.evolve(request, number=self._last_number)
        self._wake()
        return self._last_number

    async def requests(self, *, after: int = 0, limit: int = 1000) -> list[Request]:
        """Requests not yet answered past ``after``, oldest first."""
        found = list(itertools.islice((each for each in self._requests.values() if each.number > after), limit))
        if found:
            self._last_seen = found[-1].number
        return found

    async def wait_for_requests(self) -> None:
        """Return when there is a request later than those that ``requests`` has returned."""
        while not any(number > self._last_seen for number in self._requests):
            await self._posted.wait()

    async def overview(self, *, limit: int = 20) -> Overview:
        """The lot at this moment."""
        parked = [task for task in self._tasks.values() if task.state is TaskState.PARKED]
        running = [task for task in self._tasks.values() if task.state is not TaskState.PARKED]
        return Overview(
            parked=len(parked),
            running=sorted(running, key=lambda task: task.sequence),
            waiting=heapq.nsmallest(limit, parked, key=_rank),
            requests=len(self._requests),
            set_aside=0,
            outcomes=len(self._mailbox) if self._mailbox is not None else 0,
            checkpoint=self._checkpoint,
            host=self._host,
        )

    async def aclose(self) -> None:
        """Give the lease back."""
        self._host = None

    def _wake(self) -> None:
        posted, self._posted = self._posted, anyio.Event()
        posted.set()

    def _check(self, batch: Batch) -> None:
        if self._host is None:
            raise StoreUnavailable("this queue is not open to schedule it: await open() first")
        removed = set(batch.removed)
        added: set[str] = set()
        for stored in batch.added:
            if stored.task.id in added or (stored.task.id in self._tasks and stored.task.id not in removed):
                raise StoreUnavailable("the queue has a task that was to be added; nothing was saved: load it again")
            added.add(stored.task.id)
        for task in batch.changed:
            if task.id not in added and (task.id not in self._tasks or task.id in removed):
                raise StoreUnavailable("the queue lacks a task that was to change; nothing was saved: load it again")


def _rank(task: ScheduledTask) -> tuple[int, int, int]:
    return -task.metadata.priority, task.tag, task.sequence
