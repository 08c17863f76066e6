"""An oracle made as bad as one likes: the truth, blurred to a chosen rank correlation with itself.

Ranks alone do not make a predictor. The same blurred ranks can be *bold*, with predictions that are spread
as the truth is, or *calibrated*: of the problems that are given one prediction, that share comes true, so
the less is known the nearer all predictions are to the mean.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, spearmanr

from testbudget.difficulty.base import Prediction
from testbudget.difficulty.card import DifficultyModel, predictor_inputs
from testbudget.difficulty.examples import PASS_RATE
from testbudget.difficulty.training import METHODS, TrainingSettings, fit_target, gather_problems
from testbudget.rewards.errors import UserError
from testbudget.traces.hidden_states import HiddenStates, usual_layer
from testbudget.traces.tables import ReadTrace
from testbudget.traces.trace import Trace


def fitted_pass_rates(
    runs: Sequence[Path],
    states: HiddenStates,
    content_hashes: Sequence[str],
    texts: Sequence[str],
    read: ReadTrace,
    seed: int,
    layers: Sequence[int] | None = None,
) -> Prediction:
    """Pass rates as learned from finished runs, among which may be the run of the problems themselves.

    Args:
        runs: with labels and hidden states.
        states: of the problems that are asked for.
        content_hashes, texts: of the same problems; no texts where they are not at hand.
        read: reads a run.
        seed: of everything random.
        layers: of the states, to learn from; None takes their ``usual_layer``.

    Raises:
        UserError: a run cannot be learned from, or is about other hidden states.
    """
    if states.provenance is None:
        raise UserError("hidden states must say which model they come from but the job's do not")
    chosen = tuple(layers or (usual_layer(states.layers, states.provenance.depth),))
    settings = TrainingSettings(layers=chosen, selection=None, seed=seed)
    problems = gather_problems(runs, settings, read)
    if conflict := problems.provenance.conflict(states.provenance):
        raise UserError(f"predictor.train_on must fit the job's hidden states but {conflict}")
    fitted_target = fit_target(
        METHODS[settings.method],
        problems.target_labels(PASS_RATE),
        problems.inputs,
        problems.content_hashes,
        seed=seed,
    )
    return fitted_target.fitted.predict(predictor_inputs(states, chosen, texts), content_hashes)


TOLERANCE = 0.01
"""How far the realised rank correlation may be off."""

_HALVINGS = 40
_DRAWS = 100


def noisy_rates(
    truth: NDArray[np.float64], correlation: float, rng: np.random.Generator, *, calibrated: bool
) -> NDArray[np.float64]:
    """What a predictor would say whose ranks had this correlation with those of the truth.

    The normal scores z of the true ranks (with midranks for ties) are mixed with independent normal noise
    e: ``y = z cos(a) + e sin(a)``, a Gaussian copula with the scores of Iman & Conover (1982, 'A
    distribution-free approach to inducing rank correlation among input variables'). A bold predictor gives
    the k-th smallest true value to the problem whose y is k-th; a calibrated one believes the mean of the
    truth given y. The angle a is sought by bisection, such that Spearman's correlation of what comes out
    with the truth, ties and all, is the one asked for, in this very draw.

    Args:
        truth: shape (problems,).
        correlation: Spearman's, in [0, 1].
        rng: draws the noise.
        calibrated: or bold.

    Raises:
        UserError: a correlation out of range, or one that so few or so equal values cannot have.
    """
    if not 0 <= correlation <= 1:
        raise UserError(
            f"a blurred predictor must have a rank correlation from 0 to 1 but got {correlation:g}"
        )
    if np.ptp(truth) > 0:
        ranks = rankdata(truth)
        scores = norm.ppf(ranks / (len(truth) + 1))
        for _ in range(_DRAWS):  # with few problems the ranks of one draw may leap over the aim
            noise = rng.standard_normal(len(truth))
            low, high = 0.0, 3.0  # from the truth itself to nearly the truth upside down
            for _ in range(_HALVINGS):
                angle = (low + high) / 2
                mixed = scores * np.cos(angle) + noise * np.sin(angle)
                believed = _expected(truth, mixed, angle) if calibrated else _exchanged(truth, mixed)
                excess = np.corrcoef(rankdata(believed), ranks)[0, 1] - correlation
                if abs(excess) <= TOLERANCE:
                    return believed
                low, high = (angle, high) if excess > 0 else (low, angle)
    raise UserError(
        f"pass rates must differ enough for a rank correlation of {correlation:g} with a blurred copy "
        f"(within {TOLERANCE:g}) but those of {len(truth)} problems do not"
    )


def _exchanged(truth: NDArray[np.float64], mixed: NDArray[np.float64]) -> NDArray[np.float64]:
    believed = np.empty_like(truth)
    believed[np.argsort(mixed, kind="stable")] = np.sort(truth)
    return believed


def _expected(truth: NDArray[np.float64], mixed: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """The mean of the truth given y: z given y is normal about ``y cos(a)`` with deviation ``sin(a)``."""
    values, counts = np.unique(truth, return_counts=True)
    # Between two thresholds of z lies one value of the truth.
    thresholds = norm.ppf(np.cumsum(counts)[:-1] / len(truth))
    below = norm.cdf((thresholds - mixed[:, np.newaxis] * np.cos(angle)) / np.sin(angle))
    return np.asarray(values[-1] - below @ np.diff(values))


# ~ """What a policy may be told to believe: from nothing to the truth."""


PassRates = Callable[[Trace], NDArray[np.float64]]
"""Predicts the pass rate of each problem of a run, shape (problems,), without a look at its own labels."""

PREDICTORS = ("off", "on", "oracle", "blurred:RHO", "calibrated:RHO")
"""``off``: the same belief for every problem, the mean; ``on``: what was learned from other problems, or
what a given model says, or what the run itself believed; ``oracle``: the measured pass rates;
``blurred:0.6``: those, blurred to a rank correlation of 0.6, as bold as the truth; ``calibrated:0.6``: the
same blur with calibrated beliefs (see ``blur``)."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """What is believed of every problem.

    Attributes:
        name: one of ``PREDICTORS``, with a number in the place of RHO.
        pass_rates: float64 (orders, problems); only blurring is drawn afresh for each order of the tests.
        reads_states: whether it takes hidden states, or stands for one that does: these are charged then.
        correlation: Spearman's, with the measured pass rates, mean over orders; 0 where either side is
            constant and so ranks nothing.
    """

    name: str
    pass_rates: NDArray[np.float64]
    reads_states: bool
    correlation: float


def make_predictor(name: str, trace: Trace, learned: PassRates, *, orders: int, seed: int) -> Predictor:
    """The predictor of that name.

    Args:
        name: see ``PREDICTORS``.
        trace: a run with labels.
        learned: what ``on`` stands for.
        orders: how many orders of the tests there are.
        seed: of the blurring.

    Raises:
        UserError: there is none of that name, or it cannot be had for this run.
    """
    truth = measured_pass_rates(trace)
    kind, _, number = name.partition(":")
    if kind in ("blurred", "calibrated"):
        aim = _number(name, number)
        drawn = [
            noisy_rates(truth, aim, np.random.default_rng([seed, order]), calibrated=kind == "calibrated")
            for order in range(orders)
        ]
        return Predictor(name, np.stack(drawn), True, float(np.mean([_ranks(one, truth) for one in drawn])))
    if name == "off":
        rates = np.full(len(truth), truth.mean())
    elif name == "oracle":
        rates = truth
    elif name == "on":
        rates = learned(trace)
    else:
        raise _unknown(name)
    everywhere = np.broadcast_to(rates, (orders, len(truth)))
    return Predictor(name, everywhere, name == "on", _ranks(rates, truth))


def measured_pass_rates(trace: Trace) -> NDArray[np.float64]:
    """Share of right ones among the candidates of each problem, shape (problems,).

    Raises:
        UserError: a problem has no labels.
    """
    return np.asarray([float(correct.mean()) for correct in correct_labels(trace)])


def correct_labels(trace: Trace) -> list[NDArray[np.bool_]]:
    """The ground truth of every problem's candidates.

    Raises:
        UserError: a problem has none.
    """
    found = []
    for problem, seen in trace.problems.items():
        if seen.correct is None:
            raise UserError(f"{trace.directory} must say which candidates are right but not of {problem}")
        found.append(seen.correct)
    return found


def own_pass_rates(trace: Trace, *, seed: int) -> NDArray[np.float64]:
    """What the run has to offer: cross-fitted pass rates, or without hidden states what it believed itself.

    Raises:
        UserError: it has neither, or too few problems to learn from.
    """
    if trace.hidden_states is not None:
        return cross_fitted_pass_rates(trace, seed=seed)
    rates = np.asarray([seen.predicted_pass_rate for seen in trace.problems.values()])
    if np.isnan(rates).any():
        raise UserError(
            f"the predictor 'on' needs hidden states or predicted pass rates but {trace.directory} has none"
        )
    return rates


def cross_fitted_pass_rates(trace: Trace, *, seed: int) -> NDArray[np.float64]:
    """Pass rates as learned from the run's other problems.

    Raises:
        UserError: the run has no hidden states, or too few problems to learn from.
    """
    states, hashes = _known(trace)
    return fitted_pass_rates([trace.directory], states, hashes, (), lambda _: trace, seed).mean


def model_pass_rates(trace: Trace, model: DifficultyModel) -> NDArray[np.float64]:
    """Pass rates by a trained model; a problem that it was trained on is predicted by what has not seen it.

    Raises:
        UserError: the run has no hidden states, or not such as the model was trained on.
    """
    return model.predict(PASS_RATE.name, *_known(trace)).mean


def _known(trace: Trace) -> tuple[HiddenStates, list[str]]:
    if trace.hidden_states is None:
        raise UserError(f"the predictor 'on' needs hidden states but {trace.directory} has none")
    return trace.hidden_states, [problem.content_hash for problem in trace.problems.values()]


def _ranks(rates: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    if np.ptp(rates) == 0 or np.ptp(truth) == 0:
        return 0.0
    return float(spearmanr(rates, truth).statistic)


def _number(name: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        raise _unknown(name) from None


def _unknown(name: str) -> UserError:
    return UserError(f"predictors must be among {', '.join(PREDICTORS)} but got '{name}'")
