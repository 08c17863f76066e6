"""Preparation of a run: candidates, labels, hidden states and predictions before the first test."""
