"""Problems of any number, each with the tests of a recorded one in a random order."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from recorded_parts import recorded_tests

from testbudget.policies.base import PolicyContext
from testbudget.rewards.selection.registry import selection_rule
from testbudget.scheduler.core.events import Bools, Floats, Ints
from testbudget.scheduler.simulation import PickEstimates
from testbudget.traces.learning_curves import compute_learning_curves, random_permutations
from testbudget.traces.records import QUANTITIES

SEED = 7
SEQUENCES = 256
"""Tests that one engine generates at once."""

_RULE = "calibrated"


@dataclass(frozen=True, slots=True, eq=False)
class RecordedWork:
    """Work and results of tests, by problem and number of the test.

    Attributes:
        generation: float64 (problems, tests), seconds in which one of the sequences of a full engine
            generates a test: its share of the recorded tokens, at the recorded GPU-seconds per token.
        execution: float64 (problems, tests), CPU-seconds of a test on all programs of its problem.
        usable: bool (problems, tests), True for a test with a vote.
        estimates: p_wrong and p_change after the first m tests.
        programs: int64 (problems,), distinct programs.
    """

    generation: Floats
    execution: Floats
    usable: Bools
    estimates: PickEstimates
    programs: Ints

    @classmethod
    def of_recording(cls, permutations: int) -> Self:
        """All recorded problems, in several random permutations of their tests."""
        recorded = recorded_tests()
        drawn = [
            random_permutations(recorded, np.random.default_rng([SEED, number]))
            for number in range(permutations)
        ]
        curves = [compute_learning_curves(recorded, one, selection_rule(_RULE)) for one in drawn]
        pairs = [(one, tests) for permuted in drawn for one, tests in zip(recorded, permuted, strict=True)]
        costs = np.nan_to_num(np.stack([one.costs[tests] for one, tests in pairs]))
        tokens, gpu_seconds, cpu_seconds = (
            costs[:, :, QUANTITIES.index(name)] for name in ("tokens", "gpu_seconds", "cpu_seconds")
        )
        return cls(
            tokens * (SEQUENCES * gpu_seconds.sum() / tokens.sum()),
            cpu_seconds,
            np.stack([one.rows[tests] >= 0 for one, tests in pairs]),
            PickEstimates.of([curve for permuted in curves for curve in permuted]),
            np.array([one.programs.max() + 1 for one, _ in pairs]),
        )

    def repeated(self, problems: int) -> "RecordedWork":
        """So many problems; the same ones again and again if there are more."""
        taken = np.arange(problems) % len(self.programs)

        def rows(array: NDArray) -> NDArray:
            return array[taken]

        return RecordedWork(
            rows(self.generation),
            rows(self.execution),
            rows(self.usable),
            PickEstimates(rows(self.estimates.p_wrong), rows(self.estimates.p_change)),
            rows(self.programs),
        )

    @property
    def context(self) -> PolicyContext:
        """Inputs of policies."""
        return PolicyContext(len(self.programs), SEED)
