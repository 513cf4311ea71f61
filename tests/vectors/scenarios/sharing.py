"""Tasks that are offered and withdrawn."""

from __future__ import annotations

from parking_lot_core import Cancelled, Tick, Withdrawn
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import FAILED, offer, pool

SCENARIOS = [
    Scenario(
        "offers",
        "Tasks that are durable elsewhere are parked as they stand: no command, no check of size or depth.",
        pool(2, max_queue_depth=1, tenants={"ann": 2}),
        [
            offer("a", 2, sequence=7, at=1, tag=2**20),
            offer("b", 2, sequence=3, at=1, tag=5, tenant="ann"),
            offer("c", 9, sequence=4, at=1),
            offer("d", 1, sequence=9, at=1, ready_at=3.0),
            offer("e", 1, sequence=10, at=1, start_by=2.0),
            offer("f", 1, sequence=11, at=2, start_by=2.0),
            Check(),
            submit("full", at=2),
            finish("a", at=2),
            finish("b", at=2),
            submit("g", 1, at=2.5, tenant="ann"),
            Tick(3),
        ],
    ),
    Scenario(
        "offers that clash",
        "A known id, or a sequence that a known task has, is counted and ignored; what is due then goes first.",
        pool(1),
        [
            submit("a", at=0),
            submit("b", at=0, start_by=4.0),
            offer("a", sequence=9, at=1),
            offer("x", sequence=1, at=1),
            offer("y", sequence=2, at=1),
            offer("y", sequence=2, at=4),
            offer("b", sequence=12, at=4),
            Check(),
            submit("c", at=5),
        ],
    ),
    Scenario(
        "offers with a past",
        "Epochs and attempts go on where another host left them.",
        pool(1, max_attempts=3),
        [
            offer("a", sequence=5, at=1, epoch=4, attempts=2),
            finish("a", 4, at=2),
            finish("a", 5, FAILED, at=3),
            offer("b", sequence=5, at=4, epoch=1, attempts=0, max_attempts=1),
            finish("b", 2, FAILED, at=5),
        ],
    ),
    Scenario(
        "withdrawals",
        "Exactly this epoch, in whatever state: forgotten, its units released, and no command about it.",
        pool(2),
        [
            submit("a", 2, at=0),
            submit("b", 2, at=0),
            offer("c", 2, sequence=9, at=0, epoch=3, attempts=1),
            submit("d", 1, at=0),
            Withdrawn("b", 1, 1),
            Withdrawn("nobody", 0, 1),
            Withdrawn("a", 0, 1),
            Withdrawn("b", 0, 2),
            Withdrawn("a", 1, 3),
            Check(),
            finish("a", 1, at=4),
            Cancelled("d", 4),
            Withdrawn("d", 1, 5),
            Withdrawn("c", 4, 6),
        ],
    ),
]
