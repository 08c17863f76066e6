"""Gain models: accuracy that more tests add, as fitted on finished runs."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyBins:
    """Mean accuracy curves of problems with similar predicted pass rates.

    Attributes:
        edges: float64 (bins - 1,), ascending pass rates. A pass rate on an edge belongs to the bin above.
        accuracy: float64 (bins, tests + 1), mean accuracy of the pick after m tests of each problem.
    """

    edges: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def bin_of(self, pass_rates: NDArray[np.floating]) -> NDArray[np.intp]:
        """Bin number of each predicted pass rate, intp (problems,)."""
        return np.searchsorted(self.edges, pass_rates, side="right")


@dataclass(frozen=True, slots=True, eq=False)
class GainModel:
    """Gain of more tests, fitted on the problems of a finished run under one selection rule.

    Attributes:
        selection: name of the rule.
        accuracy: float64 (tests + 1,), mean accuracy of the pick after m tests of each problem.
        best_budget: number of tests beyond which accuracy clearly fell; None if it did not.
        counts: intp (counts,), ascending numbers of tests at which the relation of gain and p_wrong was
            fitted; at least one.
        mean_p_wrong: float64 (counts,), mean probability that the pick is wrong.
        weights: float64 (counts,), slope of the gain in p_wrong, both relative to their means; 0 if there
            is little evidence, never negative when fitted.
        bins: accuracy by predicted pass rate; None if pass rates were not predicted.
    """

    selection: str
    accuracy: NDArray[np.float64]
    best_budget: int | None
    counts: NDArray[np.intp]
    mean_p_wrong: NDArray[np.float64]
    weights: NDArray[np.float64]
    bins: DifficultyBins | None = None

    def multiplier(self, tests: NDArray[np.integer], p_wrong: NDArray[np.floating]) -> NDArray[np.float64]:
        """Gain of more tests relative to the average problem with as many tests.

        ``1 + w (p_wrong / mean_p_wrong - 1)``, with w and mean_p_wrong interpolated between the counts.

        Args:
            tests: int (problems,), number of tests of each problem.
            p_wrong: float (problems,), probability that its pick is wrong.

        Returns:
            float64 (problems,); may be negative.
        """
        mean = np.interp(tests, self.counts, self.mean_p_wrong)
        weight = np.interp(tests, self.counts, self.weights)
        return np.asarray(1 + weight * (p_wrong / np.maximum(mean, 1e-9) - 1))


@dataclass(frozen=True, slots=True, eq=False)
class GainModelAssignment:
    """The gain model of each problem, fitted without that problem.

    Attributes:
        gain_models: at least one.
        gain_model_of: intp (problems,), positions in ``gain_models``.
    """

    gain_models: tuple[GainModel, ...]
    gain_model_of: NDArray[np.intp]

    @classmethod
    def shared(cls, gain_model: GainModel, problems: int) -> Self:
        """One gain model for all problems, fitted on none of them."""
        return cls((gain_model,), np.zeros(problems, np.intp))
