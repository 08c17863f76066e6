"""Allocation policies: the number of tests that each problem gets. Pure NumPy."""
