"""JavaScript as a language of candidates and tests."""
