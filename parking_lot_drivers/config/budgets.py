"""Whose a pool's units are: the settings of budgets."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import attrs

from parking_lot_drivers.config.kinds import read_as
from parking_lot_drivers.config.texts import BUDGET_NAME

#: The key that says whose units they are.
SCOPE = "scope"


@attrs.frozen(kw_only=True)
class HostBudget:
    """Each process that runs the pool has devices of its own."""

    tags: ClassVar[tuple[str, ...]] = ("host",)


@attrs.frozen(kw_only=True)
class SharedBudget:
    """All processes with a budget of this name, in the same database or directory, have the same devices.

    Attributes:
        name: the budget's name; the processes, and pools, that give the same one share its units.
    """

    tags: ClassVar[tuple[str, ...]] = ("shared",)
    name: str = attrs.field(metadata=read_as(BUDGET_NAME))


BudgetSettings: TypeAlias = HostBudget | SharedBudget
