"""What finished runs taught about what tests are worth, for policies to rest on."""

import json
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.errors import UserError


@dataclass(frozen=True, slots=True, eq=False)
class DifficultyBins:
    """What tests were worth to problems that were predicted to be equally hard.

    Attributes:
        edges: float64 (bins - 1,), ascending pass rates; one on an edge belongs to the bin above.
        accuracy: float64 (bins, tests + 1), mean accuracy of a bin's problems after so many tests.
    """

    edges: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def of(self, pass_rates: NDArray[np.floating]) -> NDArray[np.intp]:
        """The bin of each predicted pass rate."""
        return np.searchsorted(self.edges, pass_rates, side="right")


@dataclass(frozen=True, slots=True, eq=False)
class GainModel:
    """What some problems of finished runs taught, under one selection rule.

    Attributes:
        selection: name of the rule.
        accuracy: float64 (tests + 1,), mean accuracy of picks after so many tests of each problem.
        most: number of tests beyond which accuracy clearly fell; None where it did not.
        counts: intp (counts,), ascending numbers of tests at which doubts were weighed, at least one.
        usual: float64 (counts,), the mean chance there that a pick is wrong; see ``Policy.tell``.
        weights: float64 (counts,), by which share the gain of more tests exceeds its mean where the doubt
            is twice as large as usual; 0 where the evidence is thin, never negative when learned.
        bins: None where pass rates were not predicted.
    """

    selection: str
    accuracy: NDArray[np.float64]
    most: int | None
    counts: NDArray[np.intp]
    usual: NDArray[np.float64]
    weights: NDArray[np.float64]
    bins: DifficultyBins | None = None

    def multiplier(self, tests: NDArray[np.integer], p_wrong: NDArray[np.floating]) -> NDArray[np.float64]:
        """Gain of more tests by that of a usual problem with as many, shape (problems,); may be negative.

        Args:
            tests: shape (problems,), how many each has.
            doubts: shape (problems,), chances that the picks by these are wrong.
        """
        usual = np.interp(tests, self.counts, self.usual)
        weight = np.interp(tests, self.counts, self.weights)
        return np.asarray(1 + weight * (p_wrong / np.maximum(usual, 1e-9) - 1))

    def to_json(self) -> str:
        """As text; ``from_json`` reads it."""
        bins = self.bins and {"edges": self.bins.edges.tolist(), "accuracy": self.bins.accuracy.tolist()}
        fields = {
            "selection": self.selection,
            "accuracy": self.accuracy.tolist(),
            "most": self.most,
            "counts": self.counts.tolist(),
            "usual": self.usual.tolist(),
            "weights": self.weights.tolist(),
            "bins": bins,
        }
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From text that ``to_json`` wrote.

        Raises:
            UserError: it is something else.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            bins = fields["bins"]
            return cls(
                str(fields["selection"]),
                np.asarray(fields["accuracy"], np.float64),
                None if fields["most"] is None else int(fields["most"]),
                np.asarray(fields["counts"], np.intp),
                np.asarray(fields["usual"], np.float64),
                np.asarray(fields["weights"], np.float64),
                bins
                and DifficultyBins(*(np.asarray(bins[name], np.float64) for name in ("edges", "accuracy"))),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"a lesson must be JSON with its fields but got {type(error).__name__}: {error}"
            ) from None


@dataclass(frozen=True, slots=True, eq=False)
class GainModels:
    """The lesson that each problem is allocated by: one that this problem had no part in.

    Attributes:
        lessons: at least one.
        lesson_of: intp (problems,), positions in ``gain_models``.
    """

    gain_models: tuple[GainModel, ...]
    gain_model_of: NDArray[np.intp]

    @classmethod
    def shared(cls, gain_model: GainModel, problems: int) -> Self:
        """One lesson for problems none of which it was learned from."""
        return cls((gain_model,), np.zeros(problems, np.intp))
