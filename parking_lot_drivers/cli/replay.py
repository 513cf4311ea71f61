"""``parking-lot replay``: a trace of real arrivals, in virtual time, under one budget or several side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import attrs
import typer

from parking_lot_core import PoolConfig, Priority
from parking_lot_drivers.cli.output import print_json
from parking_lot_drivers.replay import (
    DEFAULT_MODEL,
    DEFAULT_SHARES,
    MODELS,
    Report,
    RequestModel,
    compress,
    read_trace,
)
from parking_lot_drivers.replay import replay as replay_arrivals
from parking_lot_drivers.replay.plot import check_target, save_plot
from parking_lot_drivers.replay.summary import heading, sections

if TYPE_CHECKING:
    from parking_lot_drivers.config import PoolSettings

_T = TypeVar("_T")

_DEFAULT_UNIT = "GiB"


def _shown(shares: Mapping[Priority, float]) -> str:
    return ",".join(f"{priority.name.lower()}={share:g}" for priority, share in shares.items())


def replay(
    trace: Annotated[Path, typer.Argument(help="CSV with TIMESTAMP, ContextTokens and GeneratedTokens.")],
    config: Annotated[Path, typer.Option(help="Configuration with the pool whose policy is tried.")],
    pool: Annotated[str | None, typer.Option(help="Name of the pool; needed if there are several.")] = None,
    units: Annotated[str | None, typer.Option(help="Budgets to compare instead of max_units, as in 16,24,32.")] = None,
    speed: Annotated[float, typer.Option(help="How many times as fast requests arrive: 2 doubles the load.")] = 1.0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many requests.")] = None,
    model: Annotated[str, typer.Option(help=f"Whose KV cache is counted: {', '.join(MODELS)}.")] = DEFAULT_MODEL,
    unit: Annotated[str | None, typer.Option(help="What a unit is; without it the pool's unit, or else GiB.")] = None,
    prefill: Annotated[float, typer.Option(help="Tokens that each request reads per second.")] = 10_000.0,
    decode: Annotated[float, typer.Option(help="Tokens that each request writes per second.")] = 100.0,
    shares: Annotated[str, typer.Option(help="How many requests get which priority.")] = _shown(DEFAULT_SHARES),
    failure_rate: Annotated[float, typer.Option(help="Share of the attempts that fail, from 0 to below 1.")] = 0.0,
    plot: Annotated[Path | None, typer.Option(help="Write a plot over time here: .png or .html.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> None:
    """Replay a trace of arrivals in virtual time: what would this budget have meant for waits and utilisation?

    Each request takes the units of its key-value cache and runs as long as its tokens need.
    """
    from parking_lot_drivers.config.quantities import BYTES

    if plot is not None:
        with _usable("--plot"):
            check_target(plot)
    settings = _pool(config, pool)
    budgets = _budgets(settings, units)
    with _usable("--prefill, --decode, --shares, --failure-rate"):
        requests = RequestModel(
            kv_bytes_per_token=_one_of("--model", model, MODELS).bytes_per_token,
            unit_bytes=_one_of("--unit", unit or settings.unit or _DEFAULT_UNIT, BYTES),
            prefill_tokens_per_s=prefill,
            decode_tokens_per_s=decode,
            shares=_shares(shares),
            failure_rate=failure_rate,
        )
    with _usable("--speed"):
        arrivals = compress(read_trace(trace, limit=limit), speed)
    reports = [replay_arrivals(budget, arrivals, requests) for budget in budgets]
    title = f"{trace.name}: {len(arrivals):,} requests" + ("" if speed == 1 else f" at {speed:g} times their speed")
    if plot is not None:
        with _usable("--plot"):
            save_plot(plot, reports, title=title, note=_assumptions(requests))
    if as_json:
        figures = [report.as_dict() for report in reports]
        print_json({"trace": str(trace), "speed": speed, "model": _as_dict(requests), "replays": figures})
    else:
        _print(reports, title, _assumptions(requests))


@contextlib.contextmanager
def _usable(option: str) -> Iterator[None]:
    """Report a value that cannot be used, or a file that cannot be written, as a mistake on the command line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint=option) from None


def _one_of(option: str, given: str, allowed: Mapping[str, _T]) -> _T:
    if given not in allowed:
        raise typer.BadParameter(f"expected one of {', '.join(allowed)}, got {given!r}", param_hint=option)
    return allowed[given]


def _pool(config: Path, name: str | None) -> PoolSettings:
    from parking_lot_drivers.build import section_of
    from parking_lot_drivers.config import load_settings

    settings = load_settings(config)
    if name is None and len(settings.pools) > 1:
        message = f"{config} has several pools; name one of {', '.join(settings.pools)}"
        raise typer.BadParameter(message, param_hint="--pool")
    return section_of(settings, name or next(iter(settings.pools)))


def _budgets(settings: PoolSettings, units: str | None) -> list[PoolConfig]:
    policy = settings.policy
    if units is None:
        return [policy]
    if policy.max_units is None:
        message = f"replaces max_units, and the pool has devices instead: {', '.join(policy.devices)}"
        raise typer.BadParameter(message, param_hint="--units")
    try:
        return [attrs.evolve(policy, max_units=int(text)) for text in units.split(",")]
    except ValueError:
        message = f"expected integers ≥ 1 with commas between them, as in 16,24,32; got {units!r}"
        raise typer.BadParameter(message, param_hint="--units") from None


def _shares(text: str) -> dict[Priority, float]:
    """``critical=5,low=20`` as shares by priority; classes that are not named get none."""
    shares: dict[Priority, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        try:
            shares[Priority[name.strip().upper()]] = float(share)
        except (KeyError, ValueError):
            message = f"expected shares such as {_shown(DEFAULT_SHARES)}, got {part!r} in {text!r}"
            raise typer.BadParameter(message, param_hint="--shares") from None
    return shares


def _as_dict(requests: RequestModel) -> dict[str, object]:
    return attrs.asdict(requests) | {"shares": {p.name.lower(): share for p, share in requests.shares.items()}}


def _assumptions(requests: RequestModel) -> str:
    """What was assumed about the requests, in one sentence each."""
    return (
        f"Assumed: {requests.kv_bytes_per_token:,} bytes of KV cache per token and {requests.unit_bytes:,} per unit; "
        f"each request reads {requests.prefill_tokens_per_s:,g} and writes {requests.decode_tokens_per_s:,g} tokens/s; "
        f"priorities {_shown(requests.shares).replace(',', ', ')} by hash of the row"
        + (f"; {requests.failure_rate:.1%} of the attempts fail." if requests.failure_rate else ".")
    )


def _print(reports: Sequence[Report], title: str, note: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column()
    for report in reports:
        table.add_column(heading(report), justify="right")
    for section in sections(reports):
        for name, cells in section:
            table.add_row(name, *cells)
        table.add_section()
    console = Console()
    console.print(table)
    console.print(note, highlight=False)
