"""Calibration of a batch without labels: expectation maximisation over output groups.

Each problem has at most one right group. Responsibilities start from agreement, ``(K a)^1.5``. With fixed
totals, two means are fitted to each model. With free totals, the totals and the exponent of n in the prior
of a group are fitted too; weak pools do not bear that, since the groups that pass next to nothing are then
taken for the right ones.

Beside each constant stands what it was chosen on; ``rewards.calibration`` names the data.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.calibration import (
    PRIOR_FREE_MODELS,
    PRIOR_MODELS,
    Calibration,
    Counted,
    Floats,
    GroupRows,
    PassModel,
    agreement_of_votes,
    shrunk_agreement,
    strength_of,
)

_MEANS = np.concatenate([[0.005, 0.01, 0.02], np.arange(0.03, 0.97, 0.02), [0.98]])
_TOTALS = np.array([1.0, 1.5, 2.5, 4.0, 6.0, 10.0, 16.0])  # of which free totals are chosen
_PRIOR_TESTS = 2.0  # of a right and of a wrong group, passed at the prior means
_PRIOR_SPREAD = 1.0  # standard deviation of the logarithm of a free total
_STEPS, _FREE_STEPS = 8, 20  # more change no pick
_SUPPORT_WEIGHT = 1.5  # exponent of K a in the first responsibilities
_BARRED = -60.0  # log weight of a barred group
_PRIOR_EXPONENT, _MAX_STEP, _EXPONENTS = 1.0, 0.7, (-0.5, 4.0)  # of n, if totals are free
_NONE = {Counted.ALL: 0.0, Counted.SEEN: 0.2}  # prior probability that no group is right
_NONE_IF_FREE = {Counted.ALL: 0.05, Counted.SEEN: 0.2}
_COUNTS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 26, 33, 40, 50, 65, 80, 100)
_MAX_PROBLEMS = 1000  # more add nothing to means on a grid with steps of 0.02


def calibrate(problems: Sequence[GroupRows]) -> Calibration:
    """Calibration of a batch.

    Args:
        problems: rows of each problem; of more than 1,000 problems, evenly spaced ones count.
    """
    if len(problems) > _MAX_PROBLEMS:
        problems = [problems[number * len(problems) // _MAX_PROBLEMS] for number in range(_MAX_PROBLEMS)]
    strength = float(strength_of(pool_agreement(problems)))
    weak, strong = PRIOR_MODELS, PRIOR_FREE_MODELS
    tested = [one for one in problems if one.run.any()]
    if tested and strength < 1:
        weak = _models(tested, free=False)
    if tested and strength > 0:
        strong = _models(tested, free=True)
    return Calibration(strength, weak, strong)


class BatchCalibration:
    """Calibrations of a batch by number of tests; each is computed when it is first asked for.

    A problem with fewer tests counts with all that it has.

    Args:
        problems: rows of each problem by number of tests: from 0 on those of :func:`calibrated_counts`, and
            the number of all tests. Rows for 0 tests alone are used for every number of tests.
        tests: the largest number of tests of a problem.
    """

    def __init__(self, problems: Sequence[Mapping[int, GroupRows]], tests: int) -> None:
        self.tests = tests
        self._problems = problems
        known = {0}.union(*problems)
        self._counts = [count for count in calibrated_counts(tests) if count in known]
        self._known: dict[int, Calibration] = {}

    def at(self, tests: int) -> Calibration:
        """Calibration after a number of tests, or after the next lower one with rows."""
        count = self._counts[bisect_right(self._counts, tests) - 1]
        if count not in self._known:
            rows = [of_count[max(one for one in of_count if one <= count)] for of_count in self._problems]
            self._known[count] = calibrate(rows)
        return self._known[count]


@cache
def calibrated_counts(tests: int) -> tuple[int, ...]:
    """Numbers of tests, up to a largest one, that batches are calibrated at, about a quarter apart."""
    counts = [count for count in _COUNTS if count <= tests]
    while counts[-1] >= _COUNTS[-1] and counts[-1] * 5 // 4 <= tests:
        counts.append(counts[-1] * 5 // 4)
    return tuple(counts)


def pool_agreement(problems: Sequence[GroupRows]) -> Floats:
    """Agreement of the pool of candidates, mean over problems, shrunk by the prior; float64 ()."""
    known = [one.agreement for one in problems if one.votes is None and not np.isnan(one.agreement)]
    voted = np.array([one.votes for one in problems if one.votes is not None]).reshape(-1, 2)
    total, count = np.asarray(sum(known)), len(known)
    if voted[:, 0].any():
        mean, mean_square = voted.mean(axis=0)
        total = total + len(voted) * agreement_of_votes(mean, mean_square)
        count += len(voted)
    return shrunk_agreement(total, np.asarray(count, np.float64))


def _models(problems: Sequence[GroupRows], *, free: bool) -> tuple[PassModel, PassModel]:
    return _Fit(problems, Counted.ALL, free=free).model(), _Fit(problems, Counted.SEEN, free=free).model()


class _Fit:
    """Expectation maximisation of one model. Rows of all problems are concatenated."""

    def __init__(self, problems: Sequence[GroupRows], counted: Counted, *, free: bool) -> None:
        sizes = [len(one.passed) for one in problems]
        self._starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        self._problem = np.repeat(np.arange(len(problems)), sizes)
        self._weights = np.concatenate([one.weights for one in problems])
        self._log_sizes = np.concatenate([one.log_sizes for one in problems])
        self._support = np.concatenate([one.support for one in problems])
        self._barred = np.concatenate([one.barred for one in problems])
        self._free = free
        prior = PRIOR_FREE_MODELS[counted] if free else PRIOR_MODELS[counted]
        self._none = (_NONE_IF_FREE if free else _NONE)[counted]
        # Pairs of tests passed and tests counted are numbered, so that tables are looked up by one index.
        tests = np.concatenate([one.counted(counted) for one in problems])
        numbers, position = np.unique(tests, return_inverse=True)
        begins = np.concatenate([[0], np.cumsum(numbers + 1)])
        self._pairs, self._pair = (
            int(begins[-1]),
            begins[position] + np.concatenate([one.passed for one in problems]),
        )
        means, totals = (prior.right_mean, prior.wrong_mean), (prior.right_total, prior.wrong_total)
        self._totals = [_TOTALS if free else np.array([total]) for total in totals]
        # Log likelihoods, float64 (totals, means, pairs), of right groups and of wrong ones.
        self._tables = [
            np.stack(
                [
                    np.concatenate([_log_likelihoods(int(m), float(total)) for m in numbers], axis=1)
                    for total in of_group
                ]
            )
            for of_group in (self._totals if not free else self._totals[:1])
        ]
        if free:
            self._tables *= 2
        self._log_priors = [
            _PRIOR_TESTS * (mean * np.log(_MEANS) + (1 - mean) * np.log(1 - _MEANS))
            - (0.5 * (np.log(of_group / total)[:, np.newaxis] / _PRIOR_SPREAD) ** 2 if free else 0.0)
            for mean, total, of_group in zip(means, totals, self._totals, strict=True)
        ]

    def model(self) -> PassModel:
        """The fitted model."""
        support = _SUPPORT_WEIGHT * self._support + (0.0 if self._free else _BARRED * self._barred)
        prior = support - self._normaliser(support)[1][self._problem]
        ratio, exponent = np.zeros(len(self._problem)), _PRIOR_EXPONENT
        best: list[tuple[int, int]] = []
        for step in range(_FREE_STEPS if self._free else _STEPS):
            right = self._responsibilities(prior + ratio + np.log(1 - self._none))
            wrong = np.maximum(self._weights - right, 0)
            of_problem = np.add.reduceat(wrong, self._starts)[self._problem]
            wrong = np.where(of_problem > 1e-6, wrong / np.maximum(of_problem, 1e-9), 0.0)  # 1 a problem
            best = [
                self._most_likely(weights, table, log_prior)
                for weights, table, log_prior in zip(
                    (right, wrong), self._tables, self._log_priors, strict=True
                )
            ]
            (right_total, right_mean), (wrong_total, wrong_mean) = best
            ratio = (self._tables[0][right_total, right_mean] - self._tables[1][wrong_total, wrong_mean])[
                self._pair
            ]
            if self._free:
                if step > 0:
                    exponent = self._exponent(right, exponent)
                prior = exponent * self._log_sizes
                prior = prior - self._normaliser(prior)[1][self._problem]
        (right_total, right_mean), (wrong_total, wrong_mean) = best
        return PassModel(
            float(_MEANS[right_mean]),
            float(_MEANS[wrong_mean]),
            float(self._totals[0][right_total]),
            float(self._totals[1][wrong_total]),
        )

    def _normaliser(self, values: Floats, none: float = 0.0) -> tuple[Floats, Floats]:
        """Weighted exponentials, scaled to sum 1 in each problem, and logarithms of these sums."""
        highest = np.maximum.reduceat(values, self._starts)
        if none:
            highest = np.maximum(highest, np.log(none))
        scaled = np.exp(values - highest[self._problem]) * self._weights
        total = np.add.reduceat(scaled, self._starts)
        if none:
            total = total + np.exp(np.log(none) - highest)
        return scaled / total[self._problem], highest + np.log(total)

    def _responsibilities(self, values: Floats) -> Floats:
        return self._normaliser(values, self._none)[0]

    def _most_likely(self, weights: Floats, table: Floats, log_prior: Floats) -> tuple[int, int]:
        """Positions of the most likely total and mean."""
        likelihood = log_prior + table @ np.bincount(self._pair, weights, self._pairs)
        position = int(likelihood.argmax())
        return position // len(_MEANS), position % len(_MEANS)

    def _exponent(self, right: Floats, exponent: float) -> float:
        """Exponent of n in the prior of a group: two steps of Newton's method, penalised towards 1."""
        some = np.add.reduceat(right, self._starts)
        for _ in range(2):
            shares = self._normaliser(exponent * self._log_sizes)[0]
            mean = np.add.reduceat(shares * self._log_sizes, self._starts)
            square = np.add.reduceat(shares * self._log_sizes**2, self._starts)
            slope = right @ self._log_sizes - some @ mean - (exponent - _PRIOR_EXPONENT)
            bend = some @ (square - mean**2) + 1.0
            exponent += float(np.clip(slope / bend, -_MAX_STEP, _MAX_STEP))
        return float(np.clip(exponent, *_EXPONENTS))


@lru_cache(maxsize=4096)
def _log_likelihoods(tests: int, total: float) -> NDArray[np.float64]:
    """Log likelihood of s passes in given places, float64 (means, tests + 1), for each of ``_MEANS``."""
    steps = np.arange(tests)
    start = np.zeros((len(_MEANS), 1))
    passes, failures = (
        np.concatenate([start, np.cumsum(np.log(total * x[:, np.newaxis] + steps), axis=1)], axis=1)
        for x in (_MEANS, 1 - _MEANS)
    )
    return np.asarray(passes + failures[:, ::-1] - np.log(total + steps).sum())
