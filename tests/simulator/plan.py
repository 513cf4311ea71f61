"""What happens in one world, drawn from its seed: the policy, the tasks and their runs, what users do, and the faults.

Nothing here depends on how the run goes, except faults of single calls: they are drawn as calls are made.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import attrs

from parking_lot_core import PoolConfig, Priority
from parking_lot_drivers._submission import task_id_of
from parking_lot_drivers.shared_ports import SharedBudget
from tests.simulator.stores import KINDS, POOL


def dice(seed: int, *what: object) -> random.Random:
    """Chance for one purpose, so that other draws do not change it."""
    return random.Random(" ".join(map(str, (seed, *what))))


@attrs.frozen(kw_only=True)
class Script:
    """How one start of one task goes, if it is let.

    Attributes:
        kind: ``ok``, ``fails``, ``never`` (a failure that is not retried), ``lost`` (its worker dies), ``hangs``.
        seconds: how long it takes.
        stubborn: for how long it goes on after it was told to stop.
        wins: whether it returns its result even though it was told to stop.
        again: after how many seconds its end is reported once more; ``None``: it is not.
    """

    kind: str
    seconds: float
    stubborn: float = 0.0
    wins: bool = False
    again: float | None = None


@attrs.frozen(kw_only=True)
class Spec:
    """A task that somebody submits."""

    key: str
    units: int
    priority: Priority
    tenant: str
    timeout: float | None
    run_timeout: float | None
    delay: float | None
    max_attempts: int | None
    keyed: bool

    @property
    def task_id(self) -> str:
        """The id that the lot knows it by."""
        return task_id_of(POOL, None, self.key) if self.keyed else self.key

    def options(self) -> dict[str, Any]:
        """As arguments of ``submit``."""
        return {
            "units": self.units,
            "priority": self.priority,
            "tenant": self.tenant,
            "timeout": self.timeout,
            "run_timeout": self.run_timeout,
            "delay": self.delay,
            "max_attempts": self.max_attempts,
            ("idempotency_key" if self.keyed else "task_id"): self.key,
        }


@attrs.frozen
class Intent:
    """What a user does at a moment (in virtual seconds): ``submit``, ``cancel``, ``capacity``, ``fetch``, ``await``."""

    at: float
    what: str
    spec: Spec | None = None
    device: str = ""
    units: int = 0
    wait: bool = False


@attrs.frozen
class Blow:
    """A fault of a process, or of the machine: ``kill``, ``freeze``, ``stop`` (in order), ``jump`` (of the clock)."""

    at: float
    what: str
    host: int = 0
    seconds: float = 0.0


@attrs.frozen
class CallFault:
    """What befalls one call to a store: how long it takes, and whether it ``failed`` or ``lied``."""

    before: float = 0.0
    after: float = 0.0
    kind: str = ""


@attrs.frozen(kw_only=True)
class Rates:
    """Chances per call to a store, per start of a task, or per gap.

    ``stand``: that a host stands still, for longer than its lease, soon after it has started a task.
    """

    failed: float = 0.0
    lied: float = 0.0
    hung: float = 0.0
    die: float = 0.0
    bad_run: float = 0.0
    slow_heart: float = 0.0
    stand: float = 0.0


@attrs.frozen(kw_only=True)
class Plan:
    """One world.

    Attributes:
        seed: it was drawn from.
        kind: of the lot.
        hosts: how many processes schedule it.
        safety: for how many virtual seconds there are faults.
        users: what the user of each host does, and after those, what each client in a process of its own does.
        die_at: the number of the gap at which the first host dies, counted from 1; 0: it does not.
    """

    seed: int
    kind: str
    hosts: int
    safety: float
    config: PoolConfig
    budget: SharedBudget | None
    specs: Sequence[Spec]
    users: Sequence[Sequence[Intent]]
    blows: Sequence[Blow]
    rates: Rates
    die_at: int = 0

    def script(self, key: str, epoch: int) -> Script:
        """How a start goes, whoever makes it."""
        chance = dice(self.seed, "run", key, epoch)
        seconds = chance.choice([0.0, 0.02, 0.1, 0.4, 1.0, 2.0, 4.0])
        if chance.random() >= self.rates.bad_run:
            return Script(kind="ok", seconds=seconds)
        spec = next(spec for spec in self.specs if spec.key == key)
        kinds = ["ok", "ok", "fails", "fails", "never", "lost"] + ["hangs", "hangs"] * (spec.run_timeout is not None)
        return Script(
            kind=chance.choice(kinds),
            seconds=seconds,
            stubborn=chance.choice([0.0, 0.0, 0.5, 4.0]),
            wins=chance.random() < 0.2,
            again=chance.choice([None, 0.0, 0.05, 1.0, 4.0]),
        )


def draw(
    seed: int,
    *,
    kind: str | None = None,
    hosts: int | None = None,
    seconds: float | None = None,
) -> Plan:
    """The world of a seed; what is given is not drawn."""
    chance = dice(seed, "world")
    kind_drawn = chance.choice([*KINDS, "shared", "shared", "sqlite"])
    kind = kind or kind_drawn
    many = chance.choice([1, 2, 2, 3])
    if not kind.startswith("shared"):
        many = 1
    elif hosts is not None:
        many = hosts
    safety = chance.choice([6.0, 10.0, 15.0]) if seconds is None else seconds
    config = _config(dice(seed, "config"))
    budget = None
    if kind.startswith("shared") and dice(seed, "budget").random() < 0.5:
        budget = SharedBudget(name="budget", devices=config.budgets)
    specs = _specs(dice(seed, "tasks"), config)
    clients = 0 if kind.startswith("memory") else dice(seed, "clients").choice([0, 1, 1, 2])
    users = [
        _user(dice(seed, "user", place), specs[place :: many + clients], specs, config, safety, client=place >= many)
        for place in range(many + clients)
    ]
    rate = dice(seed, "rates").choice([0.0, 0.01, 0.03, 0.06])
    rates = Rates(
        failed=rate,
        lied=rate,
        hung=rate / 2,
        die=dice(seed, "deaths").choice([0.0, 0.0, 0.004, 0.015]),
        bad_run=dice(seed, "runs").choice([0.1, 0.4, 0.7]),
        slow_heart=dice(seed, "hearts").choice([0.0, 0.0, 0.01, 0.05]),
        stand=dice(seed, "standstills").choice([0.0, 0.0, 0.1, 0.3]) if kind.startswith("shared") else 0.0,
    )
    return Plan(
        seed=seed,
        kind=kind,
        hosts=many,
        safety=safety,
        config=config,
        budget=budget,
        specs=specs,
        users=users,
        blows=_blows(dice(seed, "blows"), many, safety),
        rates=rates,
    )


def short(kind: str, hosts: int, die_at: int) -> Plan:
    """A short day without faults, but that the first host dies at one gap, for going through all gaps."""
    specs = [
        Spec(
            key=f"t{number}",
            units=units,
            priority=priority,
            tenant="",
            timeout=None,
            run_timeout=None,
            delay=None,
            max_attempts=4,
            keyed=number % 2 == 0,
        )
        for number, (units, priority) in enumerate(
            [(2, Priority.NORMAL), (3, Priority.LOW), (1, Priority.HIGH), (2, Priority.NORMAL)]
        )
    ]
    moments = [0.0, 0.0, 0.3, 1.0]
    users = [
        [
            Intent(moments[place], "submit", spec)
            for place, spec in enumerate(specs)
            if hosts == 1 or place % hosts == host
        ]
        for host in range(hosts)
    ]
    users[0].append(Intent(1.1, "cancel", specs[1]))
    return Plan(
        seed=0,
        kind=kind,
        hosts=hosts,
        safety=4.0,
        config=PoolConfig(max_units=3, retry_backoff=0.1, backfill_window=1.0),
        budget=None,
        specs=specs,
        users=users,
        blows=[],
        rates=Rates(),
        die_at=die_at,
    )


def _config(chance: random.Random) -> PoolConfig:
    devices = chance.choice([{"gpu": 3}, {"gpu": 4}, {"gpu-0": 4, "gpu-1": 2}, {"gpu": 1}])
    return PoolConfig(
        devices=devices,
        max_queue_depth=chance.choice([3, 6, 50, 50]),
        backfill_window=chance.choice([0.0, 1.0, 60.0, math.inf]),
        aging=chance.choice([None, None, 2.0]),
        run_timeout=chance.choice([None, None, 3.0]),
        max_attempts=chance.choice([2, 3, 4]),
        retry_backoff=chance.choice([0.0, 0.1, 0.5]),
        retry_backoff_max=2.0,
        tenants=chance.choice([{}, {}, {"acme": 2.0, "umbrella": 1.0}]),
    )


def _specs(chance: random.Random, config: PoolConfig) -> list[Spec]:
    largest = max(config.budgets.values())
    return [
        Spec(
            key=f"t{number}",
            units=chance.randint(1, largest),
            priority=chance.choice(list(Priority)),
            tenant=chance.choice(["", "acme", "umbrella"]),
            timeout=chance.choice([None, None, None, 0.5, 4.0]),
            run_timeout=chance.choice([None, 0.3, 1.5]),
            delay=chance.choice([None, None, None, 0.2, 2.0]),
            max_attempts=chance.choice([None, None, 1, 5]),
            keyed=chance.random() < 0.5,
        )
        for number in range(chance.randint(4, 12))
    ]


def _user(
    chance: random.Random,
    own: Sequence[Spec],
    specs: Sequence[Spec],
    config: PoolConfig,
    safety: float,
    *,
    client: bool,
) -> list[Intent]:
    """What one user does: submits its own tasks, some twice; cancels, waits for and asks for anybody's."""

    def moment() -> float:
        return round(chance.uniform(0, safety * 0.9), 3) if chance.random() < 0.7 else 0.0

    intents = [Intent(moment(), "submit", spec, wait=chance.random() < 0.3) for spec in own]
    intents += [Intent(moment(), "submit", spec) for spec in specs if chance.random() < 0.1]
    intents += [Intent(moment(), "cancel", spec) for spec in specs if chance.random() < 0.12]
    intents += [Intent(moment(), "await", spec) for spec in specs if chance.random() < 0.2]
    intents += [Intent(moment(), "fetch") for _ in range(2)]
    if not client:
        for device, units in config.budgets.items():
            for _ in range(chance.choice([0, 0, 1, 3])):
                intents.append(Intent(moment(), "capacity", None, device, chance.randint(0, units + 1)))
    return sorted(intents, key=lambda intent: intent.at)


def _blows(chance: random.Random, hosts: int, safety: float) -> list[Blow]:
    def moment() -> float:
        return round(chance.uniform(0, safety), 3)

    blows = []
    for host in range(hosts):
        for _ in range(chance.choice([0, 0, 1, 2])):
            blows.append(Blow(moment(), "kill", host))
        for _ in range(chance.choice([0, 0, 1, 2])):
            blows.append(Blow(moment(), "freeze", host, chance.choice([0.05, 0.5, 2.0, 5.0])))
        for _ in range(chance.choice([0, 0, 0, 1])):
            blows.append(Blow(moment(), "stop", host))
    for _ in range(chance.choice([0, 0, 1, 2])):
        blows.append(Blow(moment(), "jump", 0, chance.choice([-20.0, -3.0, -0.5, 0.5, 2.0, 10.0])))
    return sorted(blows, key=lambda blow: blow.at)
