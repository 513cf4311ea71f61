"""How long a world may take, once nothing fails any more, until everything has come to its end.

It is computed, not measured, from the worst that the rules allow:

- programs that are down come back, calls that hang return, and a pool that is reading its lot again tries once more;
- leases of the dead lapse, longer by as much as the clock was set back, and somebody looks for their tasks;
- then the tasks run one after the other, in whatever order. Each may first have to end a run of before (its limit, or
  its script, and the time for which it does not listen), waits out its backoff or delay, and is run once more: without
  faults a run succeeds, or ends at its limit. On the way it may wait for a look at the queue some times: after each end
  others see what is free, and leave tasks to each other first;
- users try again what was refused, some times each.
"""

from __future__ import annotations

import attrs

from parking_lot_core import PoolConfig
from tests.simulator.stores import LEASE, POLL

_DOWN = 2.0
_HANG = 8.0
_REREAD = 2.0 + 2.0  # the longest pause of the loop, and of the heart
_SCRIPT = 4.0
_LIMIT = 3.0
_STUBBORN = 4.0
_DELAY = 2.0
_LOOKS = 4
_TRY_AGAIN = 6 * 0.5
_GRACE = 1.0


@attrs.frozen(kw_only=True)
class Work:
    """What is left to do, at most: ``jumped`` is the sum of all jumps of the clock, in seconds."""

    tasks: int
    config: PoolConfig
    shared: bool
    jumped: float
    intents: int


def bound(work: Work) -> float:
    """Virtual seconds."""
    begin = _DOWN + _HANG + _REREAD + _GRACE + _DELAY + work.jumped
    if work.shared:
        begin += 2 * LEASE + POLL
    each = _STUBBORN + max(_SCRIPT, _LIMIT) + work.config.retry_backoff_max + _SCRIPT
    if work.shared:
        each += _LOOKS * POLL
    return begin + work.tasks * each + work.intents * _TRY_AGAIN
