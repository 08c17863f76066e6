"""Level of p_correct over a whole batch, without labels: agreement of picks from two halves.

The candidates and the tests of each problem are parted into halves, and each half of the candidates is
picked from by one half of the tests, by the rule `calibrated`. Picks that are right are equal. So the share
of problems whose two picks have equal outputs estimates how many picks are right, and the log-odds of all
problems are moved by one number until their mean is that share.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.rewards.outputs import Evidence
from testbudget.rewards.prefix_statistics import output_groups_or_pass_sets
from testbudget.rewards.selection.batch import final_statistics
from testbudget.rewards.selection.calibrated import Calibrated

LEVEL_PROBLEMS = 300
"""Problems that are enough for the level."""

_SPLITS = 3
_SEED = 0  # equal evidence is always split alike
_MIN_TESTS = 2  # halves of one test have none; from two on, halves tell more than any feature of a batch
_PRIOR_PROBLEMS = 10.0  # whose level is that of the mean p_correct
_CLIP = 0.05  # smallest distance of the agreement from 0 and 1
_STEPS = 40
_RULE = Calibrated()


def halves_agreement(problems: Sequence[Evidence]) -> float:
    """Share of problems whose picks from two halves have equal outputs, mean over three splits.

    Without recorded outputs, candidates that passed the same tests count as equal. Ties are drawn evenly.

    Args:
        problems: evidence of the batch; problems with fewer than two tests or candidates are left out.

    Returns:
        The share; NaN without problems.
    """
    split = [one for one in problems if one.votes.tests >= _MIN_TESTS and one.votes.candidates > 1]
    if not split:
        return float("nan")
    rng = np.random.default_rng(_SEED)
    groups = [output_groups_or_pass_sets(one) for one in split]
    agreements = []
    for _ in range(_SPLITS):
        drawn = [(rng.permutation(one.votes.candidates), rng.permutation(one.votes.tests)) for one in split]
        shares = []
        for half in (0, 1):
            candidates = [np.sort(of_candidates[half::2]) for of_candidates, _ in drawn]
            parts = [
                one.of_candidates(chosen).of_tests(np.sort(tests[half::2]))
                for one, chosen, (_, tests) in zip(split, candidates, drawn, strict=True)
            ]
            shares.append(
                [
                    np.bincount(of_all[chosen[winners]], minlength=of_all.max() + 1) / len(winners)
                    for of_all, chosen, winners in zip(groups, candidates, _picks(parts), strict=True)
                ]
            )
        agreements += [float(one @ other) for one, other in zip(*shares, strict=True)]
    return float(np.mean(agreements))


def at_level(
    p_correct: NDArray[np.float64], tests: NDArray[np.intp], agreement: float
) -> NDArray[np.float64]:
    """p_correct of a batch's picks, with the log-odds moved until their mean is the agreement of halves.

    The wanted mean is drawn to the present one by a prior of ten problems. Problems with fewer than two
    tests keep their p_correct.

    Args:
        p_correct: float64 (problems,).
        tests: intp (problems,), number of tests of each.
        agreement: result of :func:`halves_agreement`; NaN to change nothing.
    """
    moved = tests >= _MIN_TESTS
    if np.isnan(agreement) or not moved.any():
        return p_correct
    log_odds = _log_odds(np.clip(p_correct[moved], 1e-6, 1 - 1e-6))
    weight = moved.sum() / (moved.sum() + _PRIOR_PROBLEMS)
    wanted = weight * _log_odds(np.clip(agreement, _CLIP, 1 - _CLIP))
    level = _logistic(wanted + (1 - weight) * _log_odds(p_correct[moved].mean(keepdims=True))[0])
    shift = 0.0
    for _ in range(_STEPS):
        now = _logistic(log_odds + shift)
        shift += float((level - now.mean()) / max((now * (1 - now)).mean(), 1e-3))
    result = p_correct.copy()
    result[moved] = _logistic(log_odds + shift)
    return result


def _picks(problems: Sequence[Evidence]) -> list[NDArray[np.intp]]:
    """Winners of each problem, with the calibration of the batch that they make up."""
    return [np.flatnonzero(_RULE.winners_by(one)[-1]) for one in final_statistics(problems)]


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(p / (1 - p)))


def _logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
