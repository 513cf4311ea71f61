"""A whole lot as a person sees it at one moment, or as a script reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from parking_lot_core import DeviceView, PoolConfig, ScheduledTask, TaskState
from parking_lot_drivers.cli.words import counted, per_second, span
from parking_lot_drivers.config.problems import printable
from parking_lot_drivers.ports import Host, Overview

_BAR_WIDTH = 40


@attrs.frozen(kw_only=True)
class Frame:
    """What there is to show. ``where`` names the lot; ``at`` is in seconds since the epoch.

    ``rate`` counts outcomes per second, if they were watched for a while. ``hosts`` are all that schedule the lot; with
    ``apart``, each of them has devices of its own.
    """

    pool: str
    where: str
    policy: PoolConfig
    seen: Overview
    at: float
    rate: float | None = None
    hosts: Sequence[Host] = ()
    apart: bool = False

    def drawn(self, rows: int) -> Group:
        """The frame, with at most ``rows`` rows in each list of tasks."""
        parts: list[RenderableType] = [self._head(), self._devices()]
        if self.seen.running:
            parts.append(self._running(self.seen.running[:rows]))
        if self.seen.waiting:
            parts.append(self._waiting(self.seen.waiting[:rows]))
        return Group(*parts)

    def _head(self) -> Table:
        seen = self.seen
        counts = [f"{len(seen.running):,} running", f"{seen.parked:,} parked", f"{seen.outcomes:,} ended"]
        counts += [f"{seen.requests:,} posted"] if seen.requests else []
        counts += [f"{counted(seen.set_aside, 'row')} unreadable"] if seen.set_aside else []
        counts += [] if self.rate is None else [f"{per_second(self.rate)} ended/s"]
        grid = _grid()
        grid.add_row("pool", f"{self.pool}, {printable(self.where)}")
        if len(self.hosts) > 1:
            for number, host in enumerate(self.hosts):
                grid.add_row("" if number else "hosts", host_words(host, self.at))
        else:
            grid.add_row("host", host_words(seen.host, self.at))
        grid.add_row("tasks", ", ".join(counts))
        return grid

    def _devices(self) -> Table:
        grid = _grid()
        for device in self._device_views():
            row = Table.grid(padding=(0, 2, 0, 0))
            of_each = f", {len(self.hosts)} hosts" if self.apart and len(self.hosts) > 1 else ""
            row.add_row(_Bar(device), f"{device.used:,} of {device.capacity:,} units{of_each}")
            grid.add_row(f"device {printable(device.name)}", row)
        return grid

    def _device_views(self) -> list[DeviceView]:
        """Units by device, over all hosts."""
        times = max(1, len(self.hosts)) if self.apart else 1
        views = devices_of(self.seen, self.policy)
        return [DeviceView(d.name, d.capacity * times, d.used, d.capacity * times - d.used) for d in views]

    def _running(self, tasks: Sequence[ScheduledTask]) -> Table:
        table = _table("running", "device", "units", "attempt", "since")
        for task in tasks:
            table.add_row(
                printable(task.id),
                printable(task.device or ""),
                f"{task.units:,}",
                str(task.attempts),
                span(self.at - (task.started_at or self.at))
                + (" stopping" if task.state is TaskState.STOPPING else ""),
            )
        return _with_rest(table, len(self.seen.running) - len(tasks))

    def _waiting(self, tasks: Sequence[ScheduledTask]) -> Table:
        table = _table("next in line", "units", "priority", "waits", "")
        for task in tasks:
            table.add_row(
                printable(task.id),
                f"{task.units:,}",
                task.metadata.priority.name.lower(),
                span(self.at - task.admitted_at),
                remarks(task, self.at),
            )
        return _with_rest(table, self.seen.parked - len(tasks))

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        seen = self.seen
        return {
            "pool": self.pool,
            "lot": self.where,
            "host": None if seen.host is None else attrs.asdict(seen.host),
            "hosts": [attrs.asdict(host) for host in self.hosts],
            "devices": [
                {"name": device.name, "capacity": device.capacity, "used": device.used, "free": device.free}
                for device in self._device_views()
            ],
            "running": [task_as_json(task) for task in seen.running],
            "parked": seen.parked,
            "waiting": [task_as_json(task) for task in seen.waiting],
            "posted": seen.requests,
            "ended": seen.outcomes,
            "unreadable": seen.set_aside,
        }


class _Bar:
    """Units in use as a bar, also where there are no colours."""

    def __init__(self, device: DeviceView) -> None:
        share = min(1.0, device.used / device.capacity) if device.capacity else float(device.used > 0)
        self._filled = round(share * _BAR_WIDTH)

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Text]:
        full, empty = "#." if options.ascii_only else "█░"
        yield Text(full * self._filled + empty * (_BAR_WIDTH - self._filled))


def devices_of(seen: Overview, policy: PoolConfig) -> list[DeviceView]:
    """Units by device: capacities as the scheduling process last saved them, or as configured where there is none."""
    capacities = dict(policy.budgets)
    if seen.host is not None and seen.checkpoint is not None:
        for record in seen.checkpoint.devices:
            if capacities.get(record.device, record.configured) == record.configured:
                capacities[record.device] = record.capacity
    used = dict.fromkeys(capacities, 0)
    for task in seen.running:
        used[task.device or ""] = used.get(task.device or "", 0) + task.units
    return [
        DeviceView(name, capacities.get(name, 0), units, capacities.get(name, 0) - units)
        for name, units in used.items()
    ]


def _since(task: ScheduledTask, now: float) -> str:
    since = "" if task.started_at is None else span(now - task.started_at)
    return f"{since} stopping" if task.state is TaskState.STOPPING else since


def host_words(host: Host | None, now: float) -> str:
    """Who schedules a lot."""
    if host is None:
        return "none: nothing starts before work or batch serves this lot"
    name = f"{host.id}, " if host.id else ""
    return f"{name}process {host.pid} on {host.hostname}, lease renewed {span(now - host.renewed_at)} ago"


def remarks(task: ScheduledTask, now: float) -> str:
    """What is special about a parked task."""
    told = []
    if task.ready_at is not None and task.ready_at > now:
        told.append(
            f"{'again' if task.attempts else 'not'} {'in' if task.attempts else 'for'} {span(task.ready_at - now)}"
        )
    if task.attempts:
        told.append(f"tried {counted(task.attempts, 'time')}")
    if task.metadata.start_by is not None:
        told.append(f"expires in {span(task.metadata.start_by - now)}")
    return ", ".join(told)


def task_as_json(task: ScheduledTask) -> dict[str, Any]:
    """A task that has no outcome yet. Times in seconds since the epoch."""
    metadata = task.metadata
    return {
        "id": task.id,
        "state": task.state.value,
        "units": task.units,
        "priority": metadata.priority.name.lower(),
        "tenant": metadata.tenant,
        "device": task.device,
        "epoch": task.epoch,
        "attempts": task.attempts,
        "admitted_at": task.admitted_at,
        "started_at": task.started_at,
        "ready_at": task.ready_at,
        "start_by": metadata.start_by,
        "run_timeout": metadata.run_timeout,
    }


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, overflow="ellipsis")
    for column in columns:
        table.add_column(column, justify="right" if column in ("units", "attempt") else "left", no_wrap=True)
    return table


def _with_rest(table: Table, rest: int) -> Table:
    if rest > 0:
        table.caption = Text(f"and {rest:,} more")
        table.caption_justify = "left"
    return table
