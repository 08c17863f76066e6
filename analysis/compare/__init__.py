"""Policies and predictors held against each other on a finished run."""
