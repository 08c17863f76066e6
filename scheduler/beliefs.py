"""What a run believes of its problems before their first test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from difficulty.base import Prediction
from difficulty.card import Model, features
from difficulty.hidden_states import HiddenStates, telling_layer
from difficulty.targets import PASS_RATE
from difficulty.training import learn
from rewards.errors import UserError
from rewards.problem import Problem
from scheduler.job import Job
from scheduler.tables import ReadTrace
from scheduler.training import METHODS, Settings, gather


def check_predictor(job: Job, read: ReadTrace) -> None:
    """Finds a predictor that cannot be used before anything is spent.

    Raises:
        UserError: there is no such model or training run, or the job does not extract the model's layers.
    """
    if job.predictor is None or job.hidden_states is None:
        return
    for run in job.predictor.train_on or []:
        read(run)
    if job.predictor.model is None:
        return
    needed, given = Model.load(job.predictor.model).card.layers, job.hidden_states.layers
    if given is not None and set(needed) - set(given):
        raise UserError(
            f"hidden_states.layers must include those of predictor.model, {needed}, but got {given}"
        )


def predicted_pass_rates(
    job: Job, problems: Sequence[Problem], states: HiddenStates | None, read: ReadTrace
) -> NDArray[np.float64] | None:
    """Each problem's pass rate as the predictor believes it; None without a predictor.

    No problem is predicted by anything that has seen it.

    Raises:
        UserError: the model or a training run cannot be used, or is about other hidden states.
    """
    if job.predictor is None or states is None:
        return None
    hashes = [problem.content_hash for problem in problems]
    texts = [problem.prompt for problem in problems]
    if job.predictor.model is not None:
        return Model.load(job.predictor.model).predict(PASS_RATE.name, states, hashes, texts).mean
    runs = job.predictor.train_on or []
    layers = job.hidden_states.layers if job.hidden_states else None
    return learned_pass_rates(runs, states, hashes, texts, read, job.seed, layers).mean


def learned_pass_rates(
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
        layers: of the states, to learn from; None takes their ``telling_layer``.

    Raises:
        UserError: a run cannot be learned from, or is about other hidden states.
    """
    if states.provenance is None:
        raise UserError("hidden states must say which model they come from but the job's do not")
    chosen = tuple(layers or (telling_layer(states.layers, states.provenance.depth),))
    settings = Settings(layers=chosen, selection=None, seed=seed)
    problems = gather(runs, settings, read)
    if conflict := problems.provenance.conflict(states.provenance):
        raise UserError(f"predictor.train_on must fit the job's hidden states but {conflict}")
    lesson = learn(
        METHODS[settings.method],
        problems.labels(PASS_RATE),
        problems.inputs,
        problems.content_hashes,
        seed=seed,
    )
    return lesson.fitted.predict(features(states, chosen, texts), content_hashes)
