"""Who is first: priority, aging, fair share, sequence."""

from __future__ import annotations

from parking_lot_core import Tick
from tests.core.play import finish, submit
from tests.vectors.play import Check, Scenario
from tests.vectors.scenarios.words import pool

SCENARIOS = [
    Scenario(
        "priorities",
        "Higher classes first, then the order of arrival; what callers say of time orders nothing.",
        pool(1),
        [
            submit("first", at=0),
            submit("low", 1, "low", at=1),
            submit("normal", 1, at=1),
            submit("high", 1, "high", at=1, start_by=99.0),
            submit("critical", 1, "critical", at=1),
            submit("high too", 1, "high", at=1, start_by=50.0),
            Check(),
            *(finish(name, at=2) for name in ("first", "critical", "high", "high too", "normal", "low")),
        ],
    ),
    Scenario(
        "aging",
        "A class for every 2 s of waiting, up to the highest, counted from the end of a delay.",
        pool(1, aging=2.0),
        [
            submit("first", at=0),
            submit("low", 1, "low", at=0),
            submit("delayed", 1, "low", at=0, not_before=1.0),
            Tick(2),
            submit("normal", 1, at=2),
            Check(),
            submit("high", 1, "high", at=2.75),
            Tick(4),
            Check(),
            Tick(5),
            Check(),
            finish("first", at=6),
            Tick(7),
            finish("low", at=8),
            finish("delayed", at=8),
        ],
    ),
    Scenario(
        "aging makes a head",
        "A task that gains a class is blocked in place of another: who may pass changes with time alone.",
        pool(4, aging=4.0, backfill_window=2.0),
        [
            submit("a", 3, at=0),
            submit("old", 2, "low", at=0),
            submit("head", 4, at=1),
            submit("s1", 1, "low", at=1),
            Tick(3),
            finish("s1", at=3),
            submit("s2", 1, at=3.5),
            Tick(4),
            Tick(5),
            finish("a", at=6),
        ],
    ),
    Scenario(
        "fair share",
        "Ann has twice the weight of Bob, and whoever is not named weighs 1.",
        pool(2, tenants={"ann": 2, "bob": 1}),
        [
            submit("first", 2, at=0),
            *(submit(f"b{number}", 2, at=0, tenant="bob") for number in (1, 2)),
            *(submit(f"a{number}", 2, at=0, tenant="ann") for number in (1, 2, 3)),
            submit("x1", 1, at=0, tenant="else"),
            submit("hb", 1, "high", at=0, tenant="bob"),
            Check(),
            finish("first", at=1),
            finish("hb", at=2),
            finish("x1", at=2),
            finish("b1", at=3),
            finish("a1", at=4),
            submit("a4", 1, at=4, tenant="ann"),
            Check(),
            finish("a2", at=5),
            finish("b2", at=6),
            finish("a3", at=7),
            finish("a4", at=8),
        ],
    ),
    Scenario(
        "fair share in odd weights",
        "Increments are rounded half to even, and at least 1.",
        pool(2, tenants={"third": 3, "heavy": 1e6, "light": 0.3, "": 0.5}),
        [
            submit("first", 2, at=0),
            *(
                submit(f"{name or 'none'}{units}", units, at=0, tenant=name)
                for name in ("third", "heavy", "light", "")
                for units in (1, 2)
            ),
            Check(),
            finish("first", at=1),
            finish("third1", at=1),
        ],
    ),
]
