"""Where one task stands, as a process sees it that does not schedule the lot."""

from __future__ import annotations

import attrs

from parking_lot_core import (
    Checkpoint,
    Explanation,
    OutcomeStatus,
    PoolConfig,
    ScheduledTask,
    Scheduler,
    TaskMetadata,
    TaskState,
)
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.handle import Results, TaskResult
from parking_lot_drivers.ports import Loaded, TaskQueue

_PAGE = 1000


@attrs.frozen(kw_only=True)
class Standing:
    """Where one task stands. Times in seconds since the Unix epoch.

    Attributes:
        task_id: the task's id.
        state: ``TaskState.NEW`` while it is posted and no scheduling process has taken it yet (not in lots that hosts
            share: there it is in the queue at once); then its state in the queue; in the end how it ended.
        since: when it was posted, admitted, started or ended, whichever was last.
        metadata: what its submitter said; ``None`` once it has ended.
        task: how the scheduler keeps it; ``None`` before and after.
        result: its outcome; ``None`` before the end.
    """

    task_id: str
    state: TaskState | OutcomeStatus
    since: float
    metadata: TaskMetadata | None = None
    task: ScheduledTask | None = None
    result: TaskResult | None = None


class Standings:
    """Looks for tasks in the queue, in the mailbox, and among requests."""

    def __init__(self, queue: TaskQueue, results: Results | None) -> None:
        self._queue = queue
        self._results = results

    async def find(self, task_id: str) -> Standing | None:
        """Where the task stands; ``None`` if nothing is known of it. Raises ``StoreError``."""
        # A task moves from the requests to the queue to the mailbox. Looking in that order misses none; the first two
        # looks only spare most callers the slow one.
        found = await self._in_queue(task_id) or await self._in_mailbox(task_id)
        found = found or await self._among_requests(task_id)
        return found or await self._in_queue(task_id) or await self._in_mailbox(task_id)

    async def _in_queue(self, task_id: str) -> Standing | None:
        task = await self._queue.get(task_id)
        if task is None:
            return None
        since = task.admitted_at if task.started_at is None else task.started_at
        return Standing(task_id=task_id, state=task.state, since=since, metadata=task.metadata, task=task)

    async def _in_mailbox(self, task_id: str) -> Standing | None:
        result = None if self._results is None else await self._results.get(task_id)
        if result is None:
            return None
        return Standing(task_id=task_id, state=result.status, since=result.finished_at, result=result)

    async def _among_requests(self, task_id: str) -> Standing | None:
        after = 0
        while found := await self._queue.requests(after=after, limit=_PAGE):
            for request in found:
                if request.task_id == task_id and request.task is not None:
                    return Standing(task_id=task_id, state=TaskState.NEW, since=request.at, metadata=request.task)
            after = found[-1].number
        return None


def explained(policy: PoolConfig, loaded: Loaded, task_id: str, shared: bool) -> Explanation | None:
    """Why a task of a lot stands where it stands; of one that hosts ``shared``, as if one host ran all that runs."""
    checkpoint = loaded.checkpoint
    if shared:
        checkpoint = attrs.evolve(checkpoint or Checkpoint(now=0.0), now=wall_time(), devices=())
    if checkpoint is None:
        return None
    return Scheduler.restore(policy, [task for task, _ in loaded.tasks], checkpoint).explain(task_id)
