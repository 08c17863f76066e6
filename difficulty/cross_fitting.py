"""Cross-fitting: every problem is predicted by models that were not fitted on it.

A fitted target consists of one member per fold. A training problem is predicted by the member fitted
without its fold, a new problem by all members.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from testbudget.difficulty.base import (
    FittedMethod,
    Prediction,
    PredictionMethod,
    PredictorInputs,
    check_training,
    single_threaded,
)
from testbudget.rewards.errors import UserError
from testbudget.rewards.seeds import training_positions

UNSEEN = -1
"""Fold number of a problem that was not trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFittedEnsemble:
    """Members of one target, one per fold.

    Attributes:
        members: member k is fitted on the problems outside fold k.
        fold_of: fold of each training problem, by each of its identities (``problem_identities``).
    """

    members: Sequence[FittedMethod]
    fold_of: Mapping[str, int]

    def folds(self, inputs: PredictorInputs, content_hashes: Sequence[str]) -> NDArray[np.intp]:
        """Fold of each problem, intp (problems,); ``UNSEEN`` for problems that were not trained on."""
        known = (
            (self.fold_of[identity] for identity in identities if identity in self.fold_of)
            for identities in problem_identities(inputs, content_hashes)
        )
        return np.array([next(folds, UNSEEN) for folds in known], dtype=np.intp)

    def predict(self, inputs: PredictorInputs, content_hashes: Sequence[str]) -> Prediction:
        """Predict each problem by the members that were not fitted on it.

        A new problem gets the mean and deviation of the even mixture of all members' predictions.

        Args:
            inputs: inputs of the problems.
            content_hashes: one per problem.

        Raises:
            UserError: the number of hashes differs, or the inputs do not fit those of the training.
        """
        fold = self.folds(inputs, content_hashes)
        with single_threaded():
            return self._predict(inputs, fold)

    def _predict(self, inputs: PredictorInputs, fold: NDArray[np.intp]) -> Prediction:
        mean, deviation = np.zeros(len(inputs)), np.zeros(len(inputs))
        for number, member in enumerate(self.members):
            if (own := fold == number).any():
                predicted = member.predict(inputs[own])
                mean[own], deviation[own] = predicted.mean, predicted.deviation
        if (new := fold == UNSEEN).any():
            predictions = [member.predict(inputs[new]) for member in self.members]
            means = np.stack([predicted.mean for predicted in predictions])
            within = np.mean([predicted.deviation**2 for predicted in predictions], axis=0)
            mean[new], deviation[new] = means.mean(axis=0), np.sqrt(within + means.var(axis=0))
        return Prediction(mean, deviation)


def cross_fit(
    method: PredictionMethod,
    inputs: PredictorInputs,
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    content_hashes: Sequence[str],
    *,
    folds: int = 10,
    seed: int,
) -> CrossFittedEnsemble:
    """Fit a method once without each fold.

    Rows with the same problem number (``problem_numbers``) count as one problem, so no problem is in two
    folds. Their samples are pooled, and the inputs of the first row are used. The order of rows does not
    matter.

    Args:
        method: method to fit.
        inputs: inputs of the rows.
        values: float64 (rows,), to be predicted, in [0, 1].
        weights: float64 (rows,), number of samples behind each value.
        content_hashes: one per row.
        folds: number of folds.
        seed: any integer; determines the folds and the random numbers of the method.

    Raises:
        UserError: there are fewer distinct problems than folds, the lengths differ, or the method refuses
            the values, weights or inputs.
    """
    check_training(inputs, values, weights)
    identities = problem_identities(inputs, content_hashes)
    order = np.array(sorted(range(len(identities)), key=identities.__getitem__), dtype=np.intp)
    inputs, values, weights = inputs[order], values[order], weights[order]
    identities = [identities[row] for row in order]
    problem = problem_numbers(identities)
    _, first = np.unique(problem, return_index=True)
    samples = np.bincount(problem, weights=weights).astype(np.float64)
    pooled = (np.bincount(problem, weights=weights * values) / samples).clip(0, 1)
    fold = stratified_folds(pooled, folds, seed)
    members = method.fit_each(
        inputs[first],
        pooled,
        samples,
        training_positions(fold, folds),
        seed=seed,
    )
    fold_of = {
        identity: int(fold[number])
        for number, row in zip(problem, identities, strict=True)
        for identity in row
    }
    return CrossFittedEnsemble(members, fold_of)


def problem_identities(inputs: PredictorInputs, content_hashes: Sequence[str]) -> list[tuple[str, ...]]:
    """Identities of each problem: its content hash and digests of its hidden states and its text.

    The hash alone does not suffice: it changes with the ground truth of a problem.

    Raises:
        UserError: the number of hashes differs from the number of problems.
    """
    if len(content_hashes) != len(inputs):
        raise UserError(
            "there must be one content hash for each problem "
            f"but got {len(content_hashes)} hashes and {len(inputs)} problems"
        )
    columns: list[Sequence[str]] = [list(content_hashes)]
    if inputs.states.shape[1]:
        columns.append([f"states:{hashlib.sha256(row.tobytes()).hexdigest()}" for row in inputs.states])
    if inputs.texts:
        columns.append([f"text:{hashlib.sha256(text.encode()).hexdigest()}" for text in inputs.texts])
    return list(zip(*columns, strict=True))


def problem_numbers(identities: Sequence[tuple[str, ...]]) -> NDArray[np.intp]:
    """Problem number of each row, intp (rows,), from 0 in order of appearance.

    Rows that share an identity, directly or through other rows, get the same number.
    """
    distinct = {identity for row in identities for identity in row}
    vertex = {identity: number for number, identity in enumerate(distinct)}
    rows = np.repeat(np.arange(len(identities)), [len(row) for row in identities])
    columns = np.array([vertex[identity] for row in identities for identity in row], dtype=np.intp)
    columns += len(identities)
    size = len(identities) + len(vertex)
    edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    _, first, inverse = np.unique(component[: len(identities)], return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)


def stratified_folds(values: NDArray[np.float64], folds: int, seed: int) -> NDArray[np.intp]:
    """Random folds of equal size and similar values, intp (problems,).

    If the means of the folds differed, a constant method would have a negative rank correlation: it
    predicts the mean of the other folds, which is lower for a fold with higher values. scikit-learn's
    StratifiedKFold needs classes and balances continuous values less well (spread of fold means 0.075
    against 0.058 on 164 problems).

    Args:
        values: float64 (problems,), to be predicted.
        folds: number of folds, at least 2.
        seed: any integer.

    Raises:
        UserError: there are fewer problems than folds, or fewer than two folds.
    """
    if folds < 2:
        raise UserError(f"cross-fitting needs at least 2 folds but got {folds}")
    if len(values) < folds:
        raise UserError(
            f"a predictor needs at least {folds} distinct problems to learn from but got {len(values)}"
        )
    rng = np.random.default_rng(seed % 2**32)
    # Rounded, so that nearly equal values are ties.
    ascending = np.lexsort((rng.random(len(values)), values.round(9)))
    # Each ``folds`` consecutive values get a random permutation of the folds.
    fold_of_rank = rng.permuted(np.tile(np.arange(folds), (len(values) // folds + 1, 1)), axis=1).ravel()
    fold = np.empty(len(values), dtype=np.intp)
    fold[ascending] = fold_of_rank[: len(values)]
    return fold
