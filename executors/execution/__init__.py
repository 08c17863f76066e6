"""Sandboxed execution of candidates against unit tests."""
