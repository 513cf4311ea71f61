"""Replaying a trace of real arrivals through the core, in virtual time: what would another budget have done?"""

from parking_lot_drivers.replay.engine import BudgetExceeded, replay
from parking_lot_drivers.replay.model import DEFAULT_MODEL, DEFAULT_SHARES, MODELS, KVCache, RequestModel
from parking_lot_drivers.replay.report import DeviceUse, Ending, Life, Report, Run, Waits
from parking_lot_drivers.replay.timeline import Slice, Timeline
from parking_lot_drivers.replay.trace import Arrival, compress, read_trace

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_SHARES",
    "MODELS",
    "Arrival",
    "BudgetExceeded",
    "DeviceUse",
    "Ending",
    "KVCache",
    "Life",
    "Report",
    "RequestModel",
    "Run",
    "Slice",
    "Timeline",
    "Waits",
    "compress",
    "read_trace",
    "replay",
]
