"""Tasks of hosts that died while they ran them: another host decides, by the usual rules, what becomes of them."""

from __future__ import annotations

import logging

from parking_lot_core import Checkpoint, Deliver, Enqueue, Finished, PoolConfig, ScheduledTask, Scheduler
from parking_lot_drivers._recovery import HOST_DIED
from parking_lot_drivers._turn import delivery_of
from parking_lot_drivers.ports import Batch, Delivery, Mailbox
from parking_lot_drivers.shared_ports import SharedQueue

_log = logging.getLogger("parking_lot")


class Takeover:
    """Adopts orphans of a shared queue. ``mailbox``: where outcomes go, if they are not saved together with it."""

    def __init__(self, config: PoolConfig, queue: SharedQueue, mailbox: Mailbox | None) -> None:
        self._config = config
        self._queue = queue
        self._mailbox = mailbox

    async def run(self, now: float) -> bool:
        """Take over what there is, and say whether there was anything. Raises ``StoreUnavailable``.

        If that happens in the midst of it, this host holds tasks that it does not know of until it reads its lot again.
        """
        any_at_all = False
        while orphans := await self._queue.adopt_orphans():
            any_at_all = True
            changed: list[ScheduledTask] = []
            delivered: list[Delivery] = []
            for task, mailbox in orphans:
                command = _after_loss(self._config, task, now)
                if isinstance(command, Enqueue):
                    changed.append(command.task)
                else:
                    delivered.append(delivery_of(task, mailbox, command.outcome, now))
            _log.warning("took over %d tasks of hosts whose lease lapsed", len(orphans))
            if self._mailbox is not None and delivered:
                await self._mailbox.deliver(delivered)
            removed = [delivery.task_id for delivery in delivered]
            await self._queue.commit(Batch(changed=changed, removed=removed, delivered=delivered))
        return any_at_all


def _after_loss(config: PoolConfig, task: ScheduledTask, now: float) -> Enqueue | Deliver:
    """What the scheduler's rules make of a run whose host died: another attempt, or its end."""
    scheduler = Scheduler.restore(config, [task], Checkpoint(now=now))
    command = scheduler.step(Finished(task.id, task.epoch, HOST_DIED, now))[0]
    assert isinstance(command, Enqueue | Deliver)
    return command
