"""Judging inside the sandbox: server process, fork server, blocks and their phases."""
