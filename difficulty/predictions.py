"""Predicted pass rates from several sources: fitted on runs, by a trained model, measured, or with noise.

Noisy pass rates are the measured ones at a chosen rank correlation with themselves. Uncalibrated, they are
distributed as the measured rates. Calibrated, each is the expected measured rate given its rank: the lower
the correlation, the closer they are to the mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, spearmanr

from testbudget.difficulty.base import Prediction, inputs_of_layers
from testbudget.difficulty.card import DifficultyModel
from testbudget.difficulty.cross_fitting import CrossFittedEnsemble
from testbudget.difficulty.examples import PASS_RATE
from testbudget.difficulty.methods import prediction_method
from testbudget.difficulty.names import PREDICTOR_NAMES
from testbudget.difficulty.training import TrainingSettings, fit_target, gather_problems
from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates, Provenance, usual_layer
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import Trace, correct_labels

PassRateFunction = Callable[[Trace], NDArray[np.float64]]
"""Function that predicts the pass rates of a run, float64 (problems,), each without its own labels."""

TOLERANCE = 0.01
"""Largest deviation of the realised from the requested rank correlation."""

_HALVINGS = 40
_DRAWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class FittedPassRates:
    """Pass rates fitted by the default method on finished runs.

    Attributes:
        ensemble: members, each fitted without a fold of the training problems.
        provenance: of the hidden states that it was fitted on.
        layers: hidden layers that it reads.
    """

    ensemble: CrossFittedEnsemble
    provenance: Provenance
    layers: tuple[int, ...]

    def predict(
        self, states: HiddenStates, content_hashes: Sequence[str], texts: Sequence[str]
    ) -> Prediction:
        """Predict pass rates, each problem's by members that were not fitted on it.

        Args:
            states: hidden states of the problems to predict.
            content_hashes: content hashes of the same problems.
            texts: texts of the same problems; empty if not available.

        Raises:
            UserError: the states come from another model, or lack a layer.
        """
        if states.provenance is None:
            raise UserError("hidden states must have a provenance but those of the job have none")
        if conflict := self.provenance.conflict(states.provenance):
            raise UserError(f"predictor.fit_from must fit the job's hidden states but {conflict}")
        return self.ensemble.predict(inputs_of_layers(states, self.layers, texts), content_hashes)


def fit_pass_rates(
    runs: Sequence[Path],
    states: HiddenStates,
    read: ReadTrace,
    seed: int,
    layers: Sequence[int] | None = None,
) -> FittedPassRates:
    """Fit pass rates by the default method on finished runs.

    Args:
        runs: directories of runs with labels and hidden states.
        states: some of the hidden states that will be read; they choose the layer.
        read: reader of runs.
        seed: seed of all random draws.
        layers: hidden layers to learn from; None for the ``usual_layer`` of ``states``.

    Raises:
        UserError: a run has no labels or too few problems, its hidden states come from another model, or
            the extra ``train`` is not installed.
    """
    if states.provenance is None:
        raise UserError("hidden states must have a provenance but those of the job have none")
    chosen = tuple(layers or (usual_layer(states.layers, states.provenance.depth),))
    settings = TrainingSettings(layers=chosen, selection=None, seed=seed)
    problems = gather_problems(runs, settings, read)
    if conflict := problems.provenance.conflict(states.provenance):
        raise UserError(f"predictor.fit_from must fit the job's hidden states but {conflict}")
    fitted_target = fit_target(
        prediction_method(settings.method),
        problems.target_labels(PASS_RATE),
        problems.inputs,
        problems.content_hashes,
        seed=seed,
    )
    return FittedPassRates(fitted_target.fitted, problems.provenance, chosen)


def fitted_pass_rates(
    runs: Sequence[Path],
    states: HiddenStates,
    content_hashes: Sequence[str],
    texts: Sequence[str],
    read: ReadTrace,
    seed: int,
) -> Prediction:
    """Pass rates fitted on runs and predicted at once; see :func:`fit_pass_rates`.

    The runs may include the run of the problems: no problem is predicted by a member fitted on it.
    """
    return fit_pass_rates(runs, states, read, seed).predict(states, content_hashes, texts)


def noisy_rates(
    measured: NDArray[np.float64], correlation: float, rng: np.random.Generator, *, calibrated: bool
) -> NDArray[np.float64]:
    """Random pass rates with a given rank correlation with the measured ones.

    The normal scores z of the measured ranks (midranks for ties) are mixed with independent normal noise e:
    ``y = z cos(a) + e sin(a)``, a Gaussian copula with the scores of Iman and Conover (1982, 'A
    distribution-free approach to inducing rank correlation among input variables'). Uncalibrated, the
    problem with the k-th smallest y gets the k-th smallest measured rate; calibrated, it gets the mean
    measured rate given y. Bisection finds the angle a at which Spearman's correlation with the measured
    rates is the requested one in this draw.

    Args:
        measured: float64 (problems,), measured pass rates.
        correlation: Spearman's correlation, in [0, 1].
        rng: source of the noise.
        calibrated: True for the mean measured rate given y, False for a permutation of the rates.

    Returns:
        The noisy pass rates, float64 (problems,).

    Raises:
        UserError: the correlation is out of range, or there are too few or too similar pass rates to reach
            it within ``TOLERANCE``.
    """
    if not 0 <= correlation <= 1:
        raise UserError(
            f"a noisy predictor must have a rank correlation from 0 to 1 but got {correlation:g}"
        )
    if np.ptp(measured) > 0:
        ranks = rankdata(measured)
        scores = norm.ppf(ranks / (len(measured) + 1))
        for _ in range(_DRAWS):  # with few problems one draw may miss the requested correlation
            noise = rng.standard_normal(len(measured))
            low, high = 0.0, 3.0  # from the measured ranks to nearly their reverse
            for _ in range(_HALVINGS):
                angle = (low + high) / 2
                mixed = scores * np.cos(angle) + noise * np.sin(angle)
                noisy = _expected(measured, mixed, angle) if calibrated else _permuted(measured, mixed)
                excess = np.corrcoef(rankdata(noisy), ranks)[0, 1] - correlation
                if abs(excess) <= TOLERANCE:
                    return noisy
                low, high = (angle, high) if excess > 0 else (low, angle)
    raise UserError(
        f"pass rates must differ enough for a rank correlation of {correlation:g} with a noisy copy "
        f"(within {TOLERANCE:g}) but those of {len(measured)} problems do not"
    )


def _permuted(measured: NDArray[np.float64], mixed: NDArray[np.float64]) -> NDArray[np.float64]:
    permuted = np.empty_like(measured)
    permuted[np.argsort(mixed, kind="stable")] = np.sort(measured)
    return permuted


def _expected(
    measured: NDArray[np.float64], mixed: NDArray[np.float64], angle: float
) -> NDArray[np.float64]:
    """Mean measured rate given y: z given y is normal with mean y cos(a) and deviation sin(a)."""
    values, counts = np.unique(measured, return_counts=True)
    # Each interval between two thresholds of z belongs to one measured value.
    thresholds = norm.ppf(np.cumsum(counts)[:-1] / len(measured))
    below = norm.cdf((thresholds - mixed[:, np.newaxis] * np.cos(angle)) / np.sin(angle))
    return np.asarray(values[-1] - below @ np.diff(values))


@dataclass(frozen=True, slots=True, eq=False)
class PredictedPassRates:
    """Predicted pass rates of every problem, for each permutation of the tests.

    Attributes:
        name: one of ``PREDICTOR_NAMES``, with a number for R.
        pass_rates: float64 (permutations, problems); noise is drawn anew for each permutation.
        reads_states: True if the cost of extracting hidden states is charged. The predictor uses them or
            imitates a predictor that does.
        correlation: Spearman's correlation with the measured pass rates, mean over permutations; 0 if
            either side is constant.
    """

    name: str
    pass_rates: NDArray[np.float64]
    reads_states: bool
    correlation: float


def predict_pass_rates(
    name: str, trace: Trace, learned: PassRateFunction, *, permutations: int, seed: int
) -> PredictedPassRates:
    """Predict the pass rates of a run by the named predictor.

    Args:
        name: one of ``PREDICTOR_NAMES``, with a number for R.
        trace: a run with labels.
        learned: function that predicts the pass rates of ``learned``.
        permutations: number of permutations of the tests.
        seed: seed of the noise.

    Raises:
        UserError: the name is unknown, or the run does not support this predictor.
    """
    measured = measured_pass_rates(trace)
    kind, _, number = name.partition(":")
    if kind in ("noisy", "noisy-calibrated"):
        correlation = _number(name, number)
        drawn = [
            noisy_rates(
                measured,
                correlation,
                np.random.default_rng([seed, permutation]),
                calibrated=kind == "noisy-calibrated",
            )
            for permutation in range(permutations)
        ]
        return PredictedPassRates(
            name, np.stack(drawn), True, float(np.mean([_rank_correlation(one, measured) for one in drawn]))
        )
    if name == "none":
        rates = np.full(len(measured), measured.mean())
    elif name == "oracle":
        rates = measured
    elif name == "learned":
        rates = learned(trace)
    else:
        raise _unknown(name)
    repeated = np.broadcast_to(rates, (permutations, len(measured)))
    return PredictedPassRates(name, repeated, name == "learned", _rank_correlation(rates, measured))


def measured_pass_rates(trace: Trace) -> NDArray[np.float64]:
    """Measured pass rate of each problem: its share of correct candidates, float64 (problems,).

    Raises:
        UserError: a problem has no labels.
    """
    return np.asarray([float(correct.mean()) for correct in correct_labels(trace)])


def learned_pass_rates(trace: Trace, *, seed: int) -> NDArray[np.float64]:
    """Pass rates of a run, each problem's fitted on its other problems; float64 (problems,).

    For a run without hidden states, they are the predictions that it recorded.

    Raises:
        UserError: the run has neither hidden states nor predictions, or too few problems.
    """
    if trace.hidden_states is not None:
        states, hashes = _states_and_hashes(trace)
        return fitted_pass_rates([trace.directory], states, hashes, (), lambda _: trace, seed).mean
    rates = np.asarray([seen.predicted_pass_rate for seen in trace.problems.values()])
    if np.isnan(rates).any():
        raise UserError(
            f"the predictor 'learned' needs hidden states or predicted pass rates "
            f"but {trace.directory.name} has none"
        )
    return rates


def model_pass_rates(trace: Trace, model: DifficultyModel) -> NDArray[np.float64]:
    """Pass rates of a run as predicted by a trained model, float64 (problems,).

    A training problem is predicted by the member fitted without it.

    Raises:
        UserError: the run has no hidden states, or they do not fit the model.
    """
    return model.predict(PASS_RATE.name, *_states_and_hashes(trace)).mean


def _states_and_hashes(trace: Trace) -> tuple[HiddenStates, list[str]]:
    if trace.hidden_states is None:
        raise UserError(f"the predictor 'learned' needs hidden states but {trace.directory} has none")
    return trace.hidden_states, [problem.content_hash for problem in trace.problems.values()]


def _rank_correlation(rates: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    if np.ptp(rates) == 0 or np.ptp(measured) == 0:
        return 0.0
    return float(spearmanr(rates, measured).statistic)


def _number(name: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise _unknown(name) from None


def _unknown(name: str) -> UserError:
    return UserError(f"predictors must be among {', '.join(PREDICTOR_NAMES)} but got '{name}'")
