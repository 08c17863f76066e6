"""Python as a language of candidates and tests."""
