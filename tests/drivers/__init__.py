"""Tests of the pool: what its users rely on, hop by hop, with stores that fail and processes that are killed."""
