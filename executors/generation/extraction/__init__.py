"""Extraction of programs and unit tests from answers of models."""
