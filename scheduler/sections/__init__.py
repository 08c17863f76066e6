"""Sections of a job file as pydantic models, one module per part of a run."""
