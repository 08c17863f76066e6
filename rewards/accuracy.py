"""How good picks are, measured against ground truth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: int) -> NDArray[np.float64]:
    """Unbiased estimate of the chance that at least one of k drawn candidates is right.

    ``1 - C(samples - correct, k) / C(samples, k)`` (Chen et al. 2021, arXiv 2107.03374, equation 1),
    as a sum of logarithms, so that neither huge binomials nor tiny chances lose digits.

    Args:
        samples: candidates of each problem.
        correct: right ones among them; broadcasts with ``samples``.
        k: how many are drawn without replacement.

    Returns:
        One estimate a problem, in the broadcast shape.

    Raises:
        ValueError: unless 1 <= k <= samples and 0 <= correct <= samples for every problem.
    """
    drawn_from, right = np.broadcast_arrays(samples, correct)
    if k < 1 or (drawn_from < k).any():
        raise ValueError(f"k must be between 1 and the number of samples but is {k}")
    if (right < 0).any() or (right > drawn_from).any():
        raise ValueError("the number of right samples must be between 0 and the number of samples")
    log_all_wrong = np.zeros(drawn_from.shape)
    with np.errstate(divide="ignore"):  # log of 0: more draws than wrong samples, surely a right one
        for draws in range(k):
            left = drawn_from - draws
            log_all_wrong += np.log1p(-np.minimum(right / left, 1.0))
    return np.asarray(-np.expm1(log_all_wrong))


def expected_accuracy(winners: NDArray[np.intp], correct: NDArray[np.bool_]) -> float:
    """Chance that a pick drawn evenly from the tied winners is right.

    Args:
        winners: indices of the tied candidates, at least one.
        correct: shape (candidates,), the ground truth.

    Raises:
        ValueError: without winners.
    """
    if len(winners) == 0:
        raise ValueError("the accuracy of a pick needs at least 1 winner but got none")
    return float(np.mean(correct[winners]))
