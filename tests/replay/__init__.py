"""Tests of the replay of arrival traces."""
