"""One commit of a host to a lot in Postgres tables: what is written, in which order, and what of it held."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from parking_lot_core import Checkpoint, ScheduledTask, TaskState
from parking_lot_drivers.ports import Batch, Delivery, StoredTask
from parking_lot_drivers.shared_ports import Loss, Saved, SharedBudget
from parking_lot_drivers.stores.sql.checkpoints import encode_checkpoint, share_rows
from parking_lot_drivers.stores.sql.dialects import Cursor
from parking_lot_drivers.stores.sql.grants import Grants, starts_of, without_starts
from parking_lot_drivers.stores.sql.postgres_sql import CHANGE_KEYS, OUTCOME_KEYS, TASK_KEYS, PostgresStatements
from parking_lot_drivers.stores.sql.rows import encode_change, encode_delivery, encode_task
from parking_lot_drivers.stores.sql.shared_sql import Policy

json_text = json.JSONEncoder(separators=(",", ":"), check_circular=False, ensure_ascii=False).encode

_PARKED = TaskState.PARKED


class PostgresCommit:
    """Sends the statements of one transaction. Nothing waits for an answer before the next one is sent.

    Two things need answers on the way: a shared budget, which decides what may start, and ``strict``, which must know
    before the commit that everything held.
    """

    def __init__(
        self, sql: PostgresStatements, connection: Connection, pool: str, host: str | None, policy: Policy
    ) -> None:
        self._sql = sql
        self._driver: Any = connection.connection.driver_connection
        self._budget: SharedBudget | None = policy.budget
        budget = None if policy.budget is None else policy.budget.name
        self._pool = pool
        self._parameters = {"pool": pool, "host": host, "budget": budget}
        self._later: list[Callable[[], None]] = []
        self._lost: dict[str, Loss] = {}
        self._payloads: dict[str, bytes] = {}

    def send(self, statement: str, **parameters: object) -> Cursor:
        """Run a statement; in pipeline mode, without waiting for it."""
        cursor = self._driver.cursor()
        cursor.execute(statement, self._parameters | parameters)
        return cursor

    def saved(self) -> Saved:
        """What was lost, and what was asked for. Waits for the statements that were sent."""
        for look in self._later:
            look()
        self._later = []
        return Saved(lost=self._lost, payloads=self._payloads)

    def write(self, batch: Batch, *, together: bool, fetch: Sequence[str], strict: bool) -> None:
        """Send the whole batch. Outcomes are kept if they are ``together`` with the queue in this database."""
        self.send(self._sql.check_lease)
        if batch.delivered:
            self.send(self._sql.order_outcomes)
        self._end(batch, together=together, strict=strict)
        if self._budget is not None:
            batch = self._granted(batch)
        if batch.added:
            self._add(batch.added)
        if strict:
            self._change_anything([*batch.claimed, *batch.changed])
        else:
            self._claim(batch.claimed, fetch)
            self._change(batch.changed)
        if self._budget is not None:
            self._hold(batch)
        if batch.answered:
            self.send(self._sql.delete_requests, numbers=list(batch.answered), all=strict)
        if batch.checkpoint is not None:
            self.send(self._sql.keep_checkpoint, body=encode_checkpoint(batch.checkpoint))
            self._keep_shares(batch.checkpoint)

    def enqueue(self, tasks: Sequence[StoredTask], shares: Checkpoint | None) -> None:
        """Send new tasks that wait."""
        if tasks:
            self._add(tasks)
        if shares is not None:
            self._keep_shares(shares)

    def row_of(self, stored: StoredTask) -> tuple[dict[str, object], object]:
        """A new task as an element of ``rows``, and of ``bodies``, of the statement ``add``."""
        return self._object(stored), self._body(stored.payload)

    def _keep_shares(self, checkpoint: Checkpoint) -> None:
        self.send(self._sql.keep_shares, rows=json_text(share_rows(checkpoint)))

    # -- ends ----------------------------------------------------------------------------------------------------

    def _end(self, batch: Batch, *, together: bool, strict: bool) -> None:
        """Remove tasks with their outcomes, and keep the outcomes of tasks that the queue never had."""
        removed = set(batch.removed)
        if removed:
            of_removed = [delivery for delivery in batch.delivered if delivery.task_id in removed]
            there = self.send(
                self._sql.remove, ids=list(removed), together=together and not strict, **_outcomes(of_removed)
            )
            if strict:
                self._check_removed(there, removed)
            else:
                self._later.append(lambda: self._lose(removed - _ids(there), Loss.TAKEN))
        rest = [delivery for delivery in batch.delivered if strict or delivery.task_id not in removed]
        if rest and together:
            self.send(self._sql.deliver, **_outcomes(rest))

    def _check_removed(self, there: Cursor, removed: set[str]) -> None:
        """Removing what is not there is no fault; removing what another host holds is."""
        left = self.send(self._sql.exist, ids=list(removed - _ids(there)))
        self._lose(_ids(left), Loss.TAKEN)

    # -- how a task lies in the database ---------------------------------------------------------------------------

    def _object(self, stored: StoredTask) -> dict[str, object]:
        """A new task as the statement ``add`` takes it."""
        return dict(zip(TASK_KEYS, encode_task(self._pool, stored, stored.task.sequence)[1:], strict=True))

    def _body(self, payload: bytes) -> object:
        """Its payload."""
        return payload

    def _payload(self, body: Any) -> bytes:
        """A payload that the statement ``claim`` gives."""
        return bytes(body)

    # -- starts and changes --------------------------------------------------------------------------------------

    def _add(self, added: Sequence[StoredTask]) -> None:
        rows = json_text([self._object(stored) for stored in added])
        new = self.send(self._sql.add, rows=rows, bodies=[self._body(stored.payload) for stored in added])

        def look() -> None:
            found = [task_id for (task_id,) in new.fetchall()]
            if len(found) < len(added):
                seen = set(found)
                self._lose({stored.task.id for stored in added} - seen or seen, Loss.DUPLICATE)

        self._later.append(look)

    def _claim(self, claimed: Sequence[ScheduledTask], fetch: Sequence[str]) -> None:
        if not claimed:
            return
        won = self.send(self._sql.claim, rows=self._changes(claimed), wanted=list(fetch))

        def look() -> None:
            bodies = dict(won.fetchall())
            self._lose({task.id for task in claimed} - bodies.keys(), Loss.TAKEN)
            found = {task_id: self._payload(body) for task_id, body in bodies.items() if body is not None}
            self._payloads.update(found)

        self._later.append(look)

    def _change(self, changed: Sequence[ScheduledTask]) -> None:
        if changed:
            made = self.send(self._sql.change, rows=self._changes(changed))
            self._later.append(lambda: self._lose({task.id for task in changed} - _ids(made), Loss.TAKEN))

    def _change_anything(self, changed: Sequence[ScheduledTask]) -> None:
        """For callers who do not say which tasks wait and which they hold: try one after the other."""
        left = {task.id: task for task in changed}
        starts = [task for task in changed if task.state is not _PARKED]
        for statement, tasks in (
            (self._sql.claim, starts),
            (self._sql.change, changed),
            (self._sql.change_waiting, [task for task in changed if task.state is _PARKED]),
        ):
            tasks = [task for task in tasks if task.id in left]
            if tasks:
                for task_id, *_ in self.send(statement, rows=self._changes(tasks), wanted=[]).fetchall():
                    left.pop(task_id)
        self._lose(set(left), Loss.TAKEN)

    def _changes(self, tasks: Sequence[ScheduledTask]) -> str:
        rows = [[*(row := encode_change(self._pool, task))[:-2], row[-1]] for task in tasks]
        return json_text([dict(zip(CHANGE_KEYS, row, strict=True)) for row in rows])

    # -- a shared budget -----------------------------------------------------------------------------------------

    def _granted(self, batch: Batch) -> Batch:
        """The batch without the starts for which no units are left; their tasks wait on."""
        starts = starts_of(batch)
        if not starts:
            return batch
        units = dict(self.send(self._sql.lock_budget).fetchall())
        kept = self._kept(batch)
        asking = [task for task in starts if task.id not in kept]
        held = dict(self.send(self._sql.held_units, ids=[task.id for task in asking]).fetchall())
        grants = Grants(units, held)
        refused = {task.id for task in asking if not grants.take(task)}
        self._lose(refused, Loss.NO_UNITS)
        return without_starts(batch, refused)

    def _kept(self, batch: Batch) -> set[str]:
        """Those that run already, and are told to stop: they keep their units."""
        epochs = {task.id: task.epoch for task in batch.changed if task.state is not TaskState.PARKED}
        if not epochs:
            return set()
        held = self.send(self._sql.held_epochs, ids=list(epochs)).fetchall()
        return {task_id for task_id, epoch in held if epoch == epochs[task_id]}

    def _hold(self, batch: Batch) -> None:
        running = [task.id for task in starts_of(batch)]
        if running:
            self.send(self._sql.hold, ids=running)

    def _lose(self, task_ids: set[str], loss: Loss) -> None:
        for task_id in sorted(task_ids):
            self._lost.setdefault(task_id, loss)


def _ids(cursor: Cursor) -> set[str]:
    return {task_id for (task_id,) in cursor.fetchall()}


def _outcomes(deliveries: Sequence[Delivery]) -> dict[str, object]:
    """Deliveries as parameters: their columns as JSON, and their results."""
    rows = [encode_delivery("", delivery) for delivery in deliveries]
    objects = [dict(zip(OUTCOME_KEYS, row[1:-1], strict=True)) for row in rows]
    return {"outcomes": json_text(objects), "results": [row[-1] for row in rows]}
