"""Pass rates from hidden states by ridge regression, never with a model that saw the problem.

Chosen on 164 HumanEval problems with 12 samples each: ridge on smoothed log-odds ranked as well as or
a little better than ridge on the rates and logistic regression on soft labels, and is far quicker than
the latter. Log-odds overshoot where many samples stand behind a rate, so they are calibrated afterwards.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from difficulty.beliefs import HIGHEST, LOWEST, Beliefs, check_training
from rewards.errors import UserError

FOLDS = 10
COMPONENTS = 128
"""Principal components that the ridge sees: as good as all of them, and the cost of a fit is theirs."""
PENALTIES = np.logspace(0, 6, 13)


def predict_pass_rates(
    train_states: NDArray[np.floating],
    train_rates: NDArray[np.float64],
    train_weights: NDArray[np.float64],
    train_groups: Sequence[str],
    states: NDArray[np.floating],
    groups: Sequence[str],
    *,
    seed: int,
) -> Beliefs:
    """Pass rates of problems from their hidden states and the measured rates of other problems.

    Training problems are split into ``FOLDS`` folds by content hash. A problem whose hash is among them
    is predicted by the model fitted without its fold, any other one by the model fitted on all. Whatever
    a model needs (scaling, components, penalty, calibration) it learns from its own training problems.

    Args:
        train_states: shape (training problems, ...): one or several layers, flattened to one vector.
        train_rates: measured pass rates, shape (training problems,).
        train_weights: number of samples behind each rate, same shape.
        train_groups: content hash of each training problem. Rows that share one are one problem: their
            samples are pooled, their states taken from the first.
        states: shape (problems, ...), of the same layers of the same model.
        groups: content hash of each problem.
        seed: any integer; decides the folds. The same seed and input give the same beliefs.

    Raises:
        UserError: fewer distinct training problems than folds, lengths or widths that do not agree,
            states that are not finite, or labels that ``check_training`` refuses.
    """
    check_training(train_rates, train_weights)
    train_features = _features(train_states, train_groups, "training problems")
    features = _features(states, groups, "problems")
    if len(train_features) != len(train_rates):
        raise UserError(
            "training needs one pass rate for each hidden state "
            f"but got {len(train_rates)} rates and {len(train_features)} states"
        )
    if train_features.shape[1] != features.shape[1]:
        raise UserError(
            "hidden states must come from the same layers of the same model "
            f"but training has {train_features.shape[1]} numbers and the problems have {features.shape[1]}"
        )
    hashes, first, rows = np.unique(np.asarray(train_groups), return_index=True, return_inverse=True)
    if len(hashes) < FOLDS:
        raise UserError(
            f"a predictor needs at least {FOLDS} distinct problems to learn from but got {len(hashes)}"
        )
    train_features = train_features[first]
    samples = np.bincount(rows, weights=train_weights)
    right = np.bincount(rows, weights=train_weights * train_rates)

    seed %= 2**32  # as far as scikit-learn counts
    fold_of: dict[str, int] = {}
    trained_on: list[NDArray[np.intp]] = []
    splits = KFold(FOLDS, shuffle=True, random_state=seed).split(hashes)
    for fold, (kept, left_out) in enumerate(splits):
        trained_on.append(kept)
        fold_of.update(dict.fromkeys(hashes[left_out].tolist(), fold))
    trained_on.append(np.arange(len(hashes)))

    model_of = np.array([fold_of.get(group, FOLDS) for group in groups], dtype=np.intp)
    pass_rate = np.empty(len(features))
    for model in np.unique(model_of):
        kept, asked = trained_on[model], model_of == model
        pass_rate[asked] = _fit_predict(
            train_features[kept], right[kept], samples[kept], features[asked], seed
        )
    return Beliefs(pass_rate, out_of_fold=int(np.count_nonzero(model_of < FOLDS)))


def _features(states: NDArray[np.floating], groups: Sequence[str], whose: str) -> NDArray[np.float32]:
    """One float32 vector a problem, checked."""
    if len(states) != len(groups):
        raise UserError(
            f"{whose} need one content hash for each hidden state "
            f"but got {len(groups)} hashes and {len(states)} states"
        )
    if not np.isfinite(states).all():
        raise UserError(f"hidden states must be finite numbers but those of the {whose} are not")
    return states.reshape(len(states), int(np.prod(states.shape[1:]))).astype(np.float32)


def _fit_predict(
    train_features: NDArray[np.float32],
    right: NDArray[np.float64],
    samples: NDArray[np.float64],
    features: NDArray[np.float32],
    seed: int,
) -> NDArray[np.float64]:
    """Fits one model on problems with ``right`` of ``samples`` right, and predicts others."""
    # One sample more of either outcome (Laplace's rule of succession) keeps the log-odds finite.
    log_odds = np.log((right + 1) / (samples - right + 1))
    regression: Pipeline = make_pipeline(
        StandardScaler(),
        PCA(min(COMPONENTS, *train_features.shape), iterated_power=2, random_state=seed),
        RidgeCV(PENALTIES, scoring="neg_mean_squared_error", store_cv_results=True),
    )
    regression.fit(train_features, log_odds, ridgecv__sample_weight=samples / samples.mean())
    ridge = regression[-1]
    # Leave-one-out predictions, since those on problems that the ridge saw would look too sure.
    held_out = ridge.cv_results_[:, np.flatnonzero(ridge.alpha_ == PENALTIES)[0]]
    return _calibrated(held_out, right, samples, regression.predict(features))


def _calibrated(
    held_out: NDArray[np.float64],
    right: NDArray[np.float64],
    samples: NDArray[np.float64],
    log_odds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Pass rates from log-odds, by Platt's method on log-odds of training problems that were held out."""
    platt = LogisticRegression().fit(
        np.concatenate([held_out, held_out])[:, None],
        np.repeat([1, 0], len(held_out)),
        sample_weight=np.concatenate([right, samples - right]),
    )
    # A falling curve means that the ridge found nothing: leave-one-out means run against their labels.
    if platt.coef_[0, 0] <= 0:
        pass_rate = np.full(len(log_odds), right.sum() / samples.sum())
    else:
        pass_rate = platt.predict_proba(log_odds[:, None])[:, 1]
    return pass_rate.clip(LOWEST, HIGHEST)
