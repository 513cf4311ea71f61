"""One world from its beginning to its end: first with faults, then without, until everything has come to its end."""

from __future__ import annotations

import contextlib
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio

from tests.simulator.bound import Work, bound
from tests.simulator.host import Client, Host, HostProcess, Inhabitant
from tests.simulator.observer import Observer
from tests.simulator.plan import CallFault, Plan, Script, dice
from tests.simulator.process import Process
from tests.simulator.stores import LEASE, Lot
from tests.simulator.virtual import PROCESS, Backend

_LOOK_S = 1.0
_STEP_S = 0.25

#: The longest that a call to a store hangs, and that a program is down, in virtual seconds.
HANG_MOST = 8.0
DOWN_MOST = 2.0


class World:
    """A lot, its inhabitants, and fate."""

    def __init__(self, plan: Plan, backend: Backend, folder: Path) -> None:
        self.plan = plan
        self._backend = backend
        self.lot = Lot(plan.kind, folder, plan.budget, plan.config.aging is not None)
        self.trace: list[str] = []
        self.observer = Observer(plan, self.lot, self.note)
        self.faults: Counter[str] = Counter()
        self.errors: list[BaseException] = []
        self.wall_offset = 0.0
        self.gaps = 0
        self.calm = False
        #: Nothing counts any more: what is left is being thrown away.
        self.over = False
        self._chance = dice(plan.seed, "fate")
        self._standstills = dice(plan.seed, "stand")
        self._jumped = 0.0
        self.processes: list[Process] = []
        self._inhabitants: list[Inhabitant] = []
        self._hosts: list[Host] = []

    # -- what everybody asks of it -------------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the beginning."""
        return self._backend.now()

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        if self.over:
            return
        self.trace.append(f"{self.now():11.5f}  {who:<12} {what}")

    def count(self, fault: str) -> None:
        """A fault was injected."""
        self.faults[fault] += 1

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Start a task; it belongs to the process that asks for it."""
        self._group.start_soon(self._guarded, function, *args)

    async def _guarded(self, function: Callable[..., Any], *args: Any) -> None:
        try:
            await function(*args)
        except Exception as error:
            self.broke(error)

    def broke(self, error: Exception) -> None:
        """Something in a world, or the simulator itself, raised what nobody expects."""
        if not self.over:
            self.errors.append(error)
            self.note("SIMULATOR", "".join(traceback.format_exception_only(error)).strip())

    def script(self, key: str, epoch: int) -> Script:
        """How a run goes."""
        script = self.plan.script(key, epoch)
        if self.calm:
            return Script(kind="ok", seconds=script.seconds)
        if script.kind != "ok":
            self.count(f"executor: {script.kind}")
        return script

    def close(self) -> None:
        """Break all connections to the lot."""
        for process in self.processes:
            for connection in process.connections:
                connection.close_here()
            for release in process.at_death:
                with contextlib.suppress(RuntimeError):  # there is no event loop any more
                    release()
        self.lot.close()

    # -- fate ----------------------------------------------------------------------------------------------------

    def dies_at(self, process: Process, where: str) -> bool:
        """Whether the process dies at this gap."""
        if self.calm or self.over:
            return False
        self.gaps += process.name.startswith("host-0")
        if self.plan.die_at:
            dies = self.gaps == self.plan.die_at and process.name.startswith("host-0")
        else:
            dies = self.plan.rates.die > 0 and self._chance.random() < self.plan.rates.die
        if dies:
            self.count(f"crash {where.split()[0]} {'a call' if 'beat' not in where else ''}".strip())
        return dies

    def call_fault(self, process: Process, what: str) -> CallFault:
        """What befalls a call to a store."""
        chance, rates = self._chance, self.plan.rates
        quick = (chance.choice((0.0001, 0.0005, 0.002)), chance.choice((0.0, 0.0001, 0.001)))
        writes = what.startswith(("save", "commit", "deliver", "enqueue", "post"))
        if writes:
            self.note(process.name, what)
        if self.calm:
            return CallFault(*quick)
        draw = chance.random() * (1 if writes else 4)
        for kind, rate in (("failed", rates.failed), ("lied", rates.lied), ("hung", rates.hung)):
            if draw < rate:
                self.count(f"{'commit' if writes else 'read'} {kind}")
                self.note(process.name, f"... {what.split()[0]} {kind}")
                if kind == "hung":
                    long = chance.choice((0.5, 2.0, HANG_MOST))
                    return CallFault(quick[0] + long, quick[1]) if chance.random() < 0.5 else CallFault(quick[0], long)
                return CallFault(*quick, kind)
            draw -= rate
        return CallFault(*quick)

    def heart_fault(self) -> float:
        """For how long a heart skips beats."""
        if self.calm or self._chance.random() >= self.plan.rates.slow_heart:
            return 0.0
        self.count("slow heart")
        return self._chance.choice((0.5, 2.0, 5.0))

    def restart_delay(self) -> float:
        """For how long a program is down."""
        return self._chance.choice((0.01, 0.5, DOWN_MOST))

    def process_died(self, process: Process) -> None:
        """See that nothing was lost with it."""
        if isinstance(process, HostProcess):
            self.observer.died(process)
        self.observer.check_kept()

    # -- the course of the world ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """From beginning to end."""
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        for place, intents in enumerate(self.plan.users):
            if place < self.plan.hosts:
                self._hosts.append(Host(self, f"host-{place}", list(intents)))
            else:
                self._inhabitants.append(Client(self, f"client-{place - self.plan.hosts}", list(intents)))
        self._inhabitants += self._hosts
        for inhabitant in self._inhabitants:
            self.spawn(inhabitant.supervise)
        self.spawn(self._strike)
        while self.now() < self.plan.safety:
            await anyio.sleep(min(_LOOK_S, self.plan.safety - self.now()))
            self.observer.check_kept()
        self._calm_down()
        await self._finish()
        self.observer.check_kept()
        self.over = True

    async def _strike(self) -> None:
        for blow in self.plan.blows:
            await anyio.sleep(max(0.0, blow.at - self.now()))
            if self.calm:
                return
            self.count(blow.what if blow.what != "jump" else f"clock jumps {'back' if blow.seconds < 0 else 'ahead'}")
            if blow.what == "jump":
                self.note("clock", f"jumps by {blow.seconds:+} s")
                self.wall_offset += blow.seconds
                self._jumped += abs(blow.seconds)
                continue
            host = self._hosts[blow.host]
            process = host.process
            if process is None or process.dead:
                continue
            if blow.what == "kill":
                process.die("killed")
            elif blow.what == "stop":
                self.note(process.name, "is told to leave")
                host.leave.set()
            else:
                await self._stand_still(process, 0.0, blow.seconds, wait=False)

    def may_stand_still(self, process: Process) -> None:
        """A host has started a task: maybe it stands still for longer than its lease now, and others take over."""
        if self.calm or self.plan.rates.stand == 0 or self._standstills.random() >= self.plan.rates.stand:
            return
        self.count("freeze past the lease")
        soon = self._standstills.choice((0.0, 0.001, 0.05))
        self._group.start_soon(self._stand_still, process, soon, LEASE + self._standstills.choice((0.5, 0.8, 2.0)))

    async def _stand_still(self, process: Process, soon: float, seconds: float, *, wait: bool = True) -> None:
        PROCESS.set(None)  # whoever asked for it
        await anyio.sleep(soon)
        if process.stopped or self.calm:
            return
        self.note(process.name, f"stands still for {seconds} s")
        process.freeze()
        if wait:
            await self._thaw_after(process, seconds)
        else:
            self.spawn(self._thaw_after, process, seconds)

    async def _thaw_after(self, process: Process, seconds: float) -> None:
        await anyio.sleep(seconds)
        if process.stopped and not process.dead:
            self.note(process.name, "goes on")
            process.thaw()

    def _calm_down(self) -> None:
        """From now on nothing fails any more."""
        self.note("world", "no more faults")
        self.calm = True
        for host in self._hosts:
            if host.process is not None and not host.process.dead:
                host.process.thaw()
            for device, units in self.plan.config.budgets.items():
                host.tell(device, units)

    async def _finish(self) -> None:
        limit = bound(
            Work(
                tasks=len(self.plan.specs),
                config=self.plan.config,
                shared=self.lot.shared,
                jumped=self._jumped,
                intents=sum(len(each.intents) + len(each.busy) for each in self._inhabitants),
            )
        )
        until = self.now() + limit
        while not self._done():
            if self.now() >= until:
                self.observer.violation("liveness", f"after {limit:.0f} s without faults: {self._left()}")
                return
            await anyio.sleep(_STEP_S)
        self.note("world", "all is done")

    def _done(self) -> bool:
        content = all(each.content for each in self._inhabitants)
        return content and not self.lot.rows() and not self.lot.requested() and not self.observer.live

    def _left(self) -> str:
        users = {
            each.name: [*(f"{intent.what} {intent.spec and intent.spec.key}" for intent in each.busy), *each.awaited]
            for each in self._inhabitants
            if not each.content
        }
        why = [
            f"{host.process.name}: {host.process.pool.stats()} {host.process.pool.explain(task_id)}"
            for host in self._hosts
            if isinstance(host.process, HostProcess) and not host.process.stopped
            for task_id in self.lot.rows()
        ]
        return f"queue {self.lot.rows()}, requests {sorted(self.lot.requested())}, users wait for {users}; {why}"
