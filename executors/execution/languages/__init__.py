"""Programming languages of candidates and tests."""
