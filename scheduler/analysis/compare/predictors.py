"""What a policy may be told to believe: from nothing to the truth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from difficulty.card import Model
from difficulty.hidden_states import HiddenStates
from difficulty.targets import PASS_RATE
from rewards.errors import UserError
from scheduler.analysis.compare.blur import blurred
from scheduler.beliefs import learned_pass_rates
from scheduler.trace import Trace

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


def predictor(name: str, trace: Trace, learned: PassRates, *, orders: int, seed: int) -> Predictor:
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
            blurred(truth, aim, np.random.default_rng([seed, order]), calibrated=kind == "calibrated")
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
    return np.asarray([float(correct.mean()) for correct in labels(trace)])


def labels(trace: Trace) -> list[NDArray[np.bool_]]:
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


def own(trace: Trace, *, seed: int) -> NDArray[np.float64]:
    """What the run has to offer: cross-fitted pass rates, or without hidden states what it believed itself.

    Raises:
        UserError: it has neither, or too few problems to learn from.
    """
    if trace.hidden_states is not None:
        return cross_fitted(trace, seed=seed)
    rates = np.asarray([seen.predicted_pass_rate for seen in trace.problems.values()])
    if np.isnan(rates).any():
        raise UserError(
            f"the predictor 'on' needs hidden states or predicted pass rates but {trace.directory} has none"
        )
    return rates


def cross_fitted(trace: Trace, *, seed: int) -> NDArray[np.float64]:
    """Pass rates as learned from the run's other problems.

    Raises:
        UserError: the run has no hidden states, or too few problems to learn from.
    """
    states, hashes = _known(trace)
    return learned_pass_rates([trace.directory], states, hashes, (), lambda _: trace, seed).mean


def modelled(trace: Trace, model: Model) -> NDArray[np.float64]:
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
