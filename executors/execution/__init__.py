"""Sandboxed execution of candidates against unit tests.

``runner.Runner`` is the way in::

    with Runner(Limits(cpu_seconds=1.0)) as runner:
        outcomes = runner.run(candidates, tests)  # outcomes.verdicts: (candidates, tests)

A test never runs in the process of the candidate that it judges, but for the few that need to. How that is
built is in docs/architecture.md, what it protects in docs/sandbox.md, what it takes in docs/isolation.md.
"""
