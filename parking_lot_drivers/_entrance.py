"""How submissions of those who are not hosts enter a lot.

Into a lot that one process schedules they come as requests, which that process admits. In a lot that hosts share they
are admitted here, by the core's own rules (``Gate``), and inserted as tasks that wait: no host is needed for that.
"""

from __future__ import annotations

import abc
from collections.abc import Container, Sequence
from typing import TypeAlias

import anyio
import attrs

from parking_lot_core import Checkpoint, PoolConfig, RejectReason, ScheduledTask, Scheduler
from parking_lot_drivers._gate import LAST, Gate
from parking_lot_drivers._gathering import Gathered, Gathering
from parking_lot_drivers._submission import Prepared
from parking_lot_drivers.clock import steady_time, wall_time
from parking_lot_drivers.errors import DuplicateTask, QueueFull, TaskTooLarge
from parking_lot_drivers.ports import Mailbox, Request, StoredTask, TaskQueue
from parking_lot_drivers.shared_ports import SharedQueue

_Caller: TypeAlias = Gathered[Sequence[Prepared]]

#: How many sequence numbers a queue gives at a time.
_DRAW = 1000
_DRAW_LEAST = 100

#: For how long numbers that were drawn are used, in seconds. With older ones, tasks would overtake those of others.
_FRESH_S = 0.005

#: How often the tasks of a lot are counted, in seconds, while there is certainly room.
_COUNT_PERIOD_S = 1.0

_PAUSE_S = 0.2


class Entrance(abc.ABC):
    """Keeps tasks that were checked and encoded."""

    @abc.abstractmethod
    async def enter(self, tasks: Sequence[Prepared], *, wait: bool = False) -> None:
        """Keep all of them in one transaction, or none.

        Tasks whose id is taken are left out if that is fine; else ``DuplicateTask`` is raised. Raises ``QueueFull``
        unless it should ``wait`` for room, and ``StoreError``.
        """


def duplicate(task_id: str) -> DuplicateTask:
    """The error for an id that is taken."""
    return DuplicateTask(f"task {task_id!r} is in the lot, or its outcome in the mailbox, already; choose another id")


class ByRequest(Entrance):
    """Into a lot that one process schedules. The caller has seen to ids that are taken."""

    def __init__(self, queue: TaskQueue, policy: PoolConfig) -> None:
        self._queue = queue
        self._limit = policy.max_queue_depth

    async def enter(self, tasks: Sequence[Prepared], *, wait: bool = False) -> None:
        """See ``Entrance.enter``. Requests wait for room by themselves, so only several tasks at once need it now."""
        if len(tasks) > 1 and not wait:
            seen = await self._queue.overview(limit=1)
            depth = seen.parked + len(seen.running) + seen.requests
            if depth + len(tasks) > self._limit:
                raise QueueFull(depth, self._limit)
        requests = [request_of(task) for task in tasks]
        if len(requests) == 1:
            await self._queue.post(requests[0])
        else:
            await self._queue.post_all(requests)


def request_of(task: Prepared) -> Request:
    """A submission as a request, posted now."""
    return Request(
        number=0,
        task_id=task.metadata.id,
        at=wall_time(),
        task=task.metadata,
        payload=task.payload,
        mailbox=task.mailbox,
    )


class Door:
    """Numbers and tags tasks of one pool that others schedule."""

    def __init__(self, policy: PoolConfig) -> None:
        empty = Scheduler(policy)
        # The lot's room is counted elsewhere: a gate knows only the tasks that it admitted itself.
        self._policy = attrs.evolve(policy, max_queue_depth=_DRAW)
        self._devices = empty.devices
        #: The most units that a task may need: hosts that were given more do not say so here.
        self.largest = empty.largest_device

    def gate(self, reserved: Checkpoint, now: float) -> Gate:
        """A gate that admits as many tasks as numbers were reserved."""
        return Gate(self._policy, reserved, self._devices, largest=self.largest, room=_DRAW, until=LAST, now=now)

    def admit(self, gate: Gate, task: Prepared, now: float) -> StoredTask:
        """The task as it enters the lot. This gate must not have admitted one of this id. Raises ``TaskTooLarge``."""
        found = gate.admit(task.metadata, now)
        if isinstance(found, ScheduledTask):
            return StoredTask(found, task.payload, task.mailbox)
        assert found is RejectReason.TOO_LARGE, found
        raise TaskTooLarge(task.metadata.units, self.largest)

    def shares(self, gate: Gate) -> Checkpoint | None:
        """The tags to be kept after the tasks of this gate."""
        return Checkpoint(finish_tags=gate.shares()) if self._policy.tenants else None


class Room:
    """How many more tasks a lot can take, counted from time to time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._depth = 0
        self._counted_at = float("-inf")

    def known(self, count: int) -> bool:
        """Whether there is room for so many more, by a count that is not old."""
        return steady_time() < self._counted_at + _COUNT_PERIOD_S and self.fits(count)

    def counted(self, depth: int) -> None:
        """The lot has been counted."""
        self._depth = depth
        self._counted_at = steady_time()

    def forget(self) -> None:
        """Count before anything else is admitted."""
        self._counted_at = float("-inf")

    def fits(self, count: int) -> bool:
        """Whether there is room for so many more, by the latest count."""
        return self._depth + count <= self.limit

    def take(self, count: int) -> None:
        """So many were added."""
        self._depth += count

    def full(self) -> QueueFull:
        """The error for too many tasks."""
        return QueueFull(self._depth, self.limit)


class ByCommit(Entrance):
    """Into a lot that hosts share. Callers that come at the same time share one commit.

    ``together``: whether the queue looks into the mailbox itself for ids that are taken.
    """

    def __init__(self, queue: SharedQueue, mailbox: Mailbox | None, policy: PoolConfig, *, together: bool) -> None:
        self._queue = queue
        self._mailbox = None if together else mailbox
        self._policy = policy
        self.door = Door(policy)
        self.room = Room(policy.max_queue_depth)
        self._gathering: Gathering[Sequence[Prepared]] = Gathering(self._flush)
        self._gate: Gate | None = None
        # What the gate has admitted, how many numbers are left, when they were drawn, and the time of its tasks.
        self._seen: set[str] = set()
        self._left = 0
        self._drawn_at = float("-inf")
        self._now = 0.0

    async def enter(self, tasks: Sequence[Prepared], *, wait: bool = False) -> None:
        """See ``Entrance.enter``."""
        if self._mailbox is not None and (named := [task.metadata.id for task in tasks if task.named]):
            ended = await self._mailbox.ended(named)
            if (error := _taken(tasks, ended)) is not None:
                raise error
            tasks = [task for task in tasks if task.metadata.id not in ended]
        if tasks:
            await self._enter(tasks, wait=wait)

    async def _enter(self, tasks: Sequence[Prepared], *, wait: bool) -> None:
        while True:
            try:
                await self._gathering(tasks)
            except QueueFull:
                if not wait or len(tasks) > self.room.limit:
                    raise
            else:
                return
            await anyio.sleep(_PAUSE_S)

    async def _flush(self, callers: Sequence[_Caller]) -> None:
        if self._policy.tenants or steady_time() >= self._drawn_at + _FRESH_S:
            self._gate = None
        admitted: list[StoredTask] = []
        try:
            inside = await self._with_room(callers)
            for caller in inside:
                admitted += await self._admit(caller)
            if not admitted:
                return
            named = {task.metadata.id for caller in inside for task in caller.given if task.named}
            once = [stored.task.id for stored in admitted if stored.task.id in named]
            shares = None if self._gate is None else self.door.shares(self._gate)
            saved = await self._queue.enqueue(admitted, once=once, shares=shares)
        except BaseException:
            self._gate = None  # what it admitted was not kept
            self.room.forget()
            raise
        self.room.take(len(admitted) - len(saved.lost))
        for caller in inside if saved.lost else ():
            caller.error = caller.error or _taken(caller.given, saved.lost)

    async def _with_room(self, callers: Sequence[_Caller]) -> list[_Caller]:
        """Those for whom there is room, first come first served; the others are refused."""
        if not self.room.known(sum(len(caller.given) for caller in callers)):
            self.room.counted(await self._queue.depth(self.room.limit))
        inside = []
        count = 0
        for caller in callers:
            if self.room.fits(count + len(caller.given)):
                inside.append(caller)
                count += len(caller.given)
            else:
                caller.error = self.room.full()
        return inside

    async def _admit(self, caller: _Caller) -> list[StoredTask]:
        """The caller's tasks, unless one of them is refused."""
        if self._gate is not None:
            caller.error = _taken(caller.given, self._seen)
        if caller.error is not None:
            return []
        admitted = []
        for place, task in enumerate(caller.given):
            gate = await self._open_gate(len(caller.given) - place)
            if task.metadata.id not in self._seen:
                self._left -= 1
                self._seen.add(task.metadata.id)
                admitted.append(self.door.admit(gate, task, self._now))
        return admitted

    async def _open_gate(self, wanted: int) -> Gate:
        old = self._gate
        if old is not None and self._left > 0:
            return old
        count = min(_DRAW, max(wanted, _DRAW_LEAST))
        reserved = await self._queue.reserve(count)
        if old is None:
            self._seen = set()
        elif self._policy.tenants:
            reserved = attrs.evolve(reserved, finish_tags=old.shares())
        self._drawn_at = steady_time()
        self._left = count
        self._now = wall_time()
        self._gate = self.door.gate(reserved, self._now)
        return self._gate


def _taken(tasks: Sequence[Prepared], ids: Container[str]) -> DuplicateTask | None:
    """The error, if the id of one of the tasks is taken and should not be."""
    found = (task.metadata.id for task in tasks if task.metadata.id in ids and not task.again_is_fine)
    return next(map(duplicate, found), None)
