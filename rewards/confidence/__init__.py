"""Probabilities that picks and candidates are correct, fitted on labelled runs."""
