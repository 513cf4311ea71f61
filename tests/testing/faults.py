"""For each invariant broken schedulers, and the climate in which they are found out."""

from __future__ import annotations

from parking_lot_core.testing import broken, worlds
from parking_lot_core.testing.model import Model
from parking_lot_core.testing.worlds import Climate

ANY = Climate()
CROWD = Climate(kinds=worlds.QUIET, depth=False)
ONE_DEVICE = Climate(devices_max=1, windows=(3, 1, 8), aging=False)
TIMELY = Climate(devices_max=1, windows=(3, 1, 8), limits=True, timely=True, kinds=worlds.QUIET)
NO_LIMITS = Climate(windows=(3, 0, 1, 8), limits=False, kinds=worlds.QUIET)

FAULTS: tuple[tuple[str, type[Model], Climate], ...] = (
    ("Budget", broken.Overcommits, ANY),
    ("Budget", broken.IgnoresDrop, ANY),
    ("Fencing", broken.BelievesStaleWorkers, ANY),
    ("Fencing", broken.ReusesEpochs, ANY),
    ("Conservation", broken.DropsOutcomes, ANY),
    ("Conservation", broken.ExpiresTwice, ANY),
    ("Depth", broken.IgnoresDepth, ANY),
    ("Depth", broken.RefusesEarly, ANY),
    ("Order", broken.LastInFirstOut, CROWD),
    ("Order", broken.IgnoresTags, CROWD),
    ("Order", broken.IgnoresDelays, ANY),
    ("WorkConservation", broken.OneStartPerStep, CROWD),
    ("WorkConservation", broken.NeverBackfills, CROWD),
    ("NoDelay", broken.MiscountsSpare, TIMELY),
    ("NoDelay", broken.IgnoresReservations, ONE_DEVICE),
    ("BoundedBypass", broken.PassesUnderStrictOrder, NO_LIMITS),
    ("BoundedBypass", broken.NeverDrains, NO_LIMITS),
    ("Expiry", broken.StartsExpired, ANY),
    ("Expiry", broken.ExpiresEarly, ANY),
    ("CrashSafety", broken.ForgetsTheTime, ANY),
    ("CrashSafety", broken.ForgetsShares, ANY),
    ("Determinism", broken.RemembersOtherRuns, CROWD),
    ("Time", broken.GoesBackInTime, ANY),
    ("Time", broken.CountsTicks, ANY),
    ("Liveness", broken.NeverRetries, ANY),
    ("Agreement", broken.LastInFirstOut, CROWD),
    ("Agreement", broken.IgnoresAging, CROWD),
)
IDS = [f"{name}-{faulty.__name__}" for name, faulty, _ in FAULTS]
FIRST_OF_EACH = list({name: (name, faulty, climate) for name, faulty, climate in reversed(FAULTS)}.values())
