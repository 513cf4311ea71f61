"""Worlds in which rare things happen often, where the scheduler must equal the model: each climate is for a corner of
the scheduler that ordinary worlds seldom reach. The same worlds every time, and quick."""

from __future__ import annotations

import math
import random

import pytest

from parking_lot_core import Scheduler
from parking_lot_core.testing import worlds
from parking_lot_core.testing.agreement import agrees_with_model
from parking_lot_core.testing.worlds import BUSY, Climate, Dice, make_world
from tests.core.depth import DEPTH

# Devices that shrink and grow while tasks wait for them.
RESIZED = (
    *[worlds.submitted] * 5,
    *[worlds.finished] * 4,
    worlds.tick,
    *[worlds.capacity_changed] * 3,
    worlds.cancelled,
)
# Time passes, and little ends: windows run out.
PATIENT = (*[worlds.submitted] * 4, worlds.finished, *[worlds.tick] * 4, worlds.cancelled)

CORNERS = {
    "several heads whose windows are over, one device": Climate(
        windows=(0.25, 0.5, 1), devices_max=1, limits=False, burst=6, depth=False, kinds=PATIENT
    ),
    "several heads whose windows are over, several devices": Climate(
        windows=(0.25, 0.5, 1), limits=False, burst=8, depth=False, kinds=PATIENT
    ),
    "windows that end while run limits come and go": Climate(
        windows=(0.25, 1), limits=None, burst=8, depth=False, kinds=PATIENT
    ),
    "heads that are promoted when their windows are over": Climate(
        windows=(0.25, 1), aging=True, limits=False, burst=8, depth=False, kinds=PATIENT
    ),
    "reservations on several devices": Climate(
        windows=(1, 3, 8), limits=True, aging=False, burst=8, depth=False, kinds=BUSY
    ),
    "devices that change, one": Climate(windows=(0.5, 3, 0), devices_max=1, burst=6, depth=False, kinds=RESIZED),
    "devices that change, several": Climate(windows=(0.5, 3, math.inf), burst=6, depth=False, kinds=RESIZED),
    "wide costs": Climate(windows=(0.5, 3), units_max=40, burst=30, aging=False, depth=False, kinds=BUSY),
}
WORLDS = 4


@pytest.mark.parametrize("corner", CORNERS)
def test_agreement_in_corners(corner: str) -> None:
    for seed in range(WORLDS * DEPTH):
        agrees_with_model(Scheduler, make_world(Dice(random.Random(f"{corner} {seed}").randrange), CORNERS[corner], 50))
