"""Cross-fitting: every problem is predicted by models that have not seen it.

The models of the folds *are* what has been learned. A problem that was among the training problems is
predicted by the model fitted without its fold, a new one by all models together.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from testbudget.difficulty.base import (
    Fitted,
    Method,
    Prediction,
    PredictorInputs,
    check_training,
    single_threaded,
)
from testbudget.rewards.errors import UserError

UNSEEN = -1
"""Instead of a fold, for a problem that was in none."""


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """What was learned of one target.

    Attributes:
        members: one a fold, fitted on all problems of the other folds.
        fold_of: fold of each training problem, by all that it may be recognised by (``problem_identities``).
    """

    members: Sequence[Fitted]
    fold_of: Mapping[str, int]

    def folds(self, inputs: PredictorInputs, groups: Sequence[str]) -> NDArray[np.intp]:
        """Fold of each problem that was trained on, ``UNSEEN`` for the others."""
        known = (
            (self.fold_of[identity] for identity in names if identity in self.fold_of)
            for names in problem_identities(inputs, groups)
        )
        return np.array([next(folds, UNSEEN) for folds in known], dtype=np.intp)

    def predict(self, inputs: PredictorInputs, groups: Sequence[str]) -> Prediction:
        """Predicts problems, none of them by a member that was fitted on it.

        A new problem's belief is the even mixture of the members' beliefs.

        Args:
            inputs: what is known of the problems.
            groups: content hash of each.

        Raises:
            UserError: another number of hashes, or inputs unlike those that were learned from.
        """
        fold = self.folds(inputs, groups)
        with single_threaded():
            return self._predict(inputs, fold)

    def _predict(self, inputs: PredictorInputs, fold: NDArray[np.intp]) -> Prediction:
        mean, deviation = np.zeros(len(inputs)), np.zeros(len(inputs))
        for number, member in enumerate(self.members):
            if (own := fold == number).any():
                belief = member.predict(inputs[own])
                mean[own], deviation[own] = belief.mean, belief.deviation
        if (new := fold == UNSEEN).any():
            beliefs = [member.predict(inputs[new]) for member in self.members]
            means = np.stack([belief.mean for belief in beliefs])
            within = np.mean([belief.deviation**2 for belief in beliefs], axis=0)
            mean[new], deviation[new] = means.mean(axis=0), np.sqrt(within + means.var(axis=0))
        return Prediction(mean, deviation)


def cross_fit(
    method: Method,
    inputs: PredictorInputs,
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    groups: Sequence[str],
    *,
    folds: int = 10,
    seed: int,
) -> CrossFitted:
    """Learns from problems, once without each fold.

    Rows that are the same problem (``problem_numbers``) count as one: their samples are pooled, what is known
    of it is taken from the first. So none is ever split over folds. Order of rows does not matter.

    Args:
        method: learns.
        inputs: what is known of the problems before their first test.
        values: what is to be predicted, (problems,) in [0, 1].
        weights: number of samples behind each value, same shape.
        groups: content hash of each problem.
        folds: into how many the problems are split.
        seed: any integer; decides the folds, and what the method draws.

    Raises:
        UserError: fewer distinct problems than folds, lengths that do not agree, or labels or inputs
            that the method refuses.
    """
    check_training(inputs, values, weights)
    names = problem_identities(inputs, groups)
    order = np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.intp)
    inputs, values, weights = inputs[order], values[order], weights[order]
    names = [names[row] for row in order]
    problem = problem_numbers(names)
    _, first = np.unique(problem, return_index=True)
    samples = np.bincount(problem, weights=weights).astype(np.float64)
    pooled = (np.bincount(problem, weights=weights * values) / samples).clip(0, 1)
    fold = stratified_folds(pooled, folds, seed)
    members = method.fit_each(
        inputs[first],
        pooled,
        samples,
        [np.flatnonzero(fold != number) for number in range(folds)],
        seed=seed,
    )
    fold_of = {name: int(fold[number]) for number, row in zip(problem, names, strict=True) for name in row}
    return CrossFitted(members, fold_of)


def problem_identities(inputs: PredictorInputs, groups: Sequence[str]) -> list[tuple[str, ...]]:
    """All that each problem may be recognised by: its content hash, and digests of its states and its text.

    A problem comes back under another content hash when only its ground truth was changed.

    Raises:
        UserError: another number of hashes than of problems.
    """
    if len(groups) != len(inputs):
        raise UserError(
            "there must be one content hash for each problem "
            f"but got {len(groups)} hashes and {len(inputs)} problems"
        )
    columns: list[Sequence[str]] = [list(groups)]
    if inputs.states.shape[1]:
        columns.append([f"states:{hashlib.sha256(row.tobytes()).hexdigest()}" for row in inputs.states])
    if inputs.texts:
        columns.append([f"text:{hashlib.sha256(text.encode()).hexdigest()}" for text in inputs.texts])
    return list(zip(*columns, strict=True))


def problem_numbers(names: Sequence[tuple[str, ...]]) -> NDArray[np.intp]:
    """Number of each row's problem, from 0; rows that share any identity, directly or by others, are one.

    Problems are numbered in the order in which they appear.
    """
    vertex = {name: number for number, name in enumerate({name for row in names for name in row})}
    rows = np.repeat(np.arange(len(names)), [len(row) for row in names])
    columns = np.array([vertex[name] for row in names for name in row], dtype=np.intp) + len(names)
    size = len(names) + len(vertex)
    edges = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    _, first, inverse = np.unique(component[: len(names)], return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], dtype=np.intp)


def stratified_folds(values: NDArray[np.float64], folds: int, seed: int) -> NDArray[np.intp]:
    """A fold for each problem, drawn evenly and so that all folds have problems of all values.

    Were their means left to chance, a method that learned nothing would seem to rank backwards: the higher
    the values of a fold, the lower the mean of the others, which is what it then predicts.

    Args:
        values: to be learned, (problems,).
        folds: how many.
        seed: any integer.

    Raises:
        UserError: fewer problems than folds, or fewer than two folds.
    """
    if folds < 2:
        raise UserError(f"cross-fitting needs at least 2 folds but got {folds}")
    if len(values) < folds:
        raise UserError(
            f"a predictor needs at least {folds} distinct problems to learn from but got {len(values)}"
        )
    rng = np.random.default_rng(seed % 2**32)
    ascending = np.lexsort((rng.random(len(values)), values.round(9)))  # equal but for rounding is equal
    # Neighbours in value go to different folds, which are drawn.
    dealt = rng.permuted(np.tile(np.arange(folds), (len(values) // folds + 1, 1)), axis=1).ravel()
    fold = np.empty(len(values), dtype=np.intp)
    fold[ascending] = dealt[: len(values)]
    return fold
