"""Which problems are held out."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewards.errors import UserError

_FEWEST = 2


def split(
    content_hashes: Sequence[str], held_out: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the problems to learn from and choose by, and of those held out.

    What becomes of a problem hangs on the texts and the seed alone, and equal texts are on one side.

    Args:
        content_hashes: of all problems.
        held_out: share of the distinct problems.
        seed: another one holds out others.

    Raises:
        UserError: fewer than two problems on either side.
    """
    salted = {one: hashlib.sha256(f"held out:{seed}:{one}".encode()).digest() for one in content_hashes}
    ranked = sorted(salted, key=lambda one: salted[one])
    kept_apart = set(ranked[: round(held_out * len(ranked))])
    apart = np.array([one in kept_apart for one in content_hashes])
    if min(len(kept_apart), len(ranked) - len(kept_apart)) < _FEWEST:
        raise UserError(
            f"held_out must leave at least {_FEWEST} problems on either side but {held_out:g} of "
            f"{len(ranked)} are {len(kept_apart)}"
        )
    return np.flatnonzero(~apart), np.flatnonzero(apart)
