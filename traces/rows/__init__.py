"""Rows of data files: JSON Lines, JSON, CSV, Parquet, Arrow and dataset directories."""
