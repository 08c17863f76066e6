"""Models that write candidates and unit tests."""
