"""Tools that examine a scheduler, ours or anybody's: the invariants by name, small worlds to try them in, a slow model.

``README.md`` beside this file teaches how to verify a policy, a driver or a store of one's own. Public names are
listed here once; each is loaded when it is used. ``SchedulerMachine`` and the module ``strategies`` need Hypothesis
(extra ``testing``); nothing else needs more than the core.

How the modules build on each other, for those who read on:

- ``rows``: what a store holds if it does what the commands say. ``history``: a witness that believes nothing else.
- ``checks``: the invariants that a run shows. ``properties``: those that take several runs. ``agreement``: the model's.
- ``ledger``, ``dispatching``, ``model``: the scheduler again, slow and obvious. ``broken``: models with one fault each.
- ``worlds``: pools and events, drawn from dice. ``wording``, ``trace``: events as text that can be played.
- ``invariants``: all of them by name. ``verification``: many worlds; ``machine``: the same for Hypothesis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parking_lot_core.testing import broken, checks, properties, strategies, worlds
    from parking_lot_core.testing.history import Broken, Check, History, Watched, rank_by_the_rules, watch
    from parking_lot_core.testing.invariants import INVARIANTS, Invariant, examine
    from parking_lot_core.testing.machine import SchedulerMachine
    from parking_lot_core.testing.model import Model
    from parking_lot_core.testing.properties import transcript
    from parking_lot_core.testing.trace import Story, as_story, read_story
    from parking_lot_core.testing.verification import cut_down, verify
    from parking_lot_core.testing.worlds import CLIMATES, Climate, Dice, World, make_world

_HOMES = {
    "Broken": "history",
    "CLIMATES": "worlds",
    "Check": "history",
    "Climate": "worlds",
    "Dice": "worlds",
    "History": "history",
    "INVARIANTS": "invariants",
    "Invariant": "invariants",
    "Model": "model",
    "SchedulerMachine": "machine",
    "Story": "trace",
    "Watched": "history",
    "World": "worlds",
    "as_story": "trace",
    "cut_down": "verification",
    "examine": "invariants",
    "make_world": "worlds",
    "rank_by_the_rules": "history",
    "read_story": "trace",
    "transcript": "properties",
    "verify": "verification",
    "watch": "history",
}
_MODULES = ("broken", "checks", "properties", "strategies", "worlds")

__all__ = [
    "CLIMATES",
    "INVARIANTS",
    "Broken",
    "Check",
    "Climate",
    "Dice",
    "History",
    "Invariant",
    "Model",
    "SchedulerMachine",
    "Story",
    "Watched",
    "World",
    "as_story",
    "broken",
    "checks",
    "cut_down",
    "examine",
    "make_world",
    "properties",
    "rank_by_the_rules",
    "read_story",
    "strategies",
    "transcript",
    "verify",
    "watch",
    "worlds",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
