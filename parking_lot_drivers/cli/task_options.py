"""What a person may say about a task, in a job list or on the command line, and how it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from cattrs.errors import BaseValidationError

from parking_lot_core.config import Seconds, Units, Whole
from parking_lot_drivers.config.kinds import Choice, Text, read_as
from parking_lot_drivers.config.problems import Fault, lines
from parking_lot_drivers.config.sections import Section

_STORABLE = r"[^\x00\ud800-\udfff]"  # characters that every store keeps
_POSITIVE = Seconds(0, exclusive=True, optional=True)

#: A task's id.
TASK_ID = Text(expected="text that is not empty and whole Unicode", pattern=rf"^{_STORABLE}+\Z")

_ANY_NAME = Text(expected="text in whole Unicode", pattern=rf"^{_STORABLE}*\Z")


class _PriorityName(Choice):
    """The name of a priority class, in any case."""

    def structure(self, given: object, _type: object = None) -> str:
        """The name in lower case."""
        return super().structure(given.lower() if isinstance(given, str) else given)


_PRIORITY = _PriorityName(("critical", "high", "normal", "low"))


@attrs.frozen(kw_only=True, slots=False)
class TaskOptions:
    """Keyword arguments of ``submit``: ``vars(options)`` gives them by name."""

    units: int = attrs.field(default=1, validator=Units(1))
    priority: str = attrs.field(default="normal", metadata=read_as(_PRIORITY))
    tenant: str = attrs.field(default="", metadata=read_as(_ANY_NAME))
    timeout: float | None = attrs.field(default=None, validator=_POSITIVE)
    run_timeout: float | None = attrs.field(default=None, validator=_POSITIVE)
    delay: float | None = attrs.field(default=None, validator=Seconds(0, optional=True))
    max_attempts: int | None = attrs.field(default=None, validator=Whole(1, optional=True))


class OptionsReader:
    """Reads options out of mappings. Units may be sizes if the pool has a ``unit``; keys of ``also`` are let pass."""

    def __init__(self, unit: str | None, *also: str) -> None:
        self._section = Section(TaskOptions, unit=unit, also={key: {} for key in also})

    def read(self, given: Mapping[str, Any]) -> TaskOptions:
        """The options. Raises ``ValueError`` that tells all faults in one line."""
        try:
            options: TaskOptions = self._section.structure(given)
        except (Fault, BaseValidationError) as error:
            raise ValueError("; ".join(lines(error))) from None
        return options
