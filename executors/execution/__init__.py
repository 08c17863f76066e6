"""Sandboxed execution of candidates on unit tests.

``runner.Runner`` is the entry point::

    with Runner(TestLimits(cpu_seconds=1.0)) as runner:
        block = runner.run(candidates, tests)  # block.verdicts: uint8 (candidates, tests)

A test runs in the process of the candidate that it judges only if it cannot be judged from recorded calls.
docs/architecture.md describes the processes, docs/sandbox.md what they protect, docs/isolation.md what each
isolation layer needs.
"""
