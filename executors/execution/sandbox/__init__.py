"""Isolation of untrusted code by namespaces, control groups, Landlock, seccomp and resource limits."""
