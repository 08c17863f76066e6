"""Probabilities that picks and candidates are correct, learned on labelled runs, in plain NumPy."""
