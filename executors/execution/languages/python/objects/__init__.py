"""Judging of tests on the objects of a candidate, which stay in a process of their own."""
