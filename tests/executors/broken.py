"""A module that fails to import."""

NOTHING = 1 / 0
