"""The port of queues that several hosts schedule at the same time.

Each host has a scheduler of its own, which sees a *window* of the highest-ranked waiting tasks. It decides by the same
rules as ever. A start counts once it is committed: ``commit`` makes those parts of a batch durable that are still this
host's to make, and says which are not. A task is held by the host that started it until its end, under that host's
lease. A host whose lease lapsed holds nothing any more: others adopt its tasks, and what it says of them is refused.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Mapping, Sequence

import attrs

from parking_lot_core import Checkpoint, MailboxKey, ScheduledTask
from parking_lot_drivers.ports import Batch, Host, Loaded, SetAside, StoredTask, TaskQueue


class Loss(enum.Enum):
    """Why a part of a batch was not kept."""

    DUPLICATE = "duplicate"  # a new task whose id the queue has already
    TAKEN = "taken"  # another host, or another client of the queue, has taken or removed the task
    NO_UNITS = "no_units"  # a start for which the shared budget has no units left


class News(enum.Flag):
    """What may have changed since one last looked."""

    WORK = enum.auto()  # tasks wait
    OUTCOMES = enum.auto()  # tasks have ended
    REQUESTS = enum.auto()  # somebody asks for something
    LEASE = enum.auto()  # this host's lease lapsed: what it held, others may have
    ROUTINE = WORK | OUTCOMES | REQUESTS  # what a host looks at from time to time anyway


@attrs.frozen(kw_only=True)
class Saved:
    """What became of a batch.

    Attributes:
        lost: by task id, what was not kept. All else was.
        payloads: payloads of started tasks that the batch asked for.
    """

    lost: Mapping[str, Loss] = attrs.field(factory=dict)
    payloads: Mapping[str, bytes] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Window:
    """The waiting tasks that matter now.

    So that hosts do not race for the same tasks, each task is one host's to start first: its sequence number says
    whose. The others may start it if it has a higher priority than what they have themselves, or if it still waits
    after a while.

    Attributes:
        tasks: the highest-ranked ones that are this host's to start first, and all that become ready, or expire, before
            ``until``; with mailboxes.
        others: the highest-ranked ones that are other hosts' to start first.
        until: when the next look is due, in seconds since the Unix epoch.
        complete: whether none of this host's waits beyond these (tasks that are delayed for longer do not count).
        depth: about how many tasks the lot holds, parked and running, on all hosts.
        held_elsewhere: units by device that others hold of a shared budget; ``None`` where the budget is not shared.
        set_aside: rows that could not be decoded.
    """

    tasks: Sequence[tuple[ScheduledTask, MailboxKey]]
    until: float
    complete: bool
    depth: int
    held_elsewhere: Mapping[str, int] | None = None
    others: Sequence[tuple[ScheduledTask, MailboxKey]] = ()
    set_aside: Sequence[SetAside] = ()


@attrs.frozen(kw_only=True)
class SharedBudget:
    """Devices whose units several processes share through the database: the budget's name, and units by device."""

    name: str
    devices: Mapping[str, int]


@attrs.frozen
class AuditRecord:
    """One move of one task. Times in seconds since the Unix epoch, by the database's clock.

    Attributes:
        number: grows with time.
        move: what happened: a command of the scheduler (``Enqueue``, ``Start``, ``Interrupt``, ``Deliver``,
            ``Expire``), or ``Lapse``: the task's host was taken for dead.
        host: who did it, or who held the task when its lease lapsed.
        epoch: which start it was, or followed.
        detail: how the task ended, or why it was interrupted.
    """

    number: int
    at: float
    pool: str
    task_id: str
    tenant: str
    move: str
    host: str | None
    epoch: int
    device: str | None
    units: int
    budget: str | None
    detail: str | None


@attrs.frozen(kw_only=True)
class AuditFilter:
    """Which records are wanted; ``None`` leaves a question open.

    ``since`` and ``until`` bound the time: from the one, to just before the other.
    """

    pool: str | None = None
    task_id: str | None = None
    tenant: str | None = None
    host: str | None = None
    epoch: int | None = None
    since: float | None = None
    until: float | None = None


class SharedQueue(TaskQueue):
    """A ``TaskQueue`` that any number of hosts may have open to schedule.

    The inherited methods keep their contract: ``save`` keeps a batch whole or not at all, and ``load`` gives the whole
    queue. Scheduling hosts use ``commit`` and ``mine`` instead.
    """

    @property
    @abc.abstractmethod
    def host(self) -> str:
        """The id under which this host holds tasks. It changes when the lease was lost and taken anew."""

    @abc.abstractmethod
    async def reserve(self, count: int) -> Checkpoint:
        """A checkpoint from which a scheduler can admit ``count`` tasks.

        From ``next_sequence`` on, that many numbers are nobody else's. Fair-share tags are those of all hosts.
        """

    @abc.abstractmethod
    async def commit(self, batch: Batch, *, fetch: Sequence[str] = ()) -> Saved:
        """Make durable, in one transaction, what of the batch is this host's to make.

        A new task needs an id that is not in the queue. A start needs a task that waits, with the epoch before. Other
        changes, and ends, need a task that this host holds; or one that nobody holds. An outcome is kept only together
        with the removal of its task, if the queue had it. ``fetch``: ids of tasks whose payloads are wanted if they
        start.

        Raises ``StoreUnavailable`` if nothing was kept or that cannot be known, also when the lease has lapsed.
        """

    @abc.abstractmethod
    async def enqueue(
        self, tasks: Sequence[StoredTask], *, once: Sequence[str] = (), shares: Checkpoint | None = None
    ) -> Saved:
        """From anybody, host or not: keep new tasks that wait, in one transaction.

        Lost are those whose id the queue has, and those of the ids ``once`` that have an outcome in the mailbox that
        was adopted. ``shares``: the finish tags of tenants after these tasks. Raises ``StoreUnavailable``.
        """

    @abc.abstractmethod
    async def depth(self, limit: int) -> int:
        """How many tasks the lot holds, parked and running, on all hosts; ``limit``, if they are more than that."""

    @abc.abstractmethod
    async def window(self, limit: int, *, free: int = 0) -> Window:
        """The window, of at most ``limit`` ready tasks.

        ``free``: the most units that a device of this host has free. If more tasks wait than the window shows, and none
        that it shows is that small, it also shows the highest-ranked ones that are, as far down as the queue looks.
        """

    @abc.abstractmethod
    async def find(self, task_id: str) -> tuple[ScheduledTask, MailboxKey] | None:
        """One task as it stands, with its mailbox, whoever holds it."""

    @abc.abstractmethod
    async def mine(self) -> Loaded:
        """The tasks that this host holds. Takes the lease anew if it was lost; then there are none."""

    @abc.abstractmethod
    async def adopt_orphans(self, limit: int = 1000) -> Sequence[tuple[ScheduledTask, MailboxKey]]:
        """End the leases that have lapsed, and hold the tasks of hosts that have none, as they stand.

        Their units are free from then on. The caller decides what becomes of them, and commits it.
        """

    @abc.abstractmethod
    async def wait_for_news(self) -> News:
        """Return when something may have changed; at the latest after the period at which a host looks anyway."""

    @abc.abstractmethod
    async def hosts(self) -> list[Host]:
        """The hosts that schedule this pool at present, the longest-serving one first."""

    @abc.abstractmethod
    async def prune(self, *, older_than: float) -> Mapping[str, int]:
        """Delete archived tasks and audit records of the pool older than so many seconds; how many of each."""

    @abc.abstractmethod
    async def audit(self, wanted: AuditFilter | None = None, *, limit: int = 1000) -> Sequence[AuditRecord]:
        """The last ``limit`` records of the database's audit trail that are wanted, oldest first, of all its pools.

        Nothing, where the trail is switched off. Raises ``StoreUnavailable``, and ``ValueError`` for a limit < 1.
        """
