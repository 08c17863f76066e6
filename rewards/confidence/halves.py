"""Whether a pick would be the same on other tests: the tests are parted in halves, and each half picks."""

import numpy as np
from numpy.typing import NDArray

from rewards.evidence import Evidence
from rewards.selection.base import SelectionRule
from rewards.selection.growth import kinds

_SPLITS = 4
_SEED = 0  # the same evidence is always split alike


def agreement_of_halves(
    evidence: Evidence, rule: SelectionRule, winners: NDArray[np.intp]
) -> tuple[float, float]:
    """How often picks from random halves of the tests behave like each other, and like the whole's pick.

    Candidates behave alike if their outputs are equal, or if they passed the same tests where no outputs
    are known. Ties are drawn evenly.

    Args:
        evidence: of one problem.
        rule: picks.
        winners: of all the tests.

    Returns:
        Two shares in [0, 1]; NaN for less than two tests.
    """
    tests = evidence.votes.tests
    if tests < 2:
        return np.nan, np.nan
    members = kinds(evidence)
    whole = _shares(members, winners)
    random = np.random.default_rng(_SEED)
    each_other = with_whole = 0.0
    for _ in range(_SPLITS):
        order = random.permutation(tests)
        one, other = (
            _shares(members, rule.winners(evidence.of_tests(np.sort(half))))
            for half in (order[: tests // 2], order[tests // 2 :])
        )
        each_other += float(one @ other) / _SPLITS
        with_whole += float((one + other) @ whole) / (2 * _SPLITS)
    return each_other, with_whole


def _shares(members: NDArray[np.intp], winners: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.bincount(members[winners], minlength=members.max() + 1) / len(winners)
