"""The driver loop: decide, save, act.

1. Take every input that has arrived.
2. ``Admission.decide`` steps each one.
3. Save the batch, in one transaction.
4. Only then act: acknowledge submitters, start executors, wake waiters.
5. Go round. What arrived during 3 is the next batch: under load, one flush of the disk serves hundreds of tasks.

If saving fails, nothing is acted upon, and the lot is read again from the store. That is also how a pool starts: there
is one way to begin, and it is recovery.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence

import anyio
from anyio.abc import TaskGroup

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Finished,
    Outcome,
    OutcomeStatus,
    PoolConfig,
    RejectReason,
    Scheduler,
    Start,
    Tick,
)
from parking_lot_drivers._admission import Admission
from parking_lot_drivers._lobby import Lobby
from parking_lot_drivers._payloads import Payloads
from parking_lot_drivers._recovery import NEVER_BEGAN, Memory, news, read_lot, rebuild, settle
from parking_lot_drivers._runs import Runs
from parking_lot_drivers._sharing import Sharing
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask, Input, Plan, Word
from parking_lot_drivers.clock import Clock
from parking_lot_drivers.errors import DuplicateTask, PoolClosed, QueueFull, StoreUnavailable, SubmitError, TaskTooLarge
from parking_lot_drivers.ports import Batch, Loaded, Mailbox, Message, SetAside, TaskExecutor, TaskQueue
from parking_lot_drivers.shared_ports import SharedQueue

_log = logging.getLogger("parking_lot")

_REREAD_DELAY_S = 0.05
_REREAD_DELAY_MAX_S = 2.0
_FAILURES_AT_STOP_MAX = 5


class Loop:
    """Owns the scheduler of one pool from its recovery until its stop."""

    def __init__(
        self, config: PoolConfig, executor: TaskExecutor, queue: TaskQueue, mailbox: Mailbox, clock: Clock
    ) -> None:
        self._config = config
        self._queue = queue
        self._mailbox = mailbox
        self.together = queue.adopt(mailbox)
        self.clock = clock
        self._inputs: list[Input] = []
        self._asked: list[Ask] = []
        self._payloads = Payloads(queue)
        self._wake: anyio.Event | None = None
        self._turned: anyio.Event | None = None
        self._leaving = False
        # How often in a row the store has failed, and how often it may: not at all at the start, some at the end.
        self._failures = 0
        self._failures_max: float = 0
        #: Set when ``run`` has ended.
        self.ended = anyio.Event()
        #: Callers, and requests of other processes, that wait for room; first come, first served.
        self.lobby = Lobby()
        self.runs = Runs(executor, self._run_ended, self.stop_starting)
        self.admission = Admission(Scheduler(config), self.lobby)
        #: Numbers of the requests of other processes that are being dealt with.
        self.requests: set[int] = set()
        self.accepting = True
        self.degraded: StoreUnavailable | None = None
        self.set_aside: Sequence[SetAside] = ()
        self.outcomes: Counter[OutcomeStatus] = Counter()
        #: This host's part in a queue that others schedule too; ``None`` where the queue is this pool's alone.
        self.sharing = Sharing(self, config, queue, mailbox) if isinstance(queue, SharedQueue) else None
        self._doubt: StoreUnavailable | None = None

    # -- input ---------------------------------------------------------------------------------------------------

    def put(self, given: Input) -> None:
        """Hand the loop something to decide in its next turn."""
        self._inputs.append(given)
        if given.request is not None:
            self.requests.add(given.request)
        self._rouse()

    def put_back(self, inputs: Sequence[Input]) -> None:
        """Leave inputs for the next turn, before all that arrive."""
        self._inputs[:0] = inputs

    def read_again(self, reason: StoreUnavailable) -> None:
        """Take the lot from the store again before anything else is decided, because what is known may be wrong."""
        self._doubt = reason
        self._rouse()

    def note_set_aside(self, rows: Sequence[SetAside]) -> None:
        """Report stored tasks that could not be read."""
        for row in rows:
            _log.error("a stored task could not be read and was set aside: %s: %s", row.task_id, row.reason)
        self.set_aside = (*self.set_aside, *rows)

    def stop_starting(self) -> None:
        """From the next turn on nothing new is admitted or started; what runs may finish."""
        self.accepting = False
        for ask in self.lobby.close():
            ask.ticket.refuse(_no_room_any_more())
        now = self.clock.now()
        for device in self.admission.scheduler.devices:
            self.put(Word(CapacityChanged(device.name, 0, now)))

    def leave(self) -> None:
        """End ``run`` as soon as nothing runs any more and every end is saved."""
        self._leaving = True
        self._failures = 0  # those of before say nothing of whether the end can be saved
        self._failures_max = _FAILURES_AT_STOP_MAX
        self._rouse()

    def forget(self, ask: Ask) -> None:
        """The caller gave up waiting: a submission that is not admitted yet is dropped."""
        if ask in self.lobby:
            self.lobby.leave(ask)
        elif ask in self._inputs:
            self._inputs.remove(ask)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a turn ends with the condition true. Raises ``PoolClosed`` if the loop ends before that."""
        while not condition():
            if self.ended.is_set():
                raise PoolClosed("the pool stopped")
            self._turned = self._turned or anyio.Event()
            await self._turned.wait()

    async def find(self, task_id: str) -> Ticket | Message | None:
        """The task's ticket, or its outcome, or nothing if the lot has never heard of it. Raises ``StoreError``."""
        while True:
            admission = self.admission
            ticket = admission.find(task_id)
            if ticket is not None:
                return ticket
            with admission.ending.looking():
                # First the queue: a task moves from there to the mailbox, whoever has it.
                elsewhere = await self._find_elsewhere(task_id)
                message = None if elsewhere is not None else await self._mailbox.get(task_id)
                ticket = self.admission.find(task_id) or elsewhere
            if ticket is not None or message is not None or admission is self.admission:
                return ticket or message

    async def knows(self, task_id: str) -> bool:
        """Whether the lot has, or had, this task for good: also one that is just being saved, if that succeeds.

        Raises ``StoreError``, also if it does not succeed: then nobody knows it.
        """
        found = await self.find(task_id)
        if isinstance(found, Ticket):
            try:
                await found.answered()
            except (SubmitError, PoolClosed):
                return False
        return found is not None

    async def _find_elsewhere(self, task_id: str) -> Ticket | None:
        """The ticket of a task of a shared queue that this host does not have."""
        if self.sharing is None:
            return None
        ticket = self.sharing.elsewhere.get(task_id)
        if ticket is None and await self._queue.get(task_id) is not None:
            ticket = Ticket(task_id)
            ticket.acknowledge()
            ticket = self.admission.find(task_id) or self.sharing.elsewhere.follow(ticket)
        return ticket

    @property
    def room(self) -> int:
        """How many more tasks the lot can take beside those that were asked for already."""
        depth = self.admission.scheduler.places_taken if self.sharing is None else self.sharing.depth
        asked = sum(isinstance(given, Ask) for given in self._inputs) + len(self.lobby)
        return max(0, self._config.max_queue_depth - depth - asked)

    @property
    def idle(self) -> bool:
        """Whether everything that was asked for has come to its end, and is saved."""
        return not self._inputs and self.admission.idle and (self.sharing is None or self.sharing.empty)

    # -- the loop ------------------------------------------------------------------------------------------------

    async def open(self, group: TaskGroup) -> None:
        """Recover, and start what may start. Raises ``StoreError``."""
        capacities = {device.name: device.capacity for device in self.admission.scheduler.devices}
        loaded = await read_lot(self._queue, self._mailbox, together=self.together)
        self._recover(Memory(capacities=capacities), loaded)
        if self.sharing is not None:
            await self.sharing.begin()
        with anyio.CancelScope(shield=True):  # what is saved has to be acted upon
            await self._turn(group)
        self._failures_max = math.inf

    async def run(self, group: TaskGroup) -> None:
        """Serve until ``leave``. Cancellation from outside does not stop it: the pool decides when to stop."""
        try:
            with anyio.CancelScope(shield=True):
                while not self._leaving or self.runs or self._inputs:
                    await self._sleep()
                    await self._turn(group)
                    self.announce()
        finally:
            self._dismiss()

    def announce(self) -> None:
        """Let whoever waits for something to become true look again."""
        if self._turned is not None:
            turned, self._turned = self._turned, None
            turned.set()

    async def _sleep(self) -> None:
        """Wait for an input, a deadline or the end."""
        if self._inputs or self._doubt or (self._leaving and not self.runs):
            return
        self._wake = anyio.Event()
        deadline = self.admission.scheduler.next_deadline()
        if deadline is None:
            await self._wake.wait()
        else:
            with anyio.move_on_after(max(0.0, deadline - self.clock.now())):
                await self._wake.wait()
        self._wake = None

    def _rouse(self) -> None:
        if self._wake is not None:
            self._wake.set()

    async def _turn(self, group: TaskGroup) -> None:
        inputs, self._inputs = self._inputs, []
        now = self.clock.now()
        deadline = self.admission.scheduler.next_deadline()
        if deadline is not None and deadline <= now:
            inputs.append(Word(Tick(now)))
        if self._doubt is not None:
            doubt, self._doubt = self._doubt, None
            self.put_back([given for given in inputs if not isinstance(given, Word)])
            await self._start_over([], inputs, doubt)
            return
        if not inputs:
            return
        gate = None
        if self.sharing is not None:
            try:
                inputs, gate = await self.sharing.gate(inputs, now)
            except StoreUnavailable as error:
                await self._start_over([given for given in inputs if isinstance(given, Ask)], inputs, error)
                return
        try:
            elsewhere = None if self.sharing is None else self.sharing.elsewhere
            plan = self.admission.decide(inputs, now, gate=gate, elsewhere=elsewhere)
        except BaseException:
            self._inputs[:0] = inputs  # they are told in the end that the pool has stopped
            raise
        self._asked = plan.asks
        try:
            await self._save(plan)
        except StoreUnavailable as error:
            await self._start_over(plan.asks, inputs, error)
        else:
            self.degraded = None
            self._failures = 0
            self.admission.saved(plan)
            await self._act(group, plan)
            self._asked = []

    async def _save(self, plan: Plan) -> None:
        batch = plan.batch
        if not self.together and batch.delivered:
            # Delivering twice changes nothing; removing a task whose outcome was never kept would lose it.
            await self._mailbox.deliver(batch.delivered)
        if self.sharing is None or not isinstance(self._queue, SharedQueue):
            await self._queue.save(batch)
            return
        if _is_empty(batch):
            return
        saved = await self._queue.commit(batch, fetch=self._unread(plan.starts))
        for task_id, payload in saved.payloads.items():
            self.admission.live[task_id].payload = payload
        if saved.lost:
            self._inputs[:0] = self.sharing.settle(plan, saved.lost)
        await self._tell_as_kept(plan)

    async def _tell_as_kept(self, plan: Plan) -> None:
        """Those who wait hear what the mailbox keeps: of two submissions of one key, that is the first one's outcome.

        A submission that ends in the turn that admits it never was in the queue, where the other would have been found;
        nor is it found there where the mailbox is elsewhere.
        """
        for place, (ticket, delivery) in enumerate(plan.ended):
            live = plan.touched.get(delivery.task_id)
            if self.together and live is not None and live.stored:
                continue
            kept = await self._mailbox.get(delivery.task_id)
            if kept is not None:
                plan.ended[place] = (ticket, kept.delivery)

    def _unread(self, starts: Sequence[Start]) -> list[str]:
        """Those of the tasks whose payload is not in memory."""
        live = self.admission.live
        ids = [start.task.metadata.id for start in starts]
        return [task_id for task_id in ids if live[task_id].payload is None and task_id not in self._payloads]

    def _dismiss(self) -> None:
        """Nobody will be told anything by this loop any more."""
        self.accepting = False
        self.ended.set()
        for ask in (*self.lobby.close(), *self._asked, *(given for given in self._inputs if isinstance(given, Ask))):
            ask.ticket.refuse(PoolClosed("the pool stopped before the task was saved"))
        elsewhere = [] if self.sharing is None else self.sharing.elsewhere.tickets()
        for ticket in (*self.admission.tickets().values(), *elsewhere):
            ticket.refuse(PoolClosed("the pool stopped before the task ended; a durable queue still has it"))
        self.announce()

    # -- act -----------------------------------------------------------------------------------------------------

    async def _act(self, group: TaskGroup, plan: Plan) -> None:
        self.requests.difference_update(plan.batch.answered)
        for ask in plan.admitted:
            ask.ticket.acknowledge()
        for ask, reason in plan.refused:
            ask.ticket.refuse(self._refusal(ask, reason))
        for ask in plan.duplicates:
            ask.ticket.refuse(duplicate(ask.metadata.id))
        for ticket, delivery in plan.ended:
            self._payloads.take(delivery.task_id)
            self.outcomes[delivery.status] += 1
            ticket.deliver(delivery)
        await self._start(group, plan.starts)
        for ask in plan.admitted:
            self._put_by(ask.metadata.id)
        for interrupt in plan.interrupts:
            self.runs.interrupt(interrupt.task_id, interrupt.epoch)
        if self.sharing is not None:
            for ticket in plan.left:
                self._payloads.take(ticket.task_id)
            self.sharing.acted(plan)

    async def _start(self, group: TaskGroup, starts: Sequence[Start]) -> None:
        unread = []
        for start in starts:
            task_id = start.task.metadata.id
            live = self.admission.live[task_id]
            payload = live.payload or self._payloads.take(task_id)
            live.payload = None
            if payload is None:
                unread.append(start)
            else:
                self.runs.start(group, start, payload)
        if unread:
            await self._start_stored(group, unread)

    async def _start_stored(self, group: TaskGroup, starts: Sequence[Start]) -> None:
        """Start tasks whose payload has to be read from the queue first."""
        payloads = await self._payloads.read([start.task.metadata.id for start in starts])
        for start in starts:
            task_id = start.task.metadata.id
            payload = payloads.get(task_id)
            if isinstance(payload, bytes):
                self.runs.start(group, start, payload)
            elif payload is None:
                missing = Outcome(OutcomeStatus.FAILED, "its payload is missing from the queue", retryable=False)
                self._run_ended(task_id, start.epoch, missing)
            else:
                unread = Outcome(OutcomeStatus.LOST, f"its payload could not be read: {payload}")
                self._run_ended(task_id, start.epoch, unread)

    def _put_by(self, task_id: str) -> None:
        live = self.admission.live.get(task_id)
        if live is not None and live.payload is not None:
            self._payloads.keep(task_id, live.payload)
            live.payload = None

    def _refusal(self, ask: Ask, reason: RejectReason) -> Exception:
        scheduler = self.admission.scheduler
        if reason is RejectReason.TOO_LARGE:
            return TaskTooLarge(ask.metadata.units, scheduler.largest_device)
        if reason is RejectReason.DUPLICATE:
            return duplicate(ask.metadata.id)
        if ask.waits_for_room:
            return _no_room_any_more()
        depth = scheduler.places_taken if self.sharing is None else self.sharing.depth
        return QueueFull(depth, self._config.max_queue_depth)

    def _run_ended(self, task_id: str, epoch: int, outcome: Outcome) -> None:
        self.put(Word(Finished(task_id, epoch, outcome, self.clock.now())))

    # -- recovery ------------------------------------------------------------------------------------------------

    async def _start_over(self, asks: Sequence[Ask], inputs: Sequence[Input], error: StoreUnavailable) -> None:
        """Saving failed: tell this turn's submitters, keep what only this process knows, and read the lot again."""
        _log.error("saving failed, reading the lot again: %s", error)
        self._refuse_all(asks, error)
        words = [given for given in inputs if isinstance(given, Word)]
        self.requests.difference_update(word.request for word in words if word.request is not None)
        # These words may never have been decided on: the scheduler need not know of all capacities that it was told.
        told = [word.event for word in words if isinstance(word.event, CapacityChanged)]
        memory = Memory(
            capacities={device.name: device.capacity for device in self.admission.scheduler.devices}
            | {event.device: event.units for event in told},
            tickets=self.admission.tickets(),
            # Requests are still in the inbox and will be read again; the time comes of itself.
            words=[word for word in words if word.request is None and isinstance(word.event, Finished | Cancelled)],
            unexplained=NEVER_BEGAN,
        )
        self._recover(memory, await self._read_again(error))
        untold = [ticket for ticket in memory.tickets.values() if ticket.delivery is None]
        gone = [ticket for ticket in untold if ticket.task_id not in self.admission.live]
        for ticket in gone:
            self._payloads.take(ticket.task_id)
        if self.sharing is not None:
            self.sharing.recovered(gone)
            return
        for delivery in await settle(gone, self._mailbox, error):
            self.outcomes[delivery.status] += 1

    def _recover(self, memory: Memory, loaded: Loaded) -> None:
        self.set_aside = (*self.set_aside, *loaded.set_aside)
        stray = [] if self.sharing is None else self.sharing.strays([task for task, _ in loaded.tasks])
        if self.sharing is not None:
            self.sharing.count_stale([*memory.words, *self._inputs])
        tickets = dict(memory.tickets)
        if self.sharing is not None:
            tickets |= self.sharing.elsewhere.take_all(task.id for task, _ in loaded.tasks if task.id not in tickets)
        self.admission = rebuild(self._config, loaded, self.lobby, tickets, stray)
        for live in stray:
            self.runs.interrupt(live.task.id, live.task.epoch)
        self._inputs[:0] = news(memory, loaded, self.runs, self._inputs, self.clock.now())

    async def _read_again(self, error: StoreUnavailable) -> Loaded:
        """Try until the store answers; meanwhile nobody who submits is kept waiting for long."""
        while True:
            await self._pause(error)
            try:
                return await read_lot(self._queue, self._mailbox, together=self.together)
            except StoreUnavailable as failure:
                error = failure
                self._refuse_all([given for given in self._inputs if isinstance(given, Ask)], error)
                self._inputs = [given for given in self._inputs if not isinstance(given, Ask)]

    async def _pause(self, error: StoreUnavailable) -> None:
        """Wait before the store is tried again. Raises ``error`` if it has failed too often."""
        self.degraded = error
        self._failures += 1
        if self._failures > self._failures_max:
            raise error
        await anyio.sleep(min(_REREAD_DELAY_S * 2.0 ** min(self._failures - 1, 16), _REREAD_DELAY_MAX_S))

    def _refuse_all(self, asks: Sequence[Ask], error: StoreUnavailable) -> None:
        for ask in asks:
            ask.ticket.refuse(error)
            if ask.request is not None:
                self.requests.discard(ask.request)


def duplicate(task_id: str) -> DuplicateTask:
    """The error for an id that is taken."""
    return DuplicateTask(f"task {task_id!r} is in the lot, or its outcome in the mailbox, already; choose another id")


def _no_room_any_more() -> PoolClosed:
    return PoolClosed("the pool stopped before there was room for the task")


def _is_empty(batch: Batch) -> bool:
    """Whether nothing but the clock has changed, which hosts that share a queue do not save."""
    return not (batch.added or batch.claimed or batch.changed or batch.removed or batch.delivered or batch.answered)
