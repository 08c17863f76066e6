"""What votes say of whether more tests will change a pick for the better."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.votes import Votes

SIGNALS = ("flip", "barren")
"""Columns of :func:`signals`.

``flip``: chance that the leader by tests passed changes, ``Φ(-z)`` with z its lead over the rival that is
nearest, in standard deviations: tests passed more than the rival, by the root of one more than the tests
that only one of the two passes. A half while nobody has passed anything. ``barren``: share of candidates
that have passed no test.
"""

_CELLS = 1 << 16  # verdicts unpacked at a time: few enough for a processor's cache


def signals(votes: Sequence[Votes]) -> NDArray[np.float64]:
    """Signals of many problems, shape (problems, signals); each lies between 0 and 1."""
    found = np.empty((len(votes), len(SIGNALS)))
    alike: dict[tuple[int, int], list[int]] = {}
    for position, of_problem in enumerate(votes):
        alike.setdefault((of_problem.tests, of_problem.candidates), []).append(position)
    for (tests, candidates), positions in alike.items():
        at_once = max(1, _CELLS // max(1, tests * candidates))
        for start in range(0, len(positions), at_once):
            part = positions[start : start + at_once]
            found[part] = _signals([votes[position] for position in part])
    return found


def _signals(votes: Sequence[Votes]) -> NDArray[np.float64]:
    """The same for problems with equally many tests and candidates."""
    scores = np.stack([of_problem.scores() for of_problem in votes]).astype(np.float32)
    passed = np.stack([of_problem.passed() for of_problem in votes]).astype(np.float32)
    problems, leaders = np.arange(len(votes)), scores.argmax(axis=1)
    best = scores[problems, leaders]
    shared = np.matmul(passed[problems, :, leaders][:, np.newaxis], passed)[:, 0]
    apart = best[:, np.newaxis] + scores - 2 * shared
    rivals = apart > 0
    leads = np.where(rivals, (best[:, np.newaxis] - scores) / np.sqrt(apart + 1), np.inf).min(axis=1)
    # Where all passed the same, the rival is one who passes nothing.
    leads = np.where(rivals.any(axis=1), leads, best / np.sqrt(best + 1))
    return np.stack([_normal_tail(leads), (scores == 0).mean(axis=1)], axis=1)


def _normal_tail(deviations: NDArray[np.floating]) -> NDArray[np.float64]:
    """``Φ(-z)`` within 2e-4, by the logistic function of Bowling et al. (2009)."""
    z = np.minimum(deviations, 20.0).astype(np.float64)
    return np.asarray(1 / (1 + np.exp(1.5976 * z + 0.07056 * z**3)))
