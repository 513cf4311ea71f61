"""The settings of pools, as attrs classes. Field names are the keys of the configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from parking_lot_core import PoolConfig
from parking_lot_drivers.config.budgets import SCOPE, BudgetSettings, HostBudget, SharedBudget
from parking_lot_drivers.config.executors import (
    CommandSettings,
    CoroutineSettings,
    ExecutorSettings,
    ProcessSettings,
    ThreadSettings,
)
from parking_lot_drivers.config.kinds import Choice, Entries, Kind, Schema, read_as
from parking_lot_drivers.config.problems import Fault, placed
from parking_lot_drivers.config.quantities import BYTES
from parking_lot_drivers.config.sections import TYPE, OneOf, Section
from parking_lot_drivers.config.stores import (
    InMemoryMailbox,
    InMemoryQueue,
    MailboxSettings,
    PgmqQueue,
    PostgresMailbox,
    PostgresQueue,
    QueueSettings,
    YaqueMailbox,
    YaqueQueue,
)
from parking_lot_drivers.config.texts import POOL_NAME

_BUDGETS = OneOf("a budget", HostBudget, SharedBudget, key=SCOPE)
_QUEUES = OneOf("a queue", InMemoryQueue, YaqueQueue, PostgresQueue, PgmqQueue)
_MAILBOXES = OneOf("a mailbox", InMemoryMailbox, YaqueMailbox, PostgresMailbox)
_EXECUTORS = OneOf("an executor", CoroutineSettings, ThreadSettings, ProcessSettings, CommandSettings)

_ALONE = InMemoryQueue.tags[0]
_SHARING = [tag for tag in _QUEUES.by_tag if tag != _ALONE]


@attrs.frozen(kw_only=True)
class PoolSettings(PoolConfig):
    """One pool: its policy, where it keeps its tasks and results, and what runs them.

    Attributes:
        unit: what a unit is, if it is a size: then max_units and devices may be given as sizes, such as "12GiB".
        budget: whose the units are: each process's own, which is the default, or shared by several processes.
        queue: where parked tasks are kept; without it, in memory.
        mailbox: where results are kept; without it, where the queue keeps its tasks.
        executor: what runs the tasks; without it, the application gives one to the pool.
    """

    unit: str | None = attrs.field(default=None, metadata=read_as(Choice(tuple(BYTES))))
    budget: BudgetSettings = attrs.field(factory=HostBudget, metadata=read_as(_BUDGETS))
    queue: QueueSettings = attrs.field(factory=InMemoryQueue, metadata=read_as(_QUEUES))
    mailbox: MailboxSettings = attrs.field(metadata=read_as(_MAILBOXES))
    executor: ExecutorSettings | None = attrs.field(default=None, metadata=read_as(_EXECUTORS))

    @mailbox.default
    def _beside_the_queue(self) -> MailboxSettings:
        return self.queue.mailbox()

    @property
    def policy(self) -> PoolConfig:
        """What the scheduler needs to know of the pool."""
        return PoolConfig(**{f.name: getattr(self, f.name) for f in attrs.fields(PoolConfig)})


def _relations(given: Mapping[str, object]) -> list[Exception]:
    faults: list[Exception] = []
    if ("max_units" in given) == ("devices" in given):
        got = "both" if "devices" in given else "neither"
        faults.append(Fault(f"expected either max_units or devices, got {got}"))
    queue, budget = given.get("queue", {TYPE: _ALONE}), given.get("budget")
    if _says(budget, SCOPE, SharedBudget.tags[0]) and _says(queue, TYPE, _ALONE):
        problem = (
            f"scope shared needs a queue that other processes can see ({', '.join(_SHARING)}), got {_ALONE}: give the "
            "pool such a queue, or leave the budget out"
        )
        faults.append(placed(Fault(problem), "budget"))
    return faults


def _says(section: object, key: str, word: str) -> bool:
    return isinstance(section, Mapping) and section.get(key) == word


class _PoolKind(Kind):
    """A pool's section: its ``unit`` decides how its amounts are read."""

    def __init__(self) -> None:
        self._sections = {unit: Section(PoolSettings, unit=unit, relations=_relations) for unit in (None, *BYTES)}

    def structure(self, given: object, _type: object = None) -> Any:
        """A ``PoolSettings``."""
        unit = given.get("unit") if isinstance(given, Mapping) else None
        known = unit is None or (isinstance(unit, str) and unit in self._sections)
        # With a unit that is wrong, amounts are still checked for being sizes at all.
        return self._sections[unit if known else "B"].structure(given)

    def schema(self) -> Schema:
        """An object in which some keys go only with others.

        Sizes are allowed only beside a unit; there is exactly one of max_units and devices; a shared budget needs a
        queue that can be shared.
        """
        plain = self._sections[None].kinds
        numbers = {name: plain[name].schema() for name in ("max_units", "devices")}
        shared = {"type": "object", "properties": {SCOPE: {"const": SharedBudget.tags[0]}}, "required": [SCOPE]}
        sharing = {"type": "object", "properties": {TYPE: {"enum": _SHARING}}}
        return self._sections["B"].schema() | {
            "oneOf": [{"required": ["max_units"]}, {"required": ["devices"]}],
            "allOf": [
                {"if": {"not": {"required": ["unit"]}}, "then": {"properties": numbers}},
                {
                    "if": {"properties": {"budget": shared}, "required": ["budget"]},
                    "then": {"properties": {"queue": sharing}, "required": ["queue"]},
                },
            ],
        }


_POOLS = Entries(
    expected="an object of pool names and their settings, with at least one pool",
    name=POOL_NAME,
    value=_PoolKind(),
    at_least=1,
)


@attrs.frozen(kw_only=True)
class Settings:
    """Settings of prometheus-parking-lot: any number of pools.

    Attributes:
        pools: the pools by name; a name is also the name of the pool's lot file.
        directory: where the configuration file lies; paths start there, and modules of targets are looked for there.
    """

    pools: Mapping[str, PoolSettings] = attrs.field(metadata=read_as(_POOLS))
    directory: Path = Path()


SETTINGS = Section(Settings, also={"$schema": {"description": "Where editors find the schema of this file."}})
