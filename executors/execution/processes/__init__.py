"""Confined processes with limits, and the shared memory in which they leave results."""
