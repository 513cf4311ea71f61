"""What is said where Hypothesis is not installed."""

from __future__ import annotations


class MissingHypothesis(ImportError):
    """Part of the testing kit needs Hypothesis, and it is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the package hypothesis, which is not installed: "
            "pip install 'prometheus-parking-lot[testing]' (verify() does without it)",
            name="hypothesis",
        )
