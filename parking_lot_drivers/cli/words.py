"""Spans of time, rates and counts as a person reads them."""

from __future__ import annotations


def span(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    seconds = max(0.0, seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if minutes == 0:
        return f"{whole} s"
    if hours == 0:
        return f"{minutes} min {whole % 60:02} s"
    if days == 0:
        return f"{hours} h {minutes % 60:02} min"
    return f"{days} d {hours % 24} h"


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    whole = round(max(0.0, seconds))
    hours, rest = divmod(whole, 3600)
    minutes, seconds_left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_left:02}" if hours else f"{minutes}:{seconds_left:02}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 task``, ``2,000 tasks``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def per_second(rate: float) -> str:
    """A rate with about three digits."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
