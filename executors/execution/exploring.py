"""Running tests, and with them further inputs: variations of those that the tests use.

What candidates do on an input groups them without anybody knowing what the right output is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from executors.execution.runner import Outcomes, Runner
from executors.execution.variations import variations
from rewards.behaviour import Input, join
from rewards.problem import UnitTest


def run_and_vary(
    runner: Runner,
    candidates: Sequence[str],
    tests: Sequence[UnitTest],
    entry_point: str | None,
    count: int,
) -> Outcomes:
    """Run candidates on tests of one problem, and each on variations of the inputs that a test uses.

    Which variations there are follows from the tests alone: neither their number nor their order, nor the
    candidates, make a difference to those of one test.

    Args:
        runner: runs both.
        candidates, tests, entry_point: as for :meth:`Runner.run`.
        count: variations for each test, at most; there are none of a test that makes no calls.

    Raises:
        SandboxError: as :meth:`Runner.run`.
    """
    outcomes = runner.run(candidates, tests, entry_point)
    assert outcomes.behaviour is not None
    varied = {test.index: _variations(test, outcomes.behaviour.inputs, count) for test in tests}
    inputs = [given for found in varied.values() for given in found]
    if not inputs:
        return outcomes
    done, used = runner.call(candidates, inputs)
    owners = np.repeat([*varied], [len(found) for found in varied.values()])
    alone = replace(
        done,
        inputs=tuple(
            replace(given, test=owner) for given, owner in zip(done.inputs, owners.tolist(), strict=True)
        ),
    )
    of_tests = [test.index for test in tests]
    cpu_seconds = np.stack([used[:, owners == index].sum(axis=1) for index in of_tests], axis=1)
    return replace(
        outcomes,
        cpu_seconds=outcomes.cpu_seconds + cpu_seconds,
        behaviour=join([outcomes.behaviour, alone]),
        variations=np.asarray([len(varied[index]) for index in of_tests], np.int64),
    )


def _variations(test: UnitTest, inputs: Sequence[Input], count: int) -> list[Input]:
    rng = np.random.default_rng([test.seed, test.index])
    return variations([given for given in inputs if given.test == test.index], count, rng)
