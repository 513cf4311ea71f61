"""Tests of the testing kit itself, as strangers use it."""
