"""Recovery: from what the queue has to a scheduler, and the words that bring it up to date.

A pool starts this way, after a clean stop as after a crash, and goes this way again when saving failed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from parking_lot_core import (
    CapacityChanged,
    Checkpoint,
    Finished,
    MailboxKey,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    ScheduledTask,
    Scheduler,
    TaskState,
    Tick,
)
from parking_lot_drivers._admission import Admission
from parking_lot_drivers._lobby import Lobby
from parking_lot_drivers._runs import RETURNED, Runs
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Input, Live, Word
from parking_lot_drivers.errors import StoreError
from parking_lot_drivers.ports import Batch, Delivery, Loaded, Mailbox, TaskQueue
from parking_lot_drivers.shared_ports import SharedQueue

_log = logging.getLogger("parking_lot")

#: How runs end that the store knows and no process does: their host died ...
HOST_DIED = Outcome(OutcomeStatus.LOST, "its host stopped while the task was running")
#: ... or this process saved their start and never acted on it.
NEVER_BEGAN = RETURNED


@attrs.frozen(kw_only=True)
class Memory:
    """What only this process knows, and a recovery must not forget.

    Attributes:
        capacities: units by device, as last measured.
        tickets: by task id, those that somebody may be waiting on.
        words: ends of runs and cancellations that are not saved yet.
        unexplained: how runs ended that neither run here nor have their end among the words.
    """

    capacities: Mapping[str, int]
    tickets: Mapping[str, Ticket] = attrs.field(factory=dict)
    words: Sequence[Word] = ()
    unexplained: Outcome = HOST_DIED


async def read_lot(queue: TaskQueue, mailbox: Mailbox, *, together: bool) -> Loaded:
    """Load the queue. Where queue and mailbox share no transaction, finish what a crash left between the two."""
    loaded = await (queue.mine() if isinstance(queue, SharedQueue) else queue.load())
    for row in loaded.set_aside:
        _log.error("a stored task could not be read and was set aside: %s: %s", row.task_id, row.reason)
    if together or not loaded.tasks:
        return loaded
    ended = await mailbox.ended([task.id for task, _ in loaded.tasks])
    if not ended:
        return loaded
    await queue.save(Batch(removed=sorted(ended), checkpoint=loaded.checkpoint or Checkpoint()))
    return attrs.evolve(loaded, tasks=[pair for pair in loaded.tasks if pair[0].id not in ended])


def rebuild(
    config: PoolConfig, loaded: Loaded, lobby: Lobby, tickets: Mapping[str, Ticket], strays: Sequence[Live] = ()
) -> Admission:
    """A scheduler that stands where the saved one stood. Tickets that somebody waits on are kept.

    ``strays`` run here, though the queue says that this host does not hold them: they are stopping, and keep their
    units.
    """
    for stray in strays:
        stray.stray = True
        stray.task = _stopping(stray.task)
    tasks = [task for task, _ in loaded.tasks] + [stray.task for stray in strays]
    admission = Admission(Scheduler.restore(config, tasks, loaded.checkpoint or Checkpoint()), lobby)
    for task, mailbox in loaded.tasks:
        admission.live[task.id] = _live(task, mailbox, tickets.get(task.id))
    admission.live |= {stray.task.id: stray for stray in strays}
    return admission


def news(memory: Memory, loaded: Loaded, runs: Runs, arrived: Iterable[Input], now: float) -> list[Word]:
    """What the rebuilt scheduler has to hear first: capacities, then the ends of runs, then the time.

    ``arrived`` is what the loop has received since and will hear next.
    """
    words = [Word(CapacityChanged(device, units, now)) for device, units in memory.capacities.items()]
    words += memory.words
    reported = {
        (given.event.task_id, given.event.epoch)
        for given in (*memory.words, *arrived)
        if isinstance(given, Word) and isinstance(given.event, Finished)
    }
    for task, _ in loaded.tasks:
        if task.state is TaskState.PARKED or (task.id, task.epoch) in reported:
            continue
        if not runs.alive(task.id, task.epoch):
            words.append(Word(Finished(task.id, task.epoch, memory.unexplained, now)))
        elif task.state is TaskState.STOPPING:
            runs.interrupt(task.id, task.epoch)
    words.append(Word(Tick(now)))
    return words


async def settle(gone: Collection[Ticket], mailbox: Mailbox, error: StoreError) -> list[Delivery]:
    """Answer whoever waits for tasks that the queue does not have: they were never saved, or ended as is returned."""
    ended = []
    for ticket in gone:
        try:
            message = await mailbox.get(ticket.task_id)
        except StoreError as failure:
            ticket.refuse(failure)
            continue
        if message is None:
            ticket.refuse(error)
        else:
            ended.append(message.delivery)
            ticket.deliver(message.delivery)
    return ended


def _stopping(task: ScheduledTask) -> ScheduledTask:
    return ScheduledTask(
        task.metadata,
        task.sequence,
        task.tag,
        task.admitted_at,
        TaskState.STOPPING,
        task.epoch,
        task.attempts,
        None,
        task.device,
        task.started_at,
        OutcomeStatus.CANCELLED,
    )


def _live(task: ScheduledTask, mailbox: MailboxKey, before: Ticket | None) -> Live:
    ticket = Ticket(task.id) if before is None or before.ended else before
    ticket.acknowledge()
    return Live(task, mailbox, ticket, stored=True, held=task.state is not TaskState.PARKED)
