"""An oracle made as bad as one likes: the truth, blurred to a chosen rank correlation with itself.

Ranks alone do not make a predictor. The same blurred ranks can be *bold*, with predictions that are spread
as the truth is, or *calibrated*: of the problems that are given one prediction, that share comes true, so
the less is known the nearer all predictions are to the mean.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata

from rewards.errors import UserError

TOLERANCE = 0.01
"""How far the realised rank correlation may be off."""

_HALVINGS = 40
_DRAWS = 100


def blurred(
    truth: NDArray[np.float64], correlation: float, rng: np.random.Generator, *, calibrated: bool
) -> NDArray[np.float64]:
    """What a predictor would say whose ranks had this correlation with those of the truth.

    The normal scores z of the true ranks (with midranks for ties) are mixed with independent normal noise
    e: ``y = z cos(a) + e sin(a)``, a Gaussian copula with the scores of Iman & Conover (1982, 'A
    distribution-free approach to inducing rank correlation among input variables'). A bold predictor gives
    the k-th smallest true value to the problem whose y is k-th; a calibrated one believes the mean of the
    truth given y. The angle a is sought by bisection, such that Spearman's correlation of what comes out
    with the truth, ties and all, is the one asked for, in this very draw.

    Args:
        truth: shape (problems,).
        correlation: Spearman's, in [0, 1].
        rng: draws the noise.
        calibrated: or bold.

    Raises:
        UserError: a correlation out of range, or one that so few or so equal values cannot have.
    """
    if not 0 <= correlation <= 1:
        raise UserError(
            f"a blurred predictor must have a rank correlation from 0 to 1 but got {correlation:g}"
        )
    if np.ptp(truth) > 0:
        ranks = rankdata(truth)
        scores = norm.ppf(ranks / (len(truth) + 1))
        for _ in range(_DRAWS):  # with few problems the ranks of one draw may leap over the aim
            noise = rng.standard_normal(len(truth))
            low, high = 0.0, 3.0  # from the truth itself to nearly the truth upside down
            for _ in range(_HALVINGS):
                angle = (low + high) / 2
                mixed = scores * np.cos(angle) + noise * np.sin(angle)
                believed = _expected(truth, mixed, angle) if calibrated else _exchanged(truth, mixed)
                excess = np.corrcoef(rankdata(believed), ranks)[0, 1] - correlation
                if abs(excess) <= TOLERANCE:
                    return believed
                low, high = (angle, high) if excess > 0 else (low, angle)
    raise UserError(
        f"pass rates must differ enough for a rank correlation of {correlation:g} with a blurred copy "
        f"(within {TOLERANCE:g}) but those of {len(truth)} problems do not"
    )


def _exchanged(truth: NDArray[np.float64], mixed: NDArray[np.float64]) -> NDArray[np.float64]:
    believed = np.empty_like(truth)
    believed[np.argsort(mixed, kind="stable")] = np.sort(truth)
    return believed


def _expected(truth: NDArray[np.float64], mixed: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """The mean of the truth given y: z given y is normal about ``y cos(a)`` with deviation ``sin(a)``."""
    values, counts = np.unique(truth, return_counts=True)
    # Between two thresholds of z lies one value of the truth.
    thresholds = norm.ppf(np.cumsum(counts)[:-1] / len(truth))
    below = norm.cdf((thresholds - mixed[:, np.newaxis] * np.cos(angle)) / np.sin(angle))
    return np.asarray(values[-1] - below @ np.diff(values))
