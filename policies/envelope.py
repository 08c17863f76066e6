"""Concave envelopes of accuracy curves: what makes the greedy exact where a curve is not concave."""

import numpy as np
from numpy.typing import NDArray


def envelope_slopes(curves: NDArray[np.floating]) -> NDArray[np.float64]:
    """Slopes of the least concave curve above each curve, and 0 from its highest point on.

    One test often changes nothing while five do: what counts is the mean gain over the best block, which
    is the slope of the envelope. Greedy on these slopes spends a budget best, up to the block that it
    breaks off last (Fox 1966, 'Discrete optimization via marginal analysis').

    Args:
        curves: shape (curves, tests + 1), accuracy after 0, 1, ..., tests; NaN behind the last test of a
            shorter one.

    Returns:
        Shape (curves, tests), what the next test is worth after 0, 1, ..., tests - 1; never negative, and
        never rising.

    Raises:
        ValueError: for another shape, or a curve without a start.
    """
    if curves.ndim != 2 or curves.shape[1] < 1 or np.isnan(curves[:, 0]).any():
        raise ValueError(
            f"curves must be (curves, tests + 1) and start with a number but are {curves.shape}"
        )
    # Behind its end a curve lies low, so that no chord that goes there is the steepest.
    ended = np.where(np.isnan(curves), np.nanmin(curves, axis=1, keepdims=True), curves)
    tests = curves.shape[1] - 1
    slopes = np.full((len(curves), tests), np.inf)
    # Slope of the envelope at m: the least, over starts up to m, of the steepest chord that ends behind m.
    for start in range(tests):
        chords = (ended[:, start + 1 :] - ended[:, [start]]) / np.arange(1, tests - start + 1)
        steepest = np.maximum.accumulate(chords[:, ::-1], axis=1)[:, ::-1]
        np.minimum(slopes[:, start:], steepest, out=slopes[:, start:])
    return np.maximum(slopes, 0.0)
