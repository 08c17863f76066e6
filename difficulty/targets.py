"""What a predictor may learn of a problem, and how each of it is measured on a finished run.

Values are learned as shares in [0, 1]; a gain g in [-1, 1] is learned as (g + 1)/2.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAIN_COUNTS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of tests at which the gain over none is learned."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a finished run says of one problem.

    Attributes:
        right, candidates: right ones among the candidates.
        tests: written tests, usable or not.
        false_positive_rate, false_negative_rate: of the tests; NaN where there was nothing to err on.
        gains: by number of tests, as far as the run can tell.
    """

    right: int
    candidates: int
    tests: int
    false_positive_rate: float
    false_negative_rate: float
    gains: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Target:
    """One number a problem.

    Attributes:
        name: what model files and reports call it.
        meaning: in words.
        event: the yes-or-no question behind it, for which a predictor's ranking is scored.
        value: of a problem as measured, NaN where it could not be.
        samples: how many samples stand behind that value.
        signed: whether values lie in [-1, 1] rather than [0, 1].
    """

    name: str
    meaning: str
    event: str
    value: Callable[[Measured], float]
    samples: Callable[[Measured], int]
    signed: bool = False

    def as_share(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of the target as what a predictor learns, in [0, 1]."""
        return (values + 1) / 2 if self.signed else values

    def from_share(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a predictor says, in [0, 1], as values of the target."""
        return 2 * shares - 1 if self.signed else shares

    def deviation_from_share(self, deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations of what a predictor says, as those of the target."""
        return 2 * deviations if self.signed else deviations


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """A target as measured on some problems.

    Attributes:
        values: float64 (problems,), NaN where it could not be measured.
        weights: float64 (problems,), how many samples stand behind each value.
        event: bool (problems,), the answer to the target's yes-or-no question; False where unknown.
    """

    target: Target
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    event: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which problems it was measured on, shape (problems,)."""
        return np.isfinite(self.values) & (self.weights > 0)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Labels":
        """Those of some problems."""
        return Labels(self.target, self.values[rows], self.weights[rows], self.event[rows])


def labels(target: Target, measured: Sequence[Measured]) -> Labels:
    """A target of each problem.

    Its event is a positive value, but for rates of error, which are rarely nothing: a value above the
    median of these problems.
    """
    values = np.asarray([target.value(problem) for problem in measured], dtype=np.float64)
    weights = np.asarray([target.samples(problem) for problem in measured], dtype=np.float64)
    threshold = float(np.nanmedian(values)) if target in _ERROR_RATES and np.isfinite(values).any() else 0.0
    return Labels(target, values, weights, values > threshold)


def gain(tests: int) -> Target:
    """What so many tests add to the accuracy of the pick."""
    return Target(
        f"gain_{tests}",
        f"accuracy of the pick by {tests} of its tests, less that of a random candidate",
        "tests help",
        lambda problem: problem.gains.get(tests, math.nan),
        lambda problem: problem.tests,
        signed=True,
    )


PASS_RATE = Target(
    "pass_rate",
    "share of right candidates",
    "some candidate is right",
    lambda problem: problem.right / problem.candidates,
    lambda problem: problem.candidates,
)
SOLVABLE = Target(
    "solvable",
    "whether some candidate is right",
    "some candidate is right",
    lambda problem: float(problem.right > 0),
    lambda _: 1,
)
FALSE_POSITIVE_RATE = Target(
    "false_positive_rate",
    "chance that a test passes a wrong candidate",
    "it is above the median",
    lambda problem: problem.false_positive_rate,
    lambda problem: problem.tests,
)
FALSE_NEGATIVE_RATE = Target(
    "false_negative_rate",
    "chance that a test fails a right candidate",
    "it is above the median",
    lambda problem: problem.false_negative_rate,
    lambda problem: problem.tests,
)
_ERROR_RATES = (FALSE_POSITIVE_RATE, FALSE_NEGATIVE_RATE)
TARGETS = {target.name: target for target in (PASS_RATE, SOLVABLE, *_ERROR_RATES, *map(gain, GAIN_COUNTS))}
"""All targets by name."""
