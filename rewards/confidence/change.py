"""p_change: probability that more tests change the output group of a pick. It is learned without labels.

The outcome is seen on any recorded run: the pick after m tests, and the pick after ``horizon(m)`` more. In
``change.json`` are weights for runs that name none to fit from. They were fitted by
``benchmarks/change_model.py`` to the recordings in ``examples`` and to outcome files of three other
families of writers: samples of CodeGen-16B on HumanEval, programs and assertions of stronger models on
HumanEval, and the same on MBPP. Each family had the same weight. No label was read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.confidence.model import LogisticModel
from testbudget.rewards.confidence.pick import pick_features_by
from testbudget.rewards.prefix_statistics import PrefixStatistics
from testbudget.rewards.selection.calibrated import Calibrated

CHANGE_FEATURES = (
    "exp of the negative lead",
    "lead",
    "number of tests",
    "share of the tests that are passable",
    "share of the passable tests passed",
    "share of the posterior",
    "agreement with the pick",
)
"""Names of the features, in their order."""

_VERSION = 1  # of a model as JSON
_SHARE_OF_TESTS = 4  # a horizon is this part of the tests so far: a single test often changes nothing
_MAX_LEAD, _LARGE_LEAD = 6.0, 10.0  # of the lead itself, and of its exponential
_LEAST_AGREEMENT = 0.02
_RULE = Calibrated()


def horizon(tests: int) -> int:
    """Number of further tests after which a change is looked for: a quarter of the tests, at least 1."""
    return max(1, -(-tests // _SHARE_OF_TESTS))


def change_features_by(
    statistics: PrefixStatistics, winners: NDArray[np.bool_] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Features of the picks of any rule, float64 (counts, features), in the order of ``CHANGE_FEATURES``.

    The lead is the best score of a winner minus the best of the other candidates, by the rule
    ``calibrated``; at least 0, and large if there are no others. With m tests, u of them passed by any
    candidate:

    1. ``exp(-lead)``, with the lead at most 10.
    2. The lead, at most 6.
    3. ``ln (1 + m)``.
    4. ``u / m``; NaN before the first test.
    5. Tests that the pick passes, as a share of u.
    6. Log-odds of its output group's share in the posterior.
    7. ``ln max(a, 0.02)``, with a the agreement of the pick.

    Features 5 to 7 are those of ``pick_features_by``, NaN before the first test and known input.

    Args:
        statistics: statistics of a problem; with the batch, if it is one of many.
        winners: bool (counts, candidates); or int64, number of winners that each column stands for.
    """
    of_pick = pick_features_by(statistics, winners)
    posterior, agreement, passed, log_tests = of_pick[:, :4].T
    lead = _lead(statistics, winners > 0)
    tests = statistics.counts
    with np.errstate(invalid="ignore", divide="ignore"):
        passable = np.where(tests > 0, statistics.tests_seen[:, 0] / tests, np.nan)
    return np.stack(
        [
            np.exp(-np.minimum(lead, _LARGE_LEAD)),
            np.minimum(lead, _MAX_LEAD),
            log_tests,
            passable,
            passed,
            np.log(posterior / (1 - posterior)),
            np.log(np.maximum(agreement, _LEAST_AGREEMENT)),
        ],
        axis=1,
    )


def _lead(statistics: PrefixStatistics, won: NDArray[np.bool_]) -> NDArray[np.float64]:
    scores = _RULE.scores(statistics)
    best = np.where(won, scores, -np.inf).max(axis=1)
    other = np.where(won, -np.inf, scores).max(axis=1)
    return np.asarray(np.clip(best - other, 0.0, _LARGE_LEAD))


@dataclass(frozen=True, slots=True, eq=False)
class ChangeModel:
    """Logistic model of p_change.

    Attributes:
        source: description of the runs that it was fitted on.
        model: of the features in ``CHANGE_FEATURES``.
    """

    source: str
    model: LogisticModel

    def p_change(
        self, statistics: PrefixStatistics, winners: NDArray[np.bool_] | NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """p_change of the picks after each count, float64 (counts,).

        Args:
            statistics: statistics of a problem; with the batch, if it is one of many.
            winners: bool (counts, candidates); or int64, number of winners that each column stands for.
        """
        return self.model.probability(change_features_by(statistics, winners))

    def as_json(self, **facts: str | int) -> str:
        """The model as JSON, numbers to six digits.

        Args:
            **facts: further fields, which are not read back.
        """
        fields = {
            "version": _VERSION,
            **facts,
            "source": self.source,
            "intercept, means, weights": self.model.as_row(6),
        }
        return json.dumps(fields, indent=1) + "\n"

    @classmethod
    def of_json(cls, text: str) -> Self:
        """The model from the text of ``as_json``.

        Raises:
            ValueError: the text is not what ``as_json`` writes.
        """
        try:
            content = json.loads(text)
            if content["version"] != _VERSION:
                raise ValueError(f"the version must be {_VERSION}")
            source = str(content["source"])
            model = LogisticModel.of_row(content["intercept, means, weights"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("the text must be JSON with a source and a model") from error
        if len(model.weights) != len(CHANGE_FEATURES):
            raise ValueError(f"a model must have {len(CHANGE_FEATURES)} means and as many weights")
        return cls(source, model)


@cache
def default_change_model() -> ChangeModel:
    """The model for runs that name none to fit from; read from ``change.json``, once."""
    return ChangeModel.of_json(Path(__file__).with_name("change.json").read_text(encoding="utf-8"))


def change_of_picks(
    groups: NDArray[np.intp], winners: NDArray[np.bool_] | NDArray[np.int64], counts: Sequence[int]
) -> NDArray[np.float64]:
    """Probability that the picks after m and after ``m + horizon(m)`` tests differ in their output group.

    Picks are drawn evenly among tied winners, and alike where both can be: the total variation distance of
    their distributions over output groups. After the last tests, the pick stays.

    Args:
        groups: intp (candidates,), output group of each candidate after all tests.
        winners: bool (tests + 1, candidates), winners after 0, 1, ..., all tests; or int64, number of
            winners that each column stands for.
        counts: numbers m of tests.

    Returns:
        float64 (counts,).
    """
    shares = np.zeros((len(winners), int(groups.max()) + 1))
    for column, group in enumerate(groups.tolist()):
        shares[:, group] += winners[:, column]
    shares /= shares.sum(axis=1, keepdims=True)
    now = np.asarray(counts, np.intp)
    later = np.array([min(count + horizon(count), len(winners) - 1) for count in counts], np.intp)
    return np.asarray(1 - np.minimum(shares[now], shares[later]).sum(axis=1))
