"""Tests of ``parking_lot_core``."""
