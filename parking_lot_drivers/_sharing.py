"""This host's part in a queue that several hosts schedule.

The loop decides, saves and acts as ever. What is different is here:

- *before it decides*: submissions pass a ``Gate`` that numbers them for all hosts;
- *after it has saved*: what another host was faster with is taken back (``settle``);
- *beside it* (``watch``): the window of waiting tasks is read when there is news and at intervals, and what is in it is
  offered to the scheduler; tasks whose host died are taken over; outcomes of tasks that run elsewhere are fetched.

A start that loses its race never began: the scheduler hears ``Withdrawn``. A run that this host no longer holds,
because its lease had lapsed, is a *stray*: it is stopped, it keeps its units until it has really ended, and its outcome
is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import anyio

from parking_lot_core import (
    Cancelled,
    CapacityChanged,
    Checkpoint,
    Finished,
    MailboxKey,
    OutcomeStatus,
    PoolConfig,
    ScheduledTask,
    TaskState,
    Tick,
    Withdrawn,
)
from parking_lot_drivers._elsewhere import Elsewhere
from parking_lot_drivers._gate import LAST, Gate, Rank, rank
from parking_lot_drivers._takeover import Takeover
from parking_lot_drivers._ticket import Ticket
from parking_lot_drivers._turn import Ask, Input, Live, Offer, Plan, Word
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Mailbox, Request
from parking_lot_drivers.shared_ports import Loss, News, SharedQueue, Window

if TYPE_CHECKING:
    from parking_lot_drivers._loop import Loop

_log = logging.getLogger("parking_lot")

#: How many ready tasks a host looks at; more than most hosts can start at once, and few enough to read in milliseconds.
WINDOW = 256

#: How many submissions one turn admits: as many as the queue numbers at once.
ASKS_PER_TURN = 1000

_PAUSE_S = 0.5

# For how long a task is left to the host that is to start it first: while this host has tasks of its own, or has none.
_GRACE_S = 0.5
_GRACE_HUNGRY_S = 0.005
#: How often a host looks at everything, however much news there is: nobody tells when a lease lapses.
_ROUTINE_S = 1.0

# How many numbers are drawn at the least, and for how long they may be kept.
_NUMBERS_LEAST = 100
_NUMBERS_S = 0.005

# With less room than this, the lot is counted before anything is admitted.
_ROOM_LEAST = 1000

_FIRST: Rank = (float("-inf"), 0, 0)


class Sharing:
    """What one host knows of the shared queue, and does for it beside its own tasks."""

    def __init__(self, loop: Loop, config: PoolConfig, queue: SharedQueue, mailbox: Mailbox) -> None:
        self._loop = loop
        self._config = config
        self._queue = queue
        self.elsewhere = Elsewhere(queue, mailbox)
        self._takeover = Takeover(config, queue, None if loop.together else mailbox)
        # What the latest window showed: its last rank where more wait beyond it, and how many tasks the lot holds.
        self._until: Rank = LAST
        self.depth = 0
        # How many turns there were, and how many when the look began that found this depth.
        self._acts = 0
        self._acts_seen = -1
        self._hungry: anyio.Event | None = None
        self._stale = False
        # Tasks that were cancelled here while they waited, at the moment when another host started them.
        self._cancel_there: list[str] = []
        # Sequence numbers that are left of those drawn last, and until when they may be used.
        self._numbers = (0, 0)
        self._numbers_until = 0.0
        # Whether units come free when others' tasks end.
        self._shares_budget = False
        # Since when tasks that are other hosts' to start first have been seen waiting, and when to look at them again.
        self._seen: dict[str, float] = {}
        self._look_at: float | None = None
        self._routine_at = 0.0
        self._scope: anyio.CancelScope | None = None
        self._stopped = False
        # The id under which this host held tasks when it last read the lot.
        self._host = ""
        #: Units by device, as last measured here: what others hold of a shared budget is taken from that.
        self.measured: dict[str, int] = {}
        #: Ends that came too late: the task had been given to others.
        self.stale_finishes = 0
        #: Starts that another host, or the shared budget, was faster with.
        self.lost_starts = 0

    # -- before a turn -------------------------------------------------------------------------------------------

    async def gate(self, inputs: list[Input], now: float) -> tuple[list[Input], Gate | None]:
        """The inputs to decide on now, and the gate for the submissions among them; the others wait for a turn."""
        asks = [given for given in inputs if isinstance(given, Ask)]
        lobby = self._loop.lobby
        if not asks and not (lobby and self._room > 0):
            return inputs, None
        if len(asks) > ASKS_PER_TURN:
            later = set(map(id, asks[ASKS_PER_TURN:]))
            self._loop.put_back([given for given in inputs if id(given) in later])
            inputs = [given for given in inputs if id(given) not in later]
        count = min(ASKS_PER_TURN, len(asks) + len(lobby))
        if self._room < count + _ROOM_LEAST:  # so near the limit, what was counted some time ago will not do
            self.depth = await self._queue.depth(self._config.max_queue_depth)
        scheduler = self._loop.admission.scheduler
        reserved = await self._reserve(count)
        until = self._until if scheduler.queue_depth < 2 * WINDOW else min(self._until, _FIRST)
        gate = Gate(
            self._config,
            reserved,
            scheduler.devices,
            largest=scheduler.largest_device,
            room=min(self._room, count),
            until=until,
            now=now,
        )
        return inputs, gate

    async def _reserve(self, count: int) -> Checkpoint:
        """Numbers, and tags, for so many tasks.

        Where there are no tags, what is left of numbers that were drawn just now will do: a task of another host that
        came in between ranks behind these, though it was a few milliseconds earlier.
        """
        first, end = self._numbers
        if self._config.tenants or anyio.current_time() >= self._numbers_until or first + count > end:
            drawn = max(count, _NUMBERS_LEAST)
            reserved = await self._queue.reserve(drawn)
            self._numbers_until = anyio.current_time() + _NUMBERS_S
            first, end = reserved.next_sequence, reserved.next_sequence + drawn
        else:
            reserved = Checkpoint(next_sequence=first)
        self._numbers = (first + count, end)
        return reserved

    @property
    def _room(self) -> int:
        return self._config.max_queue_depth - self.depth

    # -- after a turn --------------------------------------------------------------------------------------------

    def settle(self, plan: Plan, lost: Mapping[str, Loss]) -> list[Word]:
        """Take what was lost out of a plan that is to be acted upon. Returns what the scheduler must hear of it."""
        words = []
        now = self._loop.admission.scheduler.now
        refused = {ask.metadata.id for ask in plan.admitted if lost.get(ask.metadata.id) is Loss.DUPLICATE}
        started = {start.task.id for start in plan.starts}
        for task_id in lost:
            live = plan.touched.pop(task_id, None)
            if live is None:
                continue
            if self._loop.admission.live.get(task_id) is not live:
                self._lose_end(plan, task_id, live)
            elif live.held and task_id not in started and live.task.state is not TaskState.PARKED:
                live.stray = True
                words.append(Word(Cancelled(task_id, now)))
            else:
                self.lost_starts += task_id in started
                words.append(Word(Withdrawn(task_id, live.task.epoch, now)))
        plan.starts[:] = [start for start in plan.starts if start.task.id not in lost]
        plan.duplicates += [ask for ask in plan.admitted if ask.metadata.id in refused]
        plan.admitted[:] = [ask for ask in plan.admitted if ask.metadata.id not in refused]
        self.look_soon()
        return words

    def _lose_end(self, plan: Plan, task_id: str, live: Live) -> None:
        self.stale_finishes += live.held
        for ticket, delivery in plan.ended:
            if delivery.task_id == task_id:
                plan.ended.remove((ticket, delivery))
                if not live.held and delivery.status is OutcomeStatus.CANCELLED:
                    self._cancel_there.append(task_id)
                break
        plan.left.append(live.ticket)

    def acted(self, plan: Plan) -> None:
        """A turn has been acted upon: keep count, follow what left this host, and see whether more tasks are wanted."""
        self.depth += len(plan.admitted) - len(plan.ended)
        self._acts += 1
        self.stale_finishes += plan.stale
        live = self._loop.admission.live
        for ticket in plan.left:
            if ticket.task_id not in live:  # unless the same turn was offered the task again
                self.elsewhere.follow(ticket)
        if plan.outside:
            self._until = min(self._until, min(rank(stored.task) for stored in plan.outside))
        scheduler = self._loop.admission.scheduler
        idle = not scheduler.queue_depth and not scheduler.running_count
        if idle or (self._until != LAST and scheduler.queue_depth < WINDOW // 2):
            self.look_soon()

    @property
    def empty(self) -> bool:
        """Whether nothing is parked or running on any host, by a look that began after this host's latest turn."""
        return self.depth <= 0 and self._acts == self._acts_seen

    def strays(self, held: Sequence[ScheduledTask]) -> list[Live]:
        """What runs here, though the queue says that this host does not hold it."""
        known = {task.id for task in held}
        alive = self._loop.runs.starts()
        return [
            live
            for task_id, live in self._loop.admission.live.items()
            if task_id not in known and (task_id, live.task.epoch) in alive
        ]

    def count_stale(self, inputs: Sequence[Input]) -> None:
        """The lot was read again. Ends among ``inputs``, which are not saved, come too late if the lease was lost."""
        before, self._host = self._host, self._queue.host
        if before != self._host:
            words = [given.event for given in inputs if isinstance(given, Word)]
            ends = [event.outcome.status for event in words if isinstance(event, Finished)]
            self.stale_finishes += len(ends) - ends.count(OutcomeStatus.RETURNED)

    def recovered(self, gone: Sequence[Ticket]) -> None:
        """The lot was read again: what this host does not hold may be anywhere, or was never saved."""
        for ticket in gone:
            self.elsewhere.follow(ticket, doubtful=True)
        self._until = _FIRST  # until the window has been read, nobody here knows what waits
        self.look_soon()

    def look_soon(self) -> None:
        """Read the window without waiting for news."""
        self._stale = True
        if self._hungry is not None:
            self._hungry.set()

    # -- beside the turns ----------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End ``watch``."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    async def begin(self) -> None:
        """See what waits, before the pool is open. Raises ``StoreUnavailable``."""
        await self._take_over()
        await self._read_window()

    async def watch(self) -> None:
        """Run until ``stop``."""
        news = News.ROUTINE
        with anyio.CancelScope() as self._scope:
            while not self._stopped:
                try:
                    await self._look(news)
                    news = await self._news()
                    if anyio.current_time() >= self._routine_at:
                        news |= News.ROUTINE
                except StoreUnavailable as error:
                    _log.warning("the shared queue cannot be read now: %s", error)
                    # The pool shall say so; and if that was in the midst of taking tasks over, this host may hold some
                    # that it does not know of.
                    self._loop.read_again(error)
                    await anyio.sleep(_PAUSE_S)
                    news = News.ROUTINE

    async def _news(self) -> News:
        """Wait for news from outside, or until this host has too few tasks to choose from."""
        if self._stale and self._loop.accepting:  # a host that is stopping reads no window, however stale it is
            return News.WORK
        news = News.WORK
        self._hungry = anyio.Event()
        async with anyio.create_task_group() as group:

            async def hear() -> None:
                nonlocal news
                news = await self._queue.wait_for_news()
                group.cancel_scope.cancel()

            group.start_soon(hear)
            pause = None if self._look_at is None else max(0.0, self._look_at - anyio.current_time())
            with anyio.move_on_after(pause):
                await self._hungry.wait()
            group.cancel_scope.cancel()
        self._hungry = self._look_at = None
        return news

    async def _look(self, news: News) -> None:
        if not self._loop.accepting:
            news &= ~News.WORK
        while self._cancel_there:
            request = Request(number=0, task_id=self._cancel_there[-1], at=self._loop.clock.now())
            await self._queue.post(request)
            self._cancel_there.pop()
        if News.LEASE in news:
            self._loop.read_again(StoreUnavailable("the lease of this host has lapsed: others may have its tasks"))
        if News.ROUTINE in news:
            self._routine_at = anyio.current_time() + _ROUTINE_S
            await self._take_over()
        if News.WORK in news or (self._shares_budget and News.OUTCOMES in news):
            await self._read_window()
        if News.OUTCOMES in news:
            await self.elsewhere.look(all_there=News.ROUTINE not in news)
        if News.REQUESTS in news:
            await self._hear_requests()

    async def _take_over(self) -> None:
        if await self._takeover.run(self._loop.clock.now()):
            self.look_soon()

    async def _read_window(self) -> None:
        self._stale = False
        loop, acts = self._loop, self._acts
        admission, turn = loop.admission, loop.admission.turn_saved
        free = max((device.free for device in admission.scheduler.devices), default=0)
        departed = admission.departed = admission.ending.ids()
        try:
            window = await self._queue.window(WINDOW, free=free)
        finally:
            admission.departed = None
        if admission is not loop.admission:
            return  # it was read again meanwhile, and there is another scheduler
        loop.note_set_aside(window.set_aside)
        depth = window.depth
        if depth and not admission.live and not window.tasks and not window.others:
            depth = await self._queue.depth(1)  # the window's own count may be a little old
        self.depth, self._acts_seen = depth, acts
        self._shares_budget = window.held_elsewhere is not None
        ranks = [rank(task) for task, _ in window.tasks if task.ready_at is None]
        self._until = LAST if window.complete else max(ranks, default=_FIRST)
        tasks = [*window.tasks, *self._adopted(window, hungry=free > 0)]
        offers = [pair for pair in tasks if pair[0].id not in departed and pair[0].id not in admission.live]
        shown = {task.id for task, _ in (*window.tasks, *window.others)}
        words: list[Input] = [*self._capacities(window), *self._gone(window, shown, turn)]
        words += [Offer(*pair) for pair in offers]
        if loop.lobby and self._room > 0 and not words:
            words.append(Word(Tick(admission.scheduler.now)))
        for word in words:
            loop.put(word)
        loop.announce()

    def _adopted(self, window: Window, *, hungry: bool) -> list[tuple[ScheduledTask, MailboxKey]]:
        """Those that are other hosts' to start first, and that this host may start all the same.

        They have a higher priority than any of its own; or they have been seen waiting for a while: a short one if this
        host has nothing else to do.
        """
        now = anyio.current_time()
        seen, self._seen = self._seen, {}
        best = max((task.metadata.priority for task, _ in window.tasks), default=None)
        grace = _GRACE_S if best is not None or not hungry else _GRACE_HUNGRY_S
        adopted = []
        for task, mailbox in window.others:
            since = self._seen[task.id] = seen.get(task.id, now)
            if now - since >= grace or (best is not None and task.metadata.priority > best):
                adopted.append((task, mailbox))
        if hungry and len(adopted) < len(window.others):
            self._look_at = now + grace
        return adopted

    def _capacities(self, window: Window) -> list[Word]:
        if window.held_elsewhere is None or not self._loop.accepting:
            return []
        scheduler = self._loop.admission.scheduler
        known = {device.name: device.capacity for device in scheduler.devices}
        wanted = {
            device: max(0, min(units, self.measured.get(device, units)) - window.held_elsewhere.get(device, 0))
            for device, units in self._config.budgets.items()
        }
        return [
            Word(CapacityChanged(device, units, scheduler.now))
            for device, units in wanted.items()
            if known.get(device) != units
        ]

    def _gone(self, window: Window, shown: set[str], turn: int) -> list[Word]:
        """Parked tasks that the window does not show any more: others have them, or they rank too low to matter."""
        now = self._loop.admission.scheduler.now
        return [
            Word(Withdrawn(task_id, live.task.epoch, now))
            for task_id, live in self._loop.admission.live.items()
            if live.task.state is TaskState.PARKED
            and live.stored
            and live.turn <= turn
            and task_id not in shown
            and (live.task.ready_at is None or live.task.ready_at <= window.until)
        ]

    async def _hear_requests(self) -> None:
        for request in await self._queue.requests():
            if request.number not in self._loop.requests:
                await self._hear(request)

    async def _hear(self, request: Request) -> None:
        """A cancellation is for the host that holds the task; whoever is first may cancel a task that waits."""
        loop, now = self._loop, self._loop.clock.now()
        if request.task is not None:
            if await loop.knows(request.task_id):
                loop.put(Word(Tick(now), request.number))  # the same key was submitted before: same task, same answer
            else:
                loop.put(Ask(request.task, request.payload, request.mailbox, Ticket(request.task_id), request.number))
            return
        if request.task_id not in loop.admission.live:
            found = await self._queue.find(request.task_id)
            if found is not None and found[0].state is not TaskState.PARKED:
                return  # whoever holds it hears of it, too
            if found is not None:
                loop.put(Offer(*found))
        loop.put(Word(Cancelled(request.task_id, now), request.number))
