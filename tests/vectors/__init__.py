"""Golden conformance vectors: pools, events, and what a scheduler must answer. ``README.md`` describes the format.

``python -m tests.vectors`` writes the files again from ``scenarios`` and ``seeded.py``.
"""
