"""The hand-written scenarios, one module for each file: small lots in which one rule at a time can be seen at work."""

from __future__ import annotations

from types import ModuleType

from tests.vectors.play import Scenario
from tests.vectors.scenarios import admission, devices, ends, line, policies, rank, restore, sharing, time

_MODULES: tuple[ModuleType, ...] = (admission, ends, policies, devices, rank, sharing, time, line, restore)

#: By the name of the file: what it is about, and what is told in it.
FILES: dict[str, tuple[str, list[Scenario]]] = {
    module.__name__.rpartition(".")[2]: (str(module.__doc__), module.SCENARIOS) for module in _MODULES
}
