"""Prediction of problem difficulty before the first test, from hidden states and prompts."""
