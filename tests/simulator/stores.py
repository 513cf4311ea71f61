"""The lots of simulated worlds: the real stores, and names for their calls. Memory is what no process takes with it."""

from __future__ import annotations

import functools
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs

from parking_lot_core import TaskState
from parking_lot_drivers.ports import Batch, Mailbox, TaskQueue
from parking_lot_drivers.shared_ports import SharedBudget
from parking_lot_drivers.stores.memory import MemoryMailbox, MemoryQueue
from parking_lot_drivers.stores.shared_sqlite import SharedSqliteMailbox, SharedSqliteQueue
from parking_lot_drivers.stores.sql.shared_sql import Policy
from parking_lot_drivers.stores.sql.shared_sqlite_schema import SHARED_FILE
from parking_lot_drivers.stores.sql.sqlite_database import SqliteDatabase
from parking_lot_drivers.stores.sql.sqlite_schema import LOT
from parking_lot_drivers.stores.sqlite import SqliteMailbox, SqliteQueue
from tests.simulator.process import Process, doing
from tests.simulator.virtual import PROCESS

_T = TypeVar("_T")

POOL = "pool"

#: Kinds of lots. With a bar, queue and mailbox share no transaction.
KINDS = ("memory", "sqlite", "shared", "memory|sqlite", "sqlite|sqlite", "shared|sqlite")

#: For how long a host holds its tasks without a sign of life, and how often it looks, in virtual seconds.
LEASE = 3.0
POLL = 0.5


def _process() -> Process:
    process = PROCESS.get()
    assert isinstance(process, Process)
    return process


def named(*methods: str) -> Callable[[type[_T]], type[_T]]:
    """Give the calls to a store that these methods make their names."""

    def wrap(cls: type[_T], method: str) -> None:
        inner = getattr(cls, method)

        @functools.wraps(inner)
        async def outer(self: Any, *args: Any, **options: Any) -> Any:
            with doing(_label(method, args)):
                return await inner(self, *args, **options)

        setattr(cls, method, outer)

    def decorate(cls: type[_T]) -> type[_T]:
        for method in methods:
            wrap(cls, method)
        return cls

    return decorate


def _label(method: str, args: Sequence[Any]) -> str:
    if args and isinstance(args[0], Batch):
        batch = args[0]
        parts = {
            "added": [stored.task.id for stored in batch.added],
            "claimed": [task.id for task in batch.claimed],
            "changed": [f"{task.id}:{task.state.value}" for task in batch.changed],
            "removed": list(batch.removed),
            "delivered": [f"{each.task_id}:{each.status.value}" for each in batch.delivered],
            "answered": [str(number) for number in batch.answered],
        }
        return f"{method} " + " ".join(f"{name}={','.join(ids)}" for name, ids in parts.items() if ids)
    if method == "deliver":
        return f"{method} {','.join(each.task_id for each in args[0])}"
    return method


# -- in memory ---------------------------------------------------------------------------------------------------


def _at_once(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """What a coroutine returns that awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        answer: _T = stop.value
        return answer
    raise AssertionError("it awaits something")


def _outside(*methods: str) -> Callable[[type[_T]], type[_T]]:
    """Make methods calls to something outside of the process, which takes time and may fail."""

    def wrap(cls: type[_T], method: str) -> None:
        inner = getattr(cls, method)

        async def outer(self: Any, *args: Any, **options: Any) -> Any:
            with doing(_label(method, args)):
                return await _process().call(lambda: _at_once(inner(self, *args, **options)))

        setattr(cls, method, outer)

    def decorate(cls: type[_T]) -> type[_T]:
        for method in methods:
            wrap(cls, method)
        return cls

    return decorate


@_outside("load", "save", "payloads", "get", "post", "requests")
class OutsideQueue(MemoryQueue):
    """A queue in the memory of something that never dies."""

    def forget_host(self) -> None:
        """Its host has died, and with it the lease."""
        self._host = None


@_outside("deliver", "get", "ended", "fetch")
class OutsideMailbox(MemoryMailbox):
    """A mailbox in the memory of something that never dies."""


# -- in files ----------------------------------------------------------------------------------------------------


@named("load", "save", "payloads", "get", "post", "requests", "open", "aclose")
class FileQueue(SqliteQueue):
    """The embedded queue."""


@named("deliver", "get", "ended", "fetch", "open", "aclose")
class FileMailbox(SqliteMailbox):
    """The embedded mailbox."""


_SHARED = (
    "open reserve commit enqueue depth save window mine adopt_orphans load payloads find overview hosts post requests "
    "aclose"
)


@named(*_SHARED.split())
class HostsQueue(SharedSqliteQueue):
    """The queue that hosts share."""

    names: Callable[[], str]

    def _new_name(self, hostname: str, pid: int) -> str:
        return self.names()


@named("deliver", "get", "ended", "fetch", "open", "aclose")
class HostsMailbox(SharedSqliteMailbox):
    """The mailbox that hosts share."""


@functools.cache
def _template(shared: bool) -> bytes:
    """A lot file without tasks."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "lot"
        database = SqliteDatabase(file, busy_timeout=1.0, kind=SHARED_FILE if shared else LOT)
        database._open()
        database.close_here()
        return file.read_bytes()


@attrs.frozen
class Row:
    """A task as the store has it: its state, its epoch and the id of the host that holds it."""

    state: TaskState
    epoch: int
    host: str | None


@attrs.frozen
class Outcome:
    """An outcome as the mailbox has it."""

    status: str
    epoch: int
    result: bytes | None


class Lot:
    """The lot of one world; and what an observer sees who looks at it from outside of all processes."""

    def __init__(self, kind: str, folder: Path, budget: SharedBudget | None, aging: bool) -> None:
        if kind not in KINDS:
            raise ValueError(f"store: expected one of {', '.join(KINDS)}, got {kind!r}")
        self.kind = kind
        self.shared = kind.startswith("shared")
        self.together = "|" not in kind
        self._policy = Policy(budget=budget)
        self._aging = aging
        self._names = 0
        self._queue = OutsideQueue()
        self._mailbox = OutsideMailbox()
        self._files = [folder / name for name in (("lot", "lot") if self.together else ("lot", "mailbox"))]
        self._looks: list[sqlite3.Connection | None] = [None, None]
        self._prefix = "parking_lot_" if self.shared else ""
        in_file = [not kind.startswith("memory"), kind != "memory"]
        for place, file in enumerate(self._files):
            if in_file[place]:
                if not file.exists():
                    file.write_bytes(_template(self.shared))
                look = self._looks[place] = sqlite3.connect(file, isolation_level=None)
                look.execute("PRAGMA synchronous = OFF")

    @property
    def posted_from_outside(self) -> bool:
        """Whether clients in other processes can use the lot."""
        return not self.kind.startswith("memory")

    def open(self, process: Process) -> tuple[TaskQueue, Mailbox]:
        """Queue and mailbox for one process."""
        return self._queue_for(process), self._mailbox_for(process)

    def _queue_for(self, process: Process) -> TaskQueue:
        if self.kind.startswith("memory"):
            process.at_death.append(self._queue.forget_host)
            return self._queue
        if self.shared:
            queue = HostsQueue(self._files[0], POOL, policy=self._policy, lease=LEASE, poll=POLL, aging=self._aging)
            queue.names = self._new_name
            databases = [queue._writer, queue._reader, queue._numbers]
        else:
            queue = FileQueue(self._files[0], POOL)  # type: ignore[assignment]
            process.at_death.append(queue._lease.give_back)  # type: ignore[attr-defined]
            databases = [queue._writer, queue._reader]
        for database in databases:
            self._belongs(database, process)
        return queue

    def _mailbox_for(self, process: Process) -> Mailbox:
        if self.kind == "memory":
            return self._mailbox
        mailbox = (HostsMailbox if self.shared else FileMailbox)(self._files[1], POOL)
        self._belongs(mailbox._database, process)
        return mailbox

    @staticmethod
    def _belongs(database: Any, process: Process) -> None:
        database._synchronous = "OFF"  # no power cuts are simulated: what is committed is there
        process.connections.append(database)

    def _new_name(self) -> str:
        self._names += 1
        return f"lease-{self._names:03}"

    # -- looking from outside ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Look no longer."""
        for look in self._looks:
            if look is not None:
                look.close()

    def row(self, task_id: str) -> Row | None:
        """A task in the queue."""
        return self.rows("AND task_id = ?", task_id).get(task_id)

    def rows(self, which: str = "", *parameters: object) -> dict[str, Row]:
        """Tasks in the queue, by id."""
        look = self._looks[0]
        if look is None:
            return {task.id: Row(task.state, task.epoch, None) for task in self._queue._tasks.values()}
        host = "host" if self.shared else "NULL"
        text = f"SELECT task_id, state, epoch, {host} FROM {self._prefix}tasks WHERE pool = ? {which}"
        found = look.execute(text, (POOL, *parameters)).fetchall()
        return {task_id: Row(TaskState(state), epoch, host) for task_id, state, epoch, host in found}

    def requested(self) -> set[str]:
        """Ids of tasks that were asked for, and not admitted yet."""
        look = self._looks[0]
        if look is None:
            return {each.task_id for each in self._queue._requests.values() if each.task is not None}
        text = f"SELECT task_id FROM {self._prefix}requests WHERE pool = ? AND units IS NOT NULL"
        return {task_id for (task_id,) in look.execute(text, (POOL,))}

    def outcomes(self) -> dict[str, list[Outcome]]:
        """Outcomes in the mailbox, by task."""
        found: dict[str, list[Outcome]] = {}
        look = self._looks[1]
        if look is None:
            for message in self._mailbox._by_task.values():
                each = message.delivery
                found.setdefault(each.task_id, []).append(Outcome(each.status.value, each.epoch, each.result))
            return found
        table = "parking_lot_results" if self.shared else "outcomes"
        text = f"SELECT task_id, status, epoch, result FROM {table} WHERE pool = ?"
        for task_id, *rest in look.execute(text, (POOL,)):
            found.setdefault(task_id, []).append(Outcome(*rest))
        return found

    def living(self, host: str) -> bool:
        """Whether a host of this id has a lease that nobody has ended."""
        look = self._looks[0]
        assert look is not None
        return look.execute("SELECT 1 FROM parking_lot_hosts WHERE id = ?", (host,)).fetchone() is not None
