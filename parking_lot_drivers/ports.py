"""The ports: what the pool asks of a queue, a mailbox and an executor.

A queue and a mailbox are configured separately. Each belongs to one pool. Everything that the pool saves arrives as one
``Batch``; a store keeps all of it or nothing. Every implementation passes the contract that ``testing`` holds.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

import attrs

from parking_lot_core import Checkpoint, MailboxKey, OutcomeStatus, ScheduledTask, TaskMetadata
from parking_lot_drivers.errors import ConfigError

_Self = TypeVar("_Self")


@attrs.frozen
class StoredTask:
    """A task with what the scheduler does not look at: its encoded payload and the mailbox its outcome goes to."""

    task: ScheduledTask
    payload: bytes
    mailbox: MailboxKey


@attrs.frozen(kw_only=True)
class Delivery:
    """A terminal outcome on its way to a mailbox. Times in seconds since the Unix epoch; ``result`` is encoded."""

    task_id: str
    epoch: int
    mailbox: MailboxKey
    status: OutcomeStatus
    error: str | None = None
    result: bytes | None = None
    submitted_at: float
    started_at: float | None = None
    finished_at: float


@attrs.frozen
class Message:
    """A delivery as it lies in a mailbox. ``cursor`` grows with every message of a pool's mailbox (≥ 1)."""

    cursor: int
    delivery: Delivery


@attrs.frozen(kw_only=True)
class Batch:
    """Everything that one turn of the driver loop must make durable, in one transaction.

    Attributes:
        added: tasks that the queue does not have yet, as they stand at the end of the batch.
        changed: tasks that the queue has, with their new scheduling state (started, stopping, parked again).
        removed: ids of tasks that the queue has and must drop, payload and all.
        delivered: outcomes for the mailbox (see ``TaskQueue.adopt``).
        answered: numbers of the requests from other processes that this batch answers; they are dropped.
        checkpoint: the scheduler's own state after the batch.
        claimed: like ``changed``: tasks of a shared queue that waited there, and are started (see ``SharedQueue``).
    """

    added: Sequence[StoredTask] = ()
    claimed: Sequence[ScheduledTask] = ()
    changed: Sequence[ScheduledTask] = ()
    removed: Sequence[str] = ()
    delivered: Sequence[Delivery] = ()
    answered: Sequence[int] = ()
    checkpoint: Checkpoint | None = None


@attrs.frozen
class SetAside:
    """A row that could not be decoded at recovery. It is kept in the store, out of the way."""

    task_id: str
    reason: str


@attrs.frozen(kw_only=True)
class Loaded:
    """What a queue holds at recovery: tasks with their mailboxes (payloads stay in the store)."""

    tasks: Sequence[tuple[ScheduledTask, MailboxKey]] = ()
    checkpoint: Checkpoint | None = None
    set_aside: Sequence[SetAside] = ()


@attrs.frozen(kw_only=True)
class Request:
    """What a process that does not schedule this lot asks of the one that does. ``task`` unset: cancel ``task_id``."""

    number: int
    task_id: str
    at: float
    task: TaskMetadata | None = None
    payload: bytes = b""
    mailbox: MailboxKey = MailboxKey()


@attrs.frozen(kw_only=True)
class Host:
    """A process that schedules a lot: its id on its machine, and when its lease was last renewed.

    ``id`` is how it is called in a lot that several hosts schedule, and in its audit trail; else empty.
    """

    pid: int
    hostname: str
    renewed_at: float
    id: str = ""


@attrs.frozen(kw_only=True)
class Overview:
    """A lot as another process sees it: ``running`` includes stopping tasks, ``waiting`` is the first parked ones."""

    parked: int
    running: Sequence[ScheduledTask]
    waiting: Sequence[ScheduledTask]
    requests: int
    set_aside: int
    outcomes: int
    checkpoint: Checkpoint | None
    host: Host | None


class Mailbox(abc.ABC):
    """Keeps terminal outcomes for clients that may have gone away. Reading destroys nothing."""

    #: Outcomes older than so many seconds are to be pruned; ``None``: none ever. Whoever runs the pool sees to it.
    ttl: float | None = None

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect, and create what is missing. Raises ``StoreError``."""

    @abc.abstractmethod
    async def deliver(self, deliveries: Sequence[Delivery]) -> None:
        """Keep the outcomes, in order, in one transaction. The first outcome of a task stays; later ones are dropped.

        Raises ``StoreUnavailable``, and then nothing was kept.
        """

    @abc.abstractmethod
    async def get(self, task_id: str) -> Message | None:
        """The outcome of one task, if it has one."""

    @abc.abstractmethod
    async def ended(self, task_ids: Sequence[str]) -> set[str]:
        """Those of the tasks that have an outcome."""

    @abc.abstractmethod
    async def fetch(self, key: MailboxKey, *, after: int = 0, limit: int = 100) -> list[Message]:
        """Messages of one box with ``cursor > after``, oldest first, at most ``limit`` (≥ 1)."""

    @abc.abstractmethod
    async def prune(self, *, older_than: float) -> int:
        """Delete the outcomes of tasks that ended more than so many seconds ago; how many there were.

        Cursors go on as if they were still there. Any process may do this at any time. Raises ``StoreUnavailable``;
        then some may be gone.
        """

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Release what was opened. Safe to call twice, and without ``open``."""


#: Makes a task of a submission, given numbers and fair-share tags, and how many tasks the lot holds. Also returns the
#: finish tags of tenants to be kept, if there are any.
Admit: TypeAlias = Callable[[Checkpoint, int], tuple[StoredTask, Checkpoint | None]]


@attrs.frozen(kw_only=True)
class Need:
    """What a submission in a transaction of the caller's needs to know.

    Attributes:
        once: whether the caller has chosen the id, so that it may be taken, or have an outcome.
        count: how far the tasks of the lot are to be counted; ``None``: not at all.
        shares: whether the fair-share tags are wanted.
    """

    once: bool
    count: int | None
    shares: bool


class TaskQueue(abc.ABC):
    """Keeps the tasks of one pool that have no outcome yet."""

    @abc.abstractmethod
    async def open(self, *, schedule: bool = True) -> None:
        """Connect, create what is missing and, with ``schedule``, take the lease.

        Raises ``StoreInUse``, ``StoreTooNew``, ``NotALot`` or ``StoreUnavailable``.
        """

    @abc.abstractmethod
    def adopt(self, mailbox: Mailbox) -> bool:
        """Whether ``save`` keeps ``Batch.delivered`` in ``mailbox`` in the same transaction from now on.

        False where they do not share a database: then the pool delivers first and saves the rest second.
        """

    @abc.abstractmethod
    async def load(self) -> Loaded:
        """Everything saved. Rows that cannot be decoded are set aside first, and reported."""

    @abc.abstractmethod
    async def save(self, batch: Batch) -> None:
        """Make the batch durable, in one transaction.

        Raises ``StoreUnavailable`` if nothing of it was kept, or if that cannot be known; the pool then loads again.
        """

    @abc.abstractmethod
    async def payloads(self, task_ids: Sequence[str]) -> dict[str, bytes]:
        """Encoded payloads by task id. Ids that the queue does not have are missing from the answer."""

    @abc.abstractmethod
    async def get(self, task_id: str) -> ScheduledTask | None:
        """One task, if the queue has it."""

    @abc.abstractmethod
    async def post(self, request: Request) -> int:
        """From a process that does not schedule: keep the request durably, and return the number it was given."""

    async def post_all(self, requests: Sequence[Request]) -> None:
        """The same for several requests; in one transaction, where the store has transactions."""
        for request in requests:
            await self.post(request)

    def submit_in(self, connection: Any, request: Request, admit: Admit, need: Need) -> bool:  # noqa: ARG002
        """Keep a submission in a transaction of the caller's.

        ``connection`` is SQLAlchemy's ``Connection`` or ``Session``. The queue need not be open. Returns False if the
        id is taken, and ``need.once``. Raises ``ConfigError`` for a queue that is in no database, ``InvalidTask`` for a
        connection to another one, ``SchemaMissing``, what ``admit`` raises, and what SQLAlchemy raises.
        """
        raise ConfigError("this queue is in no database, so that no transaction of yours can have a part in it")

    @abc.abstractmethod
    async def requests(self, *, after: int = 0, limit: int = 1000) -> list[Request]:
        """Requests not yet answered with ``number > after``, oldest first, at most ``limit`` (≥ 1)."""

    @abc.abstractmethod
    async def wait_for_requests(self) -> None:
        """Return when there may be new requests; cancelled by the pool when it stops."""

    @abc.abstractmethod
    async def overview(self, *, limit: int = 20) -> Overview:
        """The lot as another process sees it."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Give the lease back and release what was opened. Safe to call twice, and without ``open``."""


class Interruption:
    """A flag that any thread may look at or wait for: a ``threading.Event`` that is cheap until it is used."""

    __slots__ = ("_event", "_set")

    def __init__(self) -> None:
        self._set = False
        self._event: threading.Event | None = None

    def set(self) -> None:
        """The task should stop."""
        self._set = True
        if self._event is not None:
            self._event.set()

    def is_set(self) -> bool:
        """Whether the task should stop."""
        return self._set

    def wait(self, timeout: float | None = None) -> bool:
        """Block this thread until the task should stop, for ``timeout`` seconds at most. Returns whether it should."""
        with _making_event:
            self._event = self._event or threading.Event()
        return self._set or self._event.wait(timeout)


_making_event = threading.Lock()


@attrs.define(eq=False)
class TaskContext:
    """What a running task may know of itself; ``parking_lot_drivers.current_task()`` returns it inside the task.

    Attributes:
        task_id: the task's id.
        epoch: the number of this start.
        attempt: which attempt this is (≥ 1).
        device: the device that it was started on.
        units: the units it holds there.
        interrupted: set when the task should stop. Functions in threads must look at it: a thread cannot be killed.
    """

    task_id: str
    epoch: int
    attempt: int
    device: str
    units: int
    interrupted: Interruption = attrs.field(factory=Interruption)


class WorkerLost(Exception):
    """An executor's worker died under the task (its process crashed or was killed by someone else)."""


class PermanentFailure(Exception):
    """Raised by a task, or an executor, for a failure that another attempt cannot mend: it is not retried."""


class TaskRaised(Exception):
    """The task's function raised where its exception cannot travel on (a worker process) or must not (``SystemExit``).

    The message holds the exception's type and message; ``__notes__`` holds its traceback as text, where there is one.
    """


#: The most characters of an error that are kept.
FAILURE_TEXT_MAX = 10_000


def failure_text(error: BaseException) -> str:
    """What an outcome says about an attempt that raised ``error``: its type and message, as in ``ValueError: bad``.

    ``TaskRaised``, ``WorkerLost`` and ``PermanentFailure`` speak for themselves: only their message is given.
    """
    try:
        message = str(error)
    except Exception:  # the exception is the user's own class
        message = "(its message cannot be printed)"
    if message and type(error) in (TaskRaised, WorkerLost, PermanentFailure):
        text = message
    else:
        text = f"{type(error).__qualname__}: {message}" if message else type(error).__qualname__
    return text if len(text) <= FAILURE_TEXT_MAX else text[:FAILURE_TEXT_MAX] + " (cut)"


class TaskExecutor(abc.ABC):
    """Runs tasks. Used as an async context manager for as long as the pool runs.

    ``execute`` returns the result (something the codec can encode) or raises: ``WorkerLost`` when the worker died,
    ``PermanentFailure`` when no further attempt can help, anything else for an ordinary failure. It must not return
    or raise before the task has really stopped, because the task's units are released then.
    """

    #: Whether cancelling ``execute`` stops the task. If not, the pool only sets ``TaskContext.interrupted`` and waits.
    cancellable: bool = True

    async def __aenter__(self: _Self) -> _Self:
        """Start what tasks need."""
        return self

    async def __aexit__(self, *_: object) -> None:  # noqa: B027
        """Stop it."""

    @abc.abstractmethod
    async def execute(self, payload: object, context: TaskContext) -> object:
        """Run one task to its end."""
