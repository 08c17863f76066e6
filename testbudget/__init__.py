"""One compute budget for unit tests across many programming problems: the public Python API."""
