"""Tests on a real Postgres server, and the server."""
