"""Submissions in a transaction of the application's: the task is kept, or not, with the application's own rows."""

from __future__ import annotations

from typing import Any

from parking_lot_core import Checkpoint, PoolConfig
from parking_lot_drivers._entrance import Door, Room, duplicate, request_of
from parking_lot_drivers._submission import NewTask, prepared
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.errors import InvalidTask
from parking_lot_drivers.ports import Need, StoredTask, TaskQueue


class Transactions:
    """Submits to one pool through connections of the application's. The queue need not be open."""

    def __init__(self, queue: TaskQueue, pool: str, policy: PoolConfig) -> None:
        self._queue = queue
        self._pool = pool
        self._policy = policy
        self._door = Door(policy)
        self._room = Room(policy.max_queue_depth)

    def submit_in(self, connection: Any, task: NewTask, *, largest: int = 0) -> str:
        """Submit in the transaction of a SQLAlchemy ``Connection`` or ``Session``; returns the id.

        ``largest``: the most units that a device of this host ever had. Raises ``SubmitError``, ``ConfigError`` for a
        queue that is in no database, ``SchemaMissing``, and what SQLAlchemy raises.
        """
        if hasattr(connection, "run_sync"):
            name = type(connection).__name__
            raise InvalidTask(
                f"connection: expected a Connection or Session, got {name}: await submit_in_async instead"
            )
        now = wall_time()
        self._door.largest = max(self._door.largest, largest)
        submission = prepared(self._pool, task, now, self._door.largest)
        counted = not self._room.known(1)

        def admit(reserved: Checkpoint, depth: int) -> tuple[StoredTask, Checkpoint | None]:
            if counted:
                self._room.counted(depth)
            if not self._room.fits(1):
                raise self._room.full()
            gate = self._door.gate(reserved, now)
            return self._door.admit(gate, submission, now), self._door.shares(gate)

        need = Need(
            once=submission.named,
            count=self._policy.max_queue_depth if counted else None,
            shares=bool(self._policy.tenants),
        )
        if self._queue.submit_in(connection, request_of(submission), admit, need):
            self._room.take(1)
        elif not submission.again_is_fine:
            raise duplicate(submission.metadata.id)
        return submission.metadata.id

    async def submit_in_async(self, connection: Any, task: NewTask, *, largest: int = 0) -> str:
        """The same for an ``AsyncConnection`` or ``AsyncSession``."""
        run_sync = getattr(connection, "run_sync", None)
        if run_sync is None:
            name = type(connection).__name__
            raise InvalidTask(
                f"connection: expected an AsyncConnection or AsyncSession, got {name}: call submit_in instead"
            )
        found: str = await run_sync(lambda synchronous: self.submit_in(synchronous, task, largest=largest))
        return found
