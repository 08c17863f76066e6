"""Finished runs: records, Parquet tables, recorded tests, and the sources of problems and votes."""
