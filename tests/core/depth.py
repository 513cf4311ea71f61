"""How hard the property tests look. ``PARKING_LOT_TEST_DEPTH=50`` runs fifty times the examples."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

DEPTH = int(os.environ.get("PARKING_LOT_TEST_DEPTH", "1"))


def examples(count: int) -> settings:
    """Settings for a property that deserves ``count`` examples in an ordinary run."""
    return settings(
        max_examples=count * DEPTH,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
