"""Values for the tests of stores; they are part of the contract that authors of stores run."""

from parking_lot_drivers.testing.samples import (
    BOX,
    DETAILED,
    batch,
    cancellation,
    checkpoint,
    delivery,
    parked,
    retried,
    running,
    stopping,
    stored,
    submission,
)

__all__ = [
    "BOX",
    "DETAILED",
    "batch",
    "cancellation",
    "checkpoint",
    "delivery",
    "parked",
    "retried",
    "running",
    "stopping",
    "stored",
    "submission",
]
