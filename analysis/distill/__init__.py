"""Training data for test writers and code models, made from finished runs."""
