"""A store as somebody outside of this project would write it: queue and mailbox in one JSON file, under file locks."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import anyio
import attrs
from cattrs.preconf.json import make_converter

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask, TaskState
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
    StoredTask,
    TaskQueue,
)

converter = make_converter()
converter.register_unstructure_hook(bytes, lambda data: base64.b64encode(data).decode())
converter.register_structure_hook(bytes, lambda text, _: base64.b64decode(text))


@attrs.define
class Content:
    """What the file says."""

    tasks: dict[str, StoredTask] = attrs.field(factory=dict)
    checkpoint: Checkpoint | None = None
    requests: list[Request] = attrs.field(factory=list)
    last_number: int = 0
    messages: list[Message] = attrs.field(factory=list)
    last_cursor: int = 0
    host: Host | None = None

    def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Keep the outcomes of tasks that have none."""
        ended = {message.delivery.task_id for message in self.messages}
        for delivery in deliveries:
            if delivery.task_id not in ended:
                ended.add(delivery.task_id)
                self.last_cursor += 1
                self.messages.append(Message(self.last_cursor, delivery))

    def apply(self, batch: Batch) -> None:
        """Raises ``StoreUnavailable`` for a batch that does not go with what is here."""
        for task_id in batch.removed:
            self.tasks.pop(task_id, None)
        for added in batch.added:
            if added.task.id in self.tasks:
                raise StoreUnavailable("a task that was to be added is there")
            self.tasks[added.task.id] = added
        for task in batch.changed:
            if task.id not in self.tasks:
                raise StoreUnavailable("a task that was to change is not there")
            self.tasks[task.id] = attrs.evolve(self.tasks[task.id], task=task)
        self.requests = [request for request in self.requests if request.number not in batch.answered]
        self.checkpoint = batch.checkpoint


class JsonFile:
    """One file, read and replaced under a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Content:
        """What it says now: a file is replaced whole, so that no lock is needed."""
        if not self.path.exists():
            return Content()
        return converter.structure(json.loads(self.path.read_text()), Content)

    @contextmanager
    def change(self) -> Iterator[Content]:
        """What the file says, to be changed; it is kept unless something is raised."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            content = self.read()
            yield content
            draft = self.path.with_suffix(".draft")
            draft.write_text(json.dumps(converter.unstructure(content)))
            draft.replace(self.path)


class JsonMailbox(Mailbox):
    """Outcomes in the file."""

    def __init__(self, path: Path) -> None:
        self.file = JsonFile(path)

    async def open(self) -> None:
        pass

    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        with self.file.change() as content:
            content.deliver(deliveries)

    async def get(self, task_id: str) -> Message | None:
        return next((message for message in self.file.read().messages if message.delivery.task_id == task_id), None)

    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        return {message.delivery.task_id for message in self.file.read().messages} & set(task_ids)

    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        if limit < 1:
            raise ValueError(f"the limit {limit} is not positive")
        messages = self.file.read().messages
        return [each for each in messages if each.delivery.mailbox == key and each.cursor > after][:limit]

    async def prune(self, *, older_than: float) -> int:
        with self.file.change() as content:
            before = len(content.messages)
            oldest = time.time() - older_than
            content.messages = [each for each in content.messages if each.delivery.finished_at >= oldest]
            return before - len(content.messages)

    async def aclose(self) -> None:
        pass


class JsonQueue(TaskQueue):
    """Tasks in the file."""

    def __init__(self, path: Path) -> None:
        self.file = JsonFile(path)
        self.adopted = False
        self.last_seen = 0
        self.lease: IO[str] | None = None

    async def open(self, *, schedule: bool = True) -> None:
        if not schedule:
            return
        lease = self._take_lease()
        if lease is None:
            raise StoreInUse("another process schedules this file")
        self.lease = lease
        with self.file.change() as content:
            content.host = Host(pid=os.getpid(), hostname=platform.node(), renewed_at=time.time())

    def _take_lease(self) -> IO[str] | None:
        lease = self.file.path.with_suffix(".lease").open("w")
        try:
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lease.close()
            return None
        return lease

    def adopt(self, mailbox: Mailbox) -> bool:
        self.adopted = isinstance(mailbox, JsonMailbox) and mailbox.file.path == self.file.path
        return self.adopted

    async def load(self) -> Loaded:
        self.last_seen = 0
        content = self.file.read()
        tasks = sorted(content.tasks.values(), key=lambda stored: stored.task.sequence)
        return Loaded(tasks=[(each.task, each.mailbox) for each in tasks], checkpoint=content.checkpoint)

    async def save(self, batch: Batch) -> None:
        if self.lease is None:
            raise StoreUnavailable("open the queue first")
        with self.file.change() as content:
            content.apply(batch)
            if self.adopted:
                content.deliver(batch.delivered)

    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        tasks = self.file.read().tasks
        return {task_id: tasks[task_id].payload for task_id in task_ids if task_id in tasks}

    async def get(self, task_id: str) -> ScheduledTask | None:
        stored = self.file.read().tasks.get(task_id)
        return stored.task if stored else None

    async def post(self, request: Request) -> int:
        with self.file.change() as content:
            content.last_number += 1
            content.requests.append(attrs.evolve(request, number=content.last_number))
            return content.last_number

    async def requests(self, *, after: int = 0, limit: int = 1000) -> list[Request]:
        found = [request for request in self.file.read().requests if request.number > after][:limit]
        self.last_seen = max([self.last_seen, *(request.number for request in found)])
        return found

    async def wait_for_requests(self) -> None:
        while not any(request.number > self.last_seen for request in self.file.read().requests):  # noqa: ASYNC110
            await anyio.sleep(0.02)

    async def overview(self, *, limit: int = 20) -> Overview:
        content = self.file.read()
        tasks = sorted((stored.task for stored in content.tasks.values()), key=lambda task: task.sequence)
        waiting = [task for task in tasks if task.state is TaskState.PARKED]
        free = self._take_lease()
        if free is not None:
            free.close()
        return Overview(
            parked=len(waiting),
            running=[task for task in tasks if task.state is not TaskState.PARKED],
            waiting=sorted(waiting, key=lambda task: (-task.metadata.priority, task.tag, task.sequence))[:limit],
            requests=len(content.requests),
            set_aside=0,
            outcomes=len(content.messages),
            checkpoint=content.checkpoint,
            host=content.host if free is None else None,
        )

    async def aclose(self) -> None:
        if self.lease is not None:
            self.lease.close()
            self.lease = None
