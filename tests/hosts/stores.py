"""The stores that hosts can share. A new one adds an entry to ``STORES``, and all fault tests run on it as well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from parking_lot_drivers.ports import Mailbox
from parking_lot_drivers.shared_ports import SharedBudget, SharedQueue
from parking_lot_drivers.stores.pgmq import PgmqQueue
from parking_lot_drivers.stores.postgres import PostgresMailbox, PostgresQueue
from parking_lot_drivers.stores.sql.shared_sql import Policy

#: The name of the pool in all of these tests.
POOL = "pool"


@attrs.frozen(kw_only=True)
class Store:
    """How one kind of queue is made, and how its table reads.

    Attributes:
        queue: makes the queue, given the database's URL and keyword arguments ``policy``, ``lease``, ``poll`` and
            ``wait_for_server``.
        mailbox: makes the mailbox that goes with it, given the URL and ``wait_for_server``.
        waiting: SQL that gives the ids of all tasks in the queue.
        table: the table of tasks that wait or run.
        damage: SQL that makes a task that waits unreadable, given its id as ``%s``.
    """

    queue: Callable[..., SharedQueue]
    mailbox: Callable[..., Mailbox]
    waiting: str
    table: str
    damage: str


def _postgres(url: str, **settings: Any) -> PostgresQueue:
    return PostgresQueue(url, POOL, **settings)


def _pgmq(url: str, **settings: Any) -> PgmqQueue:
    return PgmqQueue(url, POOL, queue_name="inference", **settings)


def _postgres_mailbox(url: str, **settings: Any) -> PostgresMailbox:
    return PostgresMailbox(url, POOL, **settings)


STORES: Mapping[str, Store] = {
    "postgres": Store(
        queue=_postgres,
        mailbox=_postgres_mailbox,
        waiting=f"SELECT task_id FROM parking_lot_tasks WHERE pool = '{POOL}'",
        table="parking_lot_tasks",
        damage="UPDATE parking_lot_tasks SET units = -1 WHERE task_id = %s",
    ),
    "postgres_pgmq": Store(
        queue=_pgmq,
        mailbox=_postgres_mailbox,
        waiting="SELECT headers->'parking_lot'->>'task_id' FROM pgmq.q_inference",
        table="pgmq.q_inference",
        damage="UPDATE pgmq.q_inference SET headers = jsonb_set(headers, '{parking_lot,units}', '-1') "
        "WHERE headers->'parking_lot'->>'task_id' = %s",
    ),
}


def policy_of(budget: Mapping[str, Any] | None) -> Policy:
    """The policy with a shared budget, given its ``name`` and ``devices``; or with none."""
    return Policy(budget=None if budget is None else SharedBudget(name=budget["name"], devices=budget["devices"]))
