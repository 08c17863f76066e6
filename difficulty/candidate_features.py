"""Features of a problem's candidates, known before its first test and without executing anything.

Candidates of an easy problem resemble each other and are short. The features are those of texts, so they
mean the same in every language and for every model.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from testbudget.traces.records import CandidateRecord, DistinctPrograms

CANDIDATE_FEATURES = (
    "distinct",
    "redundancy",
    "log_size",
    "log_length",
    "log_tokens",
    "token_spread",
)
"""Names of the features, in their order:

* ``distinct``: distinct programs divided by candidates.
* ``redundancy``: compressed size of all candidates together, divided by the sum of their compressed sizes.
* ``log_size``, ``log_length``, ``log_tokens``: log of the mean compressed size, in bytes; of the median
  length, in characters; and of the mean number of tokens plus 1.
* ``token_spread``: standard deviation of the tokens, divided by their mean plus 1.
"""


def candidate_features(problems: Sequence[Sequence[CandidateRecord]]) -> NDArray[np.float32]:
    """Features of each problem's candidates, float32 (problems, features).

    Args:
        problems: candidates of each problem, at least one.
    """
    rows = [_features(candidates) for candidates in problems]
    return np.asarray(rows, np.float32).reshape(len(problems), len(CANDIDATE_FEATURES))


def _features(candidates: Sequence[CandidateRecord]) -> list[float]:
    texts = [record.text.strip().encode("utf-8", "replace") for record in candidates]
    sizes = np.array([len(zlib.compress(text)) for text in texts])
    together = len(zlib.compress(b"\n".join(texts)))
    lengths = np.array([len(text) for text in texts])
    tokens = np.array([record.tokens for record in candidates], np.float64)
    return [
        len(DistinctPrograms.among(candidates).representatives) / len(candidates),
        together / sizes.sum(),
        float(np.log(sizes.mean())),
        float(np.log1p(np.median(lengths))),
        float(np.log1p(tokens.mean())),
        float(tokens.std() / (tokens.mean() + 1)),
    ]
