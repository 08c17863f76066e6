"""What a problem's text alone tells: the baseline that hidden states have to beat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from difficulty.base import Fitted, Inputs, Method, Prediction
from difficulty.ridge import Ridge
from rewards.errors import UserError

_TOPICS = 32  # so many directions of the words' space are kept: the ridge's cost is theirs


@dataclass(frozen=True, slots=True)
class Text(Method):
    """Ridge on length, number of examples, and words weighted by TF-IDF."""

    name: ClassVar[str] = "text"

    def _fit(
        self, inputs: Inputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> Fitted:
        texts = _texts(inputs)
        lengths = make_pipeline(FunctionTransformer(_lengths), StandardScaler())
        features = FeatureUnion([("lengths", lengths)])
        vocabulary = TfidfVectorizer(sublinear_tf=True, max_features=4096, token_pattern=r"[^\W\d_]{2,}")
        try:
            counted = vocabulary.fit_transform(texts)
        except ValueError:  # no word in any text
            topics = 0
        else:
            apart = (counted.max(axis=0) - counted.min(axis=0)).nnz  # words by which texts differ
            topics = min(_TOPICS, apart, counted.shape[1] - 1, len(texts) - 1)
        if topics > 0:
            reduce = TruncatedSVD(topics, random_state=seed)
            features.transformer_list.append(("words", make_pipeline(vocabulary, reduce, StandardScaler())))
        table = features.fit_transform(texts)
        return _FittedText(features, Ridge.fit(table, values, weights))


@dataclass(frozen=True, slots=True, eq=False)
class _FittedText(Fitted):
    features: FeatureUnion
    ridge: Ridge

    def predict(self, inputs: Inputs) -> Prediction:
        if not len(inputs):
            return Prediction(np.empty(0), np.empty(0))
        calibration = self.ridge.calibration
        log_odds = self.ridge.log_odds(self.features.transform(_texts(inputs)))
        return calibration.belief(calibration.mean(log_odds))


def _texts(inputs: Inputs) -> Sequence[str]:
    if len(inputs) and not inputs.texts:
        raise UserError("the method 'text' must have the problems' texts but there are none")
    return inputs.texts


def _lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    """Characters, lines and examples of each text, as logarithms, shape (texts, 3)."""
    counts = [(len(text), text.count("\n") + 1, text.count(">>>")) for text in texts]
    return np.log1p(np.asarray(counts, dtype=np.float64).reshape(-1, 3))
