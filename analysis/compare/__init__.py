"""Comparison of selection rules, policies and predictors on the recorded tests of one run."""
