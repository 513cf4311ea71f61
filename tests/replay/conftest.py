"""The trace that comes with the examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from parking_lot_drivers.replay import Arrival, read_trace

EXAMPLES = Path(__file__).parents[2] / "examples" / "replay"
TRACE = EXAMPLES / "azure_llm_conversations_2023.csv"
CONFIG = EXAMPLES / "gpu.json"


@pytest.fixture(scope="session")
def arrivals() -> list[Arrival]:
    """Every request of the real trace."""
    return read_trace(TRACE)
