"""A sans-IO scheduler that admits tasks by resource units and parks what does not fit.

Start with ``Scheduler``. ``README.md`` beside this file teaches how to drive it; ``RULES.md`` says what it decides.
"""

from parking_lot_core.checkpoint import Checkpoint, DeviceRecord
from parking_lot_core.commands import Command, Deliver, Enqueue, Expire, Interrupt, Reject, Start
from parking_lot_core.config import DEFAULT_DEVICE, PoolConfig
from parking_lot_core.devices import DeviceView
from parking_lot_core.events import (
    Cancelled,
    CapacityChanged,
    Event,
    Finished,
    Offered,
    Submitted,
    Tick,
    Withdrawn,
)
from parking_lot_core.explain import Explanation, Reason
from parking_lot_core.lifecycle import MOVES, IllegalMove, Move
from parking_lot_core.scheduler import Counters, Scheduler
from parking_lot_core.types import (
    MailboxKey,
    Outcome,
    OutcomeStatus,
    Priority,
    RejectReason,
    ResourceCost,
    ScheduledTask,
    TaskMetadata,
    TaskState,
)

__all__ = [
    "DEFAULT_DEVICE",
    "MOVES",
    "Cancelled",
    "CapacityChanged",
    "Checkpoint",
    "Command",
    "Counters",
    "Deliver",
    "DeviceRecord",
    "DeviceView",
    "Enqueue",
    "Event",
    "Expire",
    "Explanation",
    "Finished",
    "IllegalMove",
    "Interrupt",
    "MailboxKey",
    "Move",
    "Offered",
    "Outcome",
    "OutcomeStatus",
    "PoolConfig",
    "Priority",
    "Reason",
    "Reject",
    "RejectReason",
    "ResourceCost",
    "ScheduledTask",
    "Scheduler",
    "Start",
    "Submitted",
    "TaskMetadata",
    "TaskState",
    "Tick",
    "Withdrawn",
]
