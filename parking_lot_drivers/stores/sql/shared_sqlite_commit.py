"""One commit of a host to a lot that processes share in one SQLite file: what is written, and what of it held.

The same decisions as ``postgres_commit.py`` takes, row by row: the transaction has the file to itself, so whatever it
sees stays so until it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import attrs
from sqlalchemy import Connection

from parking_lot_core import Checkpoint, OutcomeStatus, ScheduledTask, TaskState
from parking_lot_drivers.clock import wall_time
from parking_lot_drivers.errors import StoreUnavailable
from parking_lot_drivers.ports import Batch, Delivery, StoredTask
from parking_lot_drivers.shared_ports import Loss, Saved
from parking_lot_drivers.stores.sql.checkpoints import encode_checkpoint
from parking_lot_drivers.stores.sql.columns import Row
from parking_lot_drivers.stores.sql.dialects import SQLITE, fetch_all, fetch_one
from parking_lot_drivers.stores.sql.grants import Grants, starts_of, without_starts
from parking_lot_drivers.stores.sql.mailbox import MailboxSql
from parking_lot_drivers.stores.sql.rows import decode_payload, encode_change, encode_task, wide
from parking_lot_drivers.stores.sql.shared_sql import Policy
from parking_lot_drivers.stores.sql.shared_sqlite_sql import SqliteSharing
from parking_lot_drivers.stores.sql.statements import Statements

_PARKED = TaskState.PARKED
_MOVES = {TaskState.PARKED: "Enqueue", TaskState.RUNNING: "Start", TaskState.STOPPING: "Interrupt"}


class SharedSqliteCommit:
    """Writes one batch in the caller's transaction, for ``host``; an empty one is a client, which holds nothing."""

    def __init__(
        self,
        sql: SqliteSharing,
        common: Statements,
        connection: Connection,
        pool: str,
        host: str,
        policy: Policy,
    ) -> None:
        self._sql = sql
        self._common = common
        self._connection = connection
        self._cursor = connection.connection.cursor()
        self._pool = pool
        self._host = host
        self._policy = policy
        self._budget = None if policy.budget is None else policy.budget.name
        self._now = wall_time()
        self._lost: dict[str, Loss] = {}
        self._payloads: dict[str, bytes] = {}
        self._trail: list[Row] = []

    def write(self, batch: Batch, mailbox: MailboxSql | None, *, fetch: Sequence[str], strict: bool) -> Saved:
        """Write the batch, its outcomes only if ``mailbox`` is given. Raises ``StoreUnavailable`` without a lease."""
        if fetch_one(self._cursor, self._sql.lease, self._host) is None:
            raise StoreUnavailable(
                f"the lease of this host for pool {self._pool!r} has lapsed, and others may have its tasks; nothing "
                "was saved: load the queue again"
            )
        gone = self._remove(batch, strict=strict)
        if mailbox is not None and batch.added and not strict:
            batch = self._without_ended(batch, mailbox)
        if mailbox is not None:
            self._deliver(batch, mailbox, gone, strict=strict)
        if self._budget is not None:
            batch = self._granted(batch)
        self.add(batch.added)
        if strict:
            self._change_anything([*batch.claimed, *batch.changed])
        else:
            self._lose([task for task in batch.claimed if not self._claim(task, fetch)], Loss.TAKEN)
            self._lose([task for task in batch.changed if not self._change(task)], Loss.TAKEN)
        if self._budget is not None:
            rows = [(self._budget, self._pool, task.id, self._host) for task in starts_of(batch)]
            self._cursor.executemany(self._sql.hold, rows)
        if batch.answered:
            answers = [(number, self._pool, strict, self._host) for number in batch.answered]
            self._cursor.executemany(self._sql.delete_request, answers)
        if batch.checkpoint is not None:
            self._cursor.execute(self._sql.keep_checkpoint, (self._pool, encode_checkpoint(batch.checkpoint)))
            self.keep_shares(batch.checkpoint)
        return self.saved()

    def keep_shares(self, checkpoint: Checkpoint) -> None:
        """Keep the virtual time and the finish tags, where they are later than those that are kept."""
        rows = [(self._pool, False, tenant, wide(tag)) for tenant, tag in checkpoint.finish_tags]
        if checkpoint.virtual_time:
            rows.append((self._pool, True, "", wide(checkpoint.virtual_time)))
        self._cursor.executemany(self._sql.keep_shares, rows)

    def saved(self) -> Saved:
        """Write the audit trail, and say what was lost and what was asked for."""
        if self._policy.audit and self._trail:
            SQLITE.execute_rows(self._cursor, self._sql.record, self._trail)
        return Saved(lost=self._lost, payloads=self._payloads)

    def _without_ended(self, batch: Batch, mailbox: MailboxSql) -> Batch:
        """The batch without new tasks that have outcomes: they came and went since this host looked for them."""
        ended = mailbox.ended(self._connection, [stored.task.id for stored in batch.added])
        if not ended:
            return batch
        self._lost.update(dict.fromkeys(sorted(ended), Loss.DUPLICATE))
        return attrs.evolve(batch, added=[stored for stored in batch.added if stored.task.id not in ended])

    # -- ends ----------------------------------------------------------------------------------------------------

    def _remove(self, batch: Batch, *, strict: bool) -> Collection[str]:
        """Remove tasks that this host or nobody holds. Returns which they were."""
        removed = dict.fromkeys(batch.removed)
        outcomes: dict[str, Delivery] = {}
        for delivery in batch.delivered:
            if delivery.task_id in removed:
                outcomes.setdefault(delivery.task_id, delivery)
        gone: dict[str, int] = {}
        for task_id in removed:
            found = fetch_one(self._cursor, self._sql.ending, self._pool, task_id)
            if found is None or found[2] not in (None, self._host):
                if found is not None or not strict:  # removing what is not there is no fault of a strict batch
                    self._lost.setdefault(task_id, Loss.TAKEN)
                continue
            tenant, payload, host, epoch, device, units = found
            gone[task_id] = payload
            outcome = outcomes.get(task_id)
            status = None if outcome is None else outcome.status
            move = "Expire" if status is OutcomeStatus.EXPIRED else "Deliver"
            detail = None if status is None else status.value
            self._record(task_id, tenant, move, host, epoch, device, units, detail)
        self._drop(gone)
        return gone

    def _drop(self, gone: dict[str, int]) -> None:
        keys = [(self._pool, task_id) for task_id in gone]
        if self._policy.archive:
            self._cursor.executemany(self._sql.file_away, [(self._now, *key) for key in keys])
        self._cursor.executemany(self._common.delete_body, [(number,) for number in gone.values()])
        self._cursor.executemany(self._common.delete_task, keys)
        self._cursor.executemany(self._sql.release, keys)

    def _deliver(self, batch: Batch, mailbox: MailboxSql, gone: Collection[str], *, strict: bool) -> None:
        """Keep outcomes: of tasks that were removed just now, and of such as the queue never had."""
        removed = set(batch.removed)
        kept = [each for each in batch.delivered if strict or each.task_id in gone or each.task_id not in removed]
        if not strict:
            # What came and went in one turn: another host may have taken the same key meanwhile, and its task goes on.
            taken = {each.task_id for each in kept if each.task_id not in gone and self._has(each.task_id)}
            self._lost.update(dict.fromkeys(sorted(taken), Loss.DUPLICATE))
            kept = [each for each in kept if each.task_id not in taken]
        if kept:
            mailbox.insert(self._cursor, kept)

    def _has(self, task_id: str) -> bool:
        """Whether the queue has a task of this id."""
        return fetch_one(self._cursor, self._sql.ending, self._pool, task_id) is not None

    # -- starts and changes --------------------------------------------------------------------------------------

    def add(self, added: Iterable[StoredTask]) -> None:
        """Insert new tasks, held by this host if they run. Those whose id the queue has are lost."""
        for stored in added:
            task = stored.task
            row = encode_task(self._pool, stored, task.sequence)
            host = None if task.state is _PARKED else self._host
            if not SQLITE.execute_rows(self._cursor, self._sql.add, [(*row, host)]):
                self._lost.setdefault(task.id, Loss.DUPLICATE)
                continue
            self._cursor.execute(self._sql.add_payload, (task.sequence, stored.payload))
            tenant, units = task.metadata.tenant, task.units
            me = self._host or None
            self._record(task.id, tenant, "Enqueue", me, max(task.epoch - 1, 0), None, units, None)
            if host is not None:
                self._record(task.id, tenant, "Start", me, task.epoch, task.device, units, None)

    def _claim(self, task: ScheduledTask, fetch: Sequence[str] = ()) -> bool:
        *changing, pool, task_id = encode_change(self._pool, task)
        self._cursor.execute(self._sql.claim, (*changing, self._host, pool, task_id, task.epoch - 1))
        if not self._cursor.rowcount:
            return False
        self._note(task)
        if task_id in fetch:
            for found, body in fetch_all(self._cursor, self._common.select_payload, pool, task_id):
                self._payloads[found] = decode_payload(body)
        return True

    def _change(self, task: ScheduledTask) -> bool:
        *changing, pool, task_id = encode_change(self._pool, task)
        epochs = (task.epoch - 1, task.epoch)
        self._cursor.execute(self._sql.change, (*changing, changing[0], pool, task_id, self._host, *epochs))
        if not self._cursor.rowcount:
            return False
        self._note(task)
        if task.state is _PARKED:
            self._cursor.execute(self._sql.release, (pool, task_id))
        return True

    def _change_waiting(self, task: ScheduledTask) -> bool:
        *changing, pool, task_id = encode_change(self._pool, task)
        self._cursor.execute(self._sql.change_waiting, (*changing, pool, task_id, task.epoch - 1, task.epoch))
        return bool(self._cursor.rowcount)

    def _change_anything(self, changed: Sequence[ScheduledTask]) -> None:
        """For callers who do not say which tasks wait and which they hold: try one after the other."""
        for task in changed:
            waits = task.state is _PARKED
            ways = (self._change, self._change_waiting) if waits else (self._claim, self._change)
            if not any(way(task) for way in ways):
                self._lost.setdefault(task.id, Loss.TAKEN)

    # -- a shared budget -----------------------------------------------------------------------------------------

    def _granted(self, batch: Batch) -> Batch:
        """The batch without the starts for which no units are left; their tasks wait on."""
        starts = starts_of(batch)
        if not starts:
            return batch
        asking = {task.id: task.epoch for task in starts}
        held: dict[str, int] = {}
        kept: set[str] = set()
        for pool, task_id, device, units, host, epoch in fetch_all(self._cursor, self._sql.holdings, self._budget):
            own = pool == self._pool and host == self._host and task_id in asking
            if own and epoch == asking[task_id]:
                kept.add(task_id)  # it runs already, and is told to stop
            # Others may hold one of the tasks that ask: this host is about to lose it.
            if not own or task_id in kept:
                held[device] = held.get(device, 0) + units
        grants = Grants(dict(fetch_all(self._cursor, self._sql.budget, self._budget)), held)
        refused = [task for task in starts if task.id not in kept and not grants.take(task)]
        self._lose(refused, Loss.NO_UNITS)
        return without_starts(batch, {task.id for task in refused})

    # -- notes ---------------------------------------------------------------------------------------------------

    def _lose(self, tasks: Iterable[ScheduledTask], loss: Loss) -> None:
        for task in tasks:
            self._lost.setdefault(task.id, loss)

    def _note(self, task: ScheduledTask) -> None:
        reason = None if task.stop_reason is None else task.stop_reason.value
        move = _MOVES[task.state]
        self._record(task.id, task.metadata.tenant, move, self._host, task.epoch, task.device, task.units, reason)

    def _record(
        self,
        task_id: str,
        tenant: str,
        move: str,
        host: str | None,
        epoch: int,
        device: str | None,
        units: int,
        detail: str | None,
    ) -> None:
        self._trail.append(
            (self._now, self._pool, task_id, tenant, move, host, epoch, device, units, self._budget, detail)
        )
