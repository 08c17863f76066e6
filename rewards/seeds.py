"""Seeds and folds that derive from names: the same on every machine and in every process."""

import hashlib
import json

CONFIDENCE_FOLDS = 5
"""Folds of the confidence models."""


def problem_fold(content_hash: str) -> int:
    """The fold that a problem belongs to, by its content, wherever it comes up."""
    return hashlib.sha256(content_hash.encode()).digest()[0] % CONFIDENCE_FOLDS


def derive_seed(run_seed: int, purpose: str, problem: str, index: int) -> int:
    """The seed of one sample: 31 bits that depend on these four values and nothing else.

    Args:
        run_seed: the seed of the whole run.
        purpose: what is sampled ('candidate', 'unit_test', …), so that streams do not coincide.
        problem: id of the problem.
        index: which of the problem's samples it is.
    """
    key = json.dumps([run_seed, purpose, problem, index])  # JSON, for it keeps the four apart
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") & 0x7FFF_FFFF
