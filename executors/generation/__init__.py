"""Generation of candidates and unit tests by models."""
