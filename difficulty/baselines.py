"""Baselines: the mean of all problems, the nearest neighbours, and the text of the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from testbudget.difficulty.base import (
    MAX_RATE,
    MIN_RATE,
    FittedMethod,
    Prediction,
    PredictionMethod,
    PredictorInputs,
)
from testbudget.difficulty.calibration import PredictionCalibration
from testbudget.difficulty.linear import Reduction, Ridge
from testbudget.rewards.errors import UserError, require_extra

with require_extra("train", "learning to predict difficulty"):
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

_TOPICS = 32  # components of the TF-IDF table: the time of the ridge grows with them


@dataclass(frozen=True, slots=True)
class TextMethod(PredictionMethod):
    """Ridge regression on the length, the number of examples and the TF-IDF of the words of each prompt."""

    name: ClassVar[str] = "text"

    def _fit(
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> FittedMethod:
        texts = _texts(inputs)
        lengths = make_pipeline(FunctionTransformer(_lengths), StandardScaler())
        features = FeatureUnion([("lengths", lengths)])
        vocabulary = TfidfVectorizer(sublinear_tf=True, max_features=4096, token_pattern=r"[^\W\d_]{2,}")
        try:
            counted = vocabulary.fit_transform(texts)
        except ValueError:  # no text has a word
            topics = 0
        else:
            # Words whose frequency differs between texts.
            varying = (counted.max(axis=0) - counted.min(axis=0)).nnz
            topics = min(_TOPICS, varying, counted.shape[1] - 1, len(texts) - 1)
        if topics > 0:
            reduce = TruncatedSVD(topics, random_state=seed)
            features.transformer_list.append(("words", make_pipeline(vocabulary, reduce, StandardScaler())))
        table = features.fit_transform(texts)
        return _FittedText(features, Ridge.fit(table, values, weights))


@dataclass(frozen=True, slots=True, eq=False)
class _FittedText(FittedMethod):
    features: FeatureUnion
    ridge: Ridge

    def predict(self, inputs: PredictorInputs) -> Prediction:
        if not len(inputs):
            return Prediction(np.empty(0), np.empty(0))
        calibration = self.ridge.calibration
        log_odds = self.ridge.log_odds(self.features.transform(_texts(inputs)))
        return calibration.prediction(calibration.mean(log_odds))


def _texts(inputs: PredictorInputs) -> Sequence[str]:
    if len(inputs) and not inputs.texts:
        raise UserError("the method 'text' must have the problems' texts but there are none")
    return inputs.texts


def _lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    """log(1 + n) of the characters, lines and examples of each text, float64 (texts, 3)."""
    counts = [(len(text), text.count("\n") + 1, text.count(">>>")) for text in texts]
    return np.log1p(np.asarray(counts, dtype=np.float64).reshape(-1, 3))


@dataclass(frozen=True, slots=True)
class ConstantMethod(PredictionMethod):
    """Method that predicts the mean over all samples for every problem."""

    name: ClassVar[str] = "constant"

    def _fit(
        self,
        inputs: PredictorInputs,  # noqa: ARG002
        values: NDArray[np.float64],
        weights: NDArray[np.float64],
        seed: int,  # noqa: ARG002
    ) -> FittedMethod:
        return _FittedConstant(PredictionCalibration.fit(np.zeros(len(values)), values, weights))


@dataclass(frozen=True, slots=True)
class _FittedConstant(FittedMethod):
    calibration: PredictionCalibration

    def predict(self, inputs: PredictorInputs) -> Prediction:
        return self.calibration.prediction(self.calibration.mean(np.zeros(len(inputs))))


@dataclass(frozen=True, slots=True)
class NeighboursMethod(PredictionMethod):
    """Method that predicts the mean of the nearest problems by cosine of their standardised hidden states.

    Attributes:
        count: number of neighbours; all problems if there are fewer.
        components: maximum number of principal components from which the cosine is computed, for speed.
    """

    name: ClassVar[str] = "neighbours"

    count: int = 15
    components: int = 128

    def _fit(
        self, inputs: PredictorInputs, values: NDArray[np.float64], weights: NDArray[np.float64], seed: int
    ) -> FittedMethod:
        reduction = Reduction.fit(inputs.states, self.components, seed)
        states = reduction.apply(inputs)
        count = min(self.count, max(1, len(values) - 1))
        index = NearestNeighbors(n_neighbors=count, metric="cosine").fit(states)
        calibration = PredictionCalibration.fit(np.zeros(len(values)), values, weights)
        if len(values) > 1:
            others = index.kneighbors(return_distance=False)  # the problem itself is excluded
            calibration = PredictionCalibration.fit(_log_odds(values, weights, others), values, weights)
        return _FittedNeighbours(reduction, index, values, weights, calibration)


@dataclass(frozen=True, slots=True, eq=False)
class _FittedNeighbours(FittedMethod):
    reduction: Reduction
    index: NearestNeighbors
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    calibration: PredictionCalibration

    def predict(self, inputs: PredictorInputs) -> Prediction:
        if not len(inputs):
            return Prediction(np.empty(0), np.empty(0))
        nearest = self.index.kneighbors(self.reduction.apply(inputs), return_distance=False)
        log_odds = _log_odds(self.values, self.weights, nearest)
        return self.calibration.prediction(self.calibration.mean(log_odds))


def _log_odds(
    values: NDArray[np.float64], weights: NDArray[np.float64], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Log-odds of the weighted mean over the problems of each row, float64 (rows,)."""
    means = np.average(values[rows], axis=1, weights=weights[rows])
    return np.asarray(logit(means.clip(MIN_RATE, MAX_RATE)))
