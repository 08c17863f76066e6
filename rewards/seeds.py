"""Seeds, orders and folds that derive from names: the same on every machine and in every process."""

# Not scikit-learn's splitters: their folds change when a problem is added. A fold derived from the content
# of the problem does not.

import hashlib
import json
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

CONFIDENCE_FOLDS = 5
"""Number of folds of the confidence models."""


def hashed(text: str, size: int = 4) -> int:
    """The first ``size`` bytes of the SHA-256 of a text, as a number in [0, 256^size)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:size], "big")


def derive_seed(run_seed: int, purpose: str, problem: str, index: int) -> int:
    """Seed of one sample: 31 bits, a function of these four values.

    Args:
        run_seed: the seed of the whole run.
        purpose: kind of sample ('candidate', 'unit test', ...), so that streams do not coincide.
        problem: id of the problem.
        index: number of the sample, counted within the problem.
    """
    # JSON keeps the four values apart.
    return hashed(json.dumps([run_seed, purpose, problem, index])) & 0x7FFF_FFFF


def problem_fold(content_hash: str) -> int:
    """Fold of a problem in [0, CONFIDENCE_FOLDS), by its content: the same in every run."""
    return hashed(content_hash, 1) % CONFIDENCE_FOLDS


def hash_order(texts: Iterable[str], salt: str) -> list[str]:
    """The distinct texts sorted by the SHA-256 of ``salt:text``: a random order without a generator."""
    return sorted(dict.fromkeys(texts), key=lambda text: hashlib.sha256(f"{salt}:{text}".encode()).digest())


def random_folds(items: int, folds: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A random fold for each item, intp (items,); the sizes of two folds differ by at most 1."""
    return rng.permutation(items) % folds


def training_positions(fold_of: NDArray[np.intp], folds: int) -> list[NDArray[np.intp]]:
    """For each fold, the positions of the items outside it."""
    return [np.flatnonzero(fold_of != fold) for fold in range(folds)]
