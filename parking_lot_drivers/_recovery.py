"""Recovery: from what the queue has to a scheduler, and the words that bring it up to date.

A pool starts this way, after a clean stop as after a crash, and goes this way again when saving failed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import attrs

from parking_lot_core import (
    CapacityChanged,
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
from parking_lot_drivers._admission import Admission, Live, Word
from parking_lot_drivers._runs import Runs
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers.errors import StoreError
from parking_lot_drivers.ports import Batch, Loaded, Mailbox, TaskQueue

_log = logging.getLogger("parking_lot")

#: How runs end that the store knows and no process does: their host died ...
HOST_DIED = Outcome(OutcomeStatus.LOST, "its host stopped while the task was running")
#: ... or this process saved their start and never acted on it.
NEVER_BEGAN = Outcome(OutcomeStatus.RETURNED)


@attrs.frozen(kw_only=True)
class Memory:
    """What only this process knows, and a recovery must not forget.

    Attributes:
        capacities: units by device, as last measured.
        live: tasks by id, with the tickets that somebody may be waiting on.
        words: ends of runs and cancellations that are not saved yet.
        unexplained: how runs ended that neither run here nor have their end in ``words``.
    """

    capacities: Mapping[str, int]
    live: Mapping[str, Live] = attrs.field(factory=dict)
    words: Sequence[Word] = ()
    unexplained: Outcome = HOST_DIED


async def read_lot(queue: TaskQueue, mailbox: Mailbox, *, together: bool) -> Loaded:
    """Load the queue. Where queue and mailbox share no transaction, finish what a crash left between the two."""
    loaded = await queue.load()
    for row in loaded.set_aside:
        _log.error("a stored task could not be read and was set aside: %s: %s", row.task_id, row.reason)
    if together or loaded.checkpoint is None:
        return loaded
    ran = [task.id for task, _ in loaded.tasks if task.epoch or task.metadata.start_by is not None]
    delivered = {task_id for task_id in ran if await mailbox.get(task_id) is not None}
    if not delivered:
        return loaded
    await queue.save(Batch(removed=sorted(delivered), checkpoint=loaded.checkpoint))
    return attrs.evolve(loaded, tasks=[pair for pair in loaded.tasks if pair[0].id not in delivered])


def rebuild(config: PoolConfig, loaded: Loaded, live: Mapping[str, Live]) -> Admission:
    """A scheduler that stands where the saved one stood. Tickets that somebody waits on are kept."""
    tasks = [task for task, _ in loaded.tasks]
    if loaded.checkpoint is None:
        admission = Admission(Scheduler(config))
    else:
        admission = Admission(Scheduler.restore(config, tasks, loaded.checkpoint))
    for task, mailbox in loaded.tasks:
        admission.live[task.id] = _live(task, mailbox, live.get(task.id))
    return admission


def news(memory: Memory, loaded: Loaded, runs: Runs, now: float) -> list[Word]:
    """What the rebuilt scheduler has to hear first: capacities, then the ends of runs, then the time."""
    words = [Word(CapacityChanged(device, units, now)) for device, units in memory.capacities.items()]
    words += memory.words
    reported = {(word.event.task_id, word.event.epoch) for word in memory.words if isinstance(word.event, Finished)}
    for task, _ in loaded.tasks:
        if task.state is TaskState.PARKED or (task.id, task.epoch) in reported:
            continue
        if not runs.alive(task.id, task.epoch):
            words.append(Word(Finished(task.id, task.epoch, memory.unexplained, now)))
        elif task.state is TaskState.STOPPING:
            runs.interrupt(task.id, task.epoch)
    words.append(Word(Tick(now)))
    return words


async def settle(gone: Collection[Live], mailbox: Mailbox, error: StoreError) -> None:
    """Answer whoever waits for tasks that the queue does not have: they ended, or were never saved."""
    for live in gone:
        try:
            message = await mailbox.get(live.task.id)
        except StoreError as failure:
            live.ticket.refuse(failure)
            continue
        if message is None:
            live.ticket.refuse(error)
        else:
            live.ticket.deliver(message.delivery)


def _live(task: ScheduledTask, mailbox: MailboxKey, before: Live | None) -> Live:
    ticket = Ticket(task.id) if before is None or before.ticket.ended else before.ticket
    ticket.acknowledge()
    return Live(task, mailbox, ticket, stored=True)
